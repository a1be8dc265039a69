"""A server that speaks as S3 does (moto) on a free port of the loopback address, with a bucket `films`.

Prints its port. Told `list` on a line, it prints the names of all objects as JSON; it ends when its input does.
"""

import json
import logging
import sys

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{port}",
    aws_access_key_id="test",
    aws_secret_access_key="test",
    region_name="us-east-1",
)
client.create_bucket(Bucket="films")
print(port, flush=True)
for word in sys.stdin:
    if word.strip() == "list":
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="films")
        print(json.dumps([entry["Key"] for page in pages for entry in page.get("Contents", [])]), flush=True)
server.stop()
