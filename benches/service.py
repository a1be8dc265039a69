#!/usr/bin/env python3
"""The service while a viewer waits: how soon the first segment comes, how many playlists and segments a second.

service.py VIGNETTE [--rounds N] [--seconds S]

The template is R1 (benches/r1): 1080p30, a moving background, the first scene personal. Its name comes in after 200 ms, and what is before that is a
segment which all viewers share; so the first segment is also measured with the name there from the first frame on. Everything runs on this machine, in turns:
the service, x264 alone over the frames of the same segment, and ffmpeg making the same video as fragments. Requests a second are counted
by wrk, beside nginx with the same segments as files; both are installed by `scripts/setup.sh --bench`.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "r1")]
import make  # noqa: E402
import peers  # noqa: E402

X264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23"]


class Service:
    """`vignette serve` on a free port, ended with the block that it is used in."""

    def __init__(self, program, folder, gallery):
        self.data = folder / "service"
        self.data.mkdir()
        config = self.data / "config.toml"
        # What is measured is the service, not its limit on one key; a line of log for each request is part of it.
        config.write_text("private_webhook_hosts = ['127.0.0.1']\n[limits]\nrequests_per_second = 1000000\n")
        command = [program, "serve", "--bind", "127.0.0.1:0", "--data-dir", self.data, "--templates", gallery, "--config", config]
        environment = {name: value for name, value in os.environ.items() if name != "VIGNETTE_STORE"}
        with open(self.data / "log.jsonl", "w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        line = self.process.stdout.readline()
        if ":" not in line:
            sys.exit(f"the service did not start:\n{(self.data / 'log.jsonl').read_text()[-2000:]}")
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def link(self, connection, name, template="r1"):
        body = json.dumps({"template": template, "data": {"first_name": name}})
        connection.request("POST", "/v1/links", body)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 201:
            sys.exit(f"no link: {told}")
        return "/w/" + told["url"].split("/w/", 1)[1]


def get(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"{path.split('/')[1]}: {answer.status} {body[:300]}")
    return body


def variants(master, link):
    """The playlists of the sizes, as the master playlist has them: smallest first."""
    return [link + line for line in master.decode().splitlines() if line.endswith("index.m3u8")]


def media(playlist):
    lines = playlist.decode().splitlines()
    header = next(line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP"))
    return [header] + [line for line in lines if line and not line.startswith("#")]


def first_segment(connection, link, size):
    """Milliseconds from asking for the master playlist to the segment's last byte, as a player goes; and the bytes."""
    started = time.monotonic()
    master = get(connection, f"{link}master.m3u8")
    names = media(get(connection, variants(master, link)[size]))
    header, segment = get(connection, names[0]), get(connection, names[1])
    return (time.monotonic() - started) * 1000, header + segment


def seconds(command):
    started = time.monotonic()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def x264_alone(segment, folder):
    """Milliseconds that x264 takes for the frames of a segment with all cores, without starting and reading: the slope between that many
    frames and forty times as many."""
    coded, raw, many = folder / "segment.mp4", folder / "segment.y4m", folder / "many.y4m"
    coded.write_bytes(segment)
    seconds(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", coded, raw])
    times = 40
    seconds(["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", times - 1, "-i", raw, many])
    take = lambda path: seconds(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", path, *X264, "-f", "null", "-"])  # noqa: E731
    read = lambda path: seconds(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", path, "-c", "copy", "-f", "null", "-"])  # noqa: E731
    slope = statistics.median(take(many) - read(many) - take(raw) + read(raw) for _ in range(3)) / (times - 1)
    many.unlink()
    return slope * 1000


def ffmpeg_first(package, name):
    """Milliseconds until ffmpeg has written the first playable fragment of the same video: its header and one `moof` with its `mdat`."""
    command = peers.ffmpeg(package, name, "pipe:1")
    at = command.index("-movflags")
    command[at : at + 2] = ["-g", "15", "-movflags", "empty_moov+default_base_moof+frag_keyframe", "-f", "mp4"]
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    kind = b""
    while kind != b"mdat":
        head = process.stdout.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        process.stdout.read(length - 8)
    took = (time.monotonic() - started) * 1000
    process.kill()
    process.wait()
    return took


def wrk(url, duration, script=None):
    """Requests a second and bytes a second."""
    command = ["wrk", "-t1", "-c32", f"-d{duration}s", *(["-s", str(script)] if script else []), url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text:
        sys.exit(f"not all were answered:\n{text}")
    rate = float(next(line.split()[1] for line in text.splitlines() if line.startswith("Requests/sec")))
    moved = next(line.split()[1] for line in text.splitlines() if line.startswith("Transfer/sec"))
    unit = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
    return rate, float(moved[:-2]) * unit[moved[-2:]]


def rotate(path, paths):
    """A script for wrk that asks for each path in turn."""
    quoted = ", ".join(json.dumps(item) for item in paths)
    path.write_text(
        f"local paths = {{ {quoted} }}\nlocal at = 0\n"
        "request = function() at = at % #paths + 1 return wrk.format('GET', paths[at]) end\n"
    )
    return path


def nginx(folder, files):
    """nginx with these files, on a free port: the process and its port."""
    root = folder / "nginx"
    (root / "s").mkdir(parents=True)
    for name, content in files.items():
        (root / name.lstrip("/")).write_bytes(content)
    # Taken and given back; nobody else on this machine is in a hurry for it.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = root / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {root}/{kind};" for kind in kinds)
    config.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} worker_processes 2; daemon off; pid {root}/pid; error_log {root}/error.log; events {{ worker_connections 512; }}\n"
        f"http {{ {temporary} access_log {root}/access.log; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=1000;\n"
        f"  server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    process = subprocess.Popen([HERE.parent / ".cache/nginx/usr/sbin/nginx", "-c", str(config), "-p", str(root)], stderr=subprocess.DEVNULL)
    while True:
        try:
            http.client.HTTPConnection("127.0.0.1", port).connect()
            return process, port
        except OSError:
            time.sleep(0.05)


def verdict(value, goal, least=False):
    met = value >= goal if least else value <= goal
    return f"goal {goal:,.0f}: {'met' if met else 'MISSED'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vignette-bench-") as folder:
        folder = pathlib.Path(folder)
        package = folder / "gallery/r1"
        package.mkdir(parents=True)
        make.make(package)
        # The name is there at once, so that the first segment is personal.
        at_once = folder / "gallery/at-once"
        shutil.copytree(package, at_once)
        template = at_once / "template.yaml"
        template.write_text(template.read_text().replace("at: 200ms", "at: 0ms", 1))
        with Service(options.program.resolve(), folder, folder / "gallery") as service:
            run(service, package, folder, options)


def run(service, package, folder, options):
    connection = service.connect()
    # Warm templates: somebody else watched them.
    for template in ("r1", "at-once"):
        first_segment(connection, service.link(connection, "Nobody", template), 0)
        first_segment(connection, service.link(connection, "Nemo", template), -1)
    time.sleep(5)
    rows = {name: [] for name in ("shared", "large", "small", "again", "ffmpeg", "x264")}
    for number in range(options.rounds):
        shared, _ = first_segment(connection, service.link(connection, f"Leo {number}"), -1)
        time.sleep(3)
        large, whole = first_segment(connection, service.link(connection, f"Maria {number}", "at-once"), -1)
        # Nobody else works meanwhile: what was made ahead for that viewer is done with.
        time.sleep(3)
        link = service.link(connection, f"Yusuf {number}", "at-once")
        small, _ = first_segment(connection, link, 0)
        time.sleep(3)
        again, _ = first_segment(connection, link, 0)
        rows["shared"].append(shared)
        rows["large"].append(large)
        rows["small"].append(small)
        rows["again"].append(again)
        rows["ffmpeg"].append(ffmpeg_first(package, f"Maria {number}"))
        rows["x264"].append(x264_alone(whole, folder))
    middle = {name: statistics.median(values) for name, values in rows.items()}
    bound = 1.5 * middle["x264"] + 20
    print(f"from GET master.m3u8 to the last byte of the first segment, median of {options.rounds}, milliseconds")
    print(f"  a new viewer of R1, 1920 x 1080          {middle['shared']:8.1f}   shared until the name comes in")
    print("  the same with the name there from the first frame on:")
    print(f"  a new viewer, 1920 x 1080                {middle['large']:8.1f}   {verdict(middle['large'], bound)} (1.5 x x264 + 20)")
    print(f"  a new viewer, the size a player begins in {middle['small']:7.1f}   {verdict(middle['small'], 100)}")
    print(f"  a segment that is there                  {middle['again']:8.1f}   {verdict(middle['again'], 15)}")
    print(f"  x264 alone over those frames             {middle['x264']:8.1f}")
    print(f"  ffmpeg's first fragment of the same      {middle['ffmpeg']:8.1f}")

    print(f"requests a second, wrk with 32 connections for {options.seconds} s, on the same two cores")
    link = service.link(connection, "Maria 0")
    base = f"http://127.0.0.1:{service.port}"
    rate, _ = wrk(f"{base}{link}master.m3u8", options.seconds)
    print(f"  one viewer's master playlist             {rate:8.0f}   {verdict(rate, 3000, least=True)}")
    links = [service.link(connection, f"Viewer {number}") for number in range(1000)]
    script = rotate(folder / "links.lua", [f"{link}master.m3u8" for link in links])
    rate, _ = wrk(base, options.seconds, script)
    print(f"  those of 1,000 viewers in turn           {rate:8.0f}   {verdict(rate, 3000, least=True)}")

    names = media(get(connection, variants(get(connection, f"{link}master.m3u8"), link)[0]))
    names = names[:4]
    files = {name: get(connection, name) for name in names}
    script = rotate(folder / "media.lua", names)
    process, port = nginx(folder, files)
    try:
        ours, theirs = [], []
        for _ in range(3):
            ours.append(wrk(base, options.seconds, script))
            theirs.append(wrk(f"http://127.0.0.1:{port}", options.seconds, script))
    finally:
        process.terminate()
        process.wait()
    ours, theirs = (statistics.median(rate for rate, _ in rows) for rows in (ours, theirs))
    size = statistics.mean(map(len, files.values())) / 1024
    print(f"  segments that are there ({size:.0f} KiB)         {ours:8.0f}")
    print(f"  nginx with the same files                {theirs:8.0f}")
    print(f"  ours against nginx                       {ours / theirs:8.2f}   goal 0.5: {'met' if ours / theirs >= 0.5 else 'MISSED'}")


if __name__ == "__main__":
    main()
