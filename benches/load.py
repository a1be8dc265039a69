#!/usr/bin/env python3
"""The service under load: many viewers at once, and minutes of everything together.

load.py VIGNETTE [--viewers 200] [--minutes 10]

First, viewers of whom as many share each of four names arrive within ten seconds and play R1 (benches/r1) in the size that players begin in, each by
its own clock: a segment that is not there when the one before has been shown is a stall. Then, for so many minutes, renders with webhooks, links,
uploads, cancellations and clients that break off, at the limit of what two cores make, while a process of its own asks `/healthz` twenty times a second:
one that did all of that, too, would measure how it waits for itself.
"""

import argparse
import collections
import http.client
import http.server
import json
import multiprocessing
import pathlib
import random
import re
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "r1")]
import make  # noqa: E402
from service import Service, get, media, variants  # noqa: E402

WAITING = 16  # renders that were accepted and not told of yet, at most
AHEAD = 20  # seconds that a player loads before it waits, as hls.js is set on the watch page

SMALL = """vignette: 1
name: small
canvas: {{ width: 320, height: 180, fps: 25, background: "{color}" }}
data: {{ required: [n], properties: {{ n: {{ type: string, maxLength: 20 }} }} }}
scenes: [{{ duration: 2s, layers: [{{ text: "{{{{n}}}}", style: {{ size: 40px, color: white }} }}] }}]
"""


def durations(playlist):
    return [float(value) for value in re.findall(r"#EXTINF:([\d.]+)", playlist.decode())]


class Viewer(threading.Thread):
    """Plays one link by its own clock."""

    def __init__(self, service, link, delay):
        super().__init__()
        self.service, self.link, self.delay = service, link, delay
        self.refused, self.stalls, self.began, self.error = False, [], 0.0, None

    def run(self):
        try:
            time.sleep(self.delay)
            self.play()
        except Exception as error:  # noqa: BLE001 - told with the figures
            self.error = repr(error)

    def fetch(self, connection, path):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, answer.getheader("retry-after"), body

    def play(self):
        connection = self.service.connect()
        asked = time.monotonic()
        status, after, master = self.fetch(connection, f"{self.link}master.m3u8")
        if status == 503 and after:
            self.refused = True
            return
        playlist = get(connection, variants(master, self.link)[0])
        names, lengths = media(playlist), durations(playlist)
        self.fetch(connection, names[0])
        shown_until = None
        for number, (name, length) in enumerate(zip(names[1:], lengths)):
            if shown_until is not None:
                time.sleep(max(0.0, shown_until - time.monotonic() - AHEAD))
            status, after, _ = self.fetch(connection, name)
            if status == 503 and after and number == 0:
                self.refused = True
                return
            if status != 200:
                raise RuntimeError(f"segment {number}: {status}")
            now = time.monotonic()
            if shown_until is None:
                self.began, shown_until = now - asked, now
            elif now > shown_until:
                self.stalls.append(now - shown_until)
                shown_until = now
            shown_until += length


def figure(service, name):
    text = get(service.connect(), "/metrics").decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


def crowd(service, count):
    names = ["Maria", "Priya", "Yusuf", "Leo"]
    connection = service.connect()
    links = [service.link(connection, names[number % len(names)]) for number in range(count)]
    before = figure(service, "vignette_pieces_made_total")
    order = random.Random(1)
    viewers = [Viewer(service, link, order.uniform(0, 10)) for link in links]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    made = figure(service, "vignette_pieces_made_total") - before
    distinct = {
        name
        for link in links[: len(names)]
        for name in media(get(connection, variants(get(connection, f"{link}master.m3u8"), link)[0]))[1:]
    }
    keys = {name.split("-")[0] for name in distinct}
    played = [viewer for viewer in viewers if not viewer.refused and not viewer.error]
    stalled = [viewer for viewer in played if viewer.stalls]
    began = sorted(viewer.began for viewer in played)
    errors = collections.Counter(viewer.error for viewer in viewers if viewer.error)
    print(f"{count} viewers of {len(names)} names within 10 s: {len(played)} played, {sum(v.refused for v in viewers)} were told to come again")
    print(f"  stalls: {sum(len(v.stalls) for v in stalled)} of {len(stalled)} viewers, the longest {max([0, *[max(v.stalls) for v in stalled]]):.2f} s   goal 0: {'met' if not stalled else 'MISSED'}")
    if began:
        print(f"  first segment after {statistics.median(began) * 1000:.0f} ms in the middle, {began[int(len(began) * 0.99)] * 1000:.0f} ms for the 99th of 100")
    # The four names' sound is one and the same.
    print(f"  pieces made: {made:.0f}; distinct segments {len(keys)}, and the sound   goal {len(keys) + 1}: {'met' if made == len(keys) + 1 else 'MISSED'}")
    print(f"  errors: {dict(errors) or 'none'}")


class Hooks(http.server.BaseHTTPRequestHandler):
    heard = collections.Counter()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Hooks.heard[(body["data"]["id"], self.headers["webhook-id"])] += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Mix:
    """Threads that do everything at once until they are told to end."""

    def __init__(self, service):
        self.service, self.ending = service, threading.Event()
        self.counts, self.lock, self.jobs = collections.Counter(), threading.Lock(), {}
        self.hooks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
        threading.Thread(target=self.hooks.serve_forever, daemon=True).start()
        self.number = 0

    def count(self, what, status):
        with self.lock:
            self.counts[f"{what} {status}"] += 1
            self.number += 1
            return self.number

    def ask(self, method, path, body=None, headers=None):
        connection = self.service.connect()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def render(self, order):
        with self.lock:
            waiting = sum(not cancelled for cancelled in self.jobs.values()) - len({job for job, _ in Hooks.heard.copy()})
        # At the limit, not beyond it: what waits would only be made when all is over.
        if waiting > WAITING:
            time.sleep(0.2)
            return
        hook = f"http://127.0.0.1:{self.hooks.server_address[1]}/"
        wish = {"template": order.choice(["r1", "small"]), "data": None, "webhook": hook}
        name = f"V{order.randrange(200)}"
        wish["data"] = {"n": name} if wish["template"] == "small" else {"first_name": name}
        status, content = self.ask("POST", "/v1/renders", json.dumps(wish))
        self.count("render", status)
        if status == 202:
            job = json.loads(content)["id"]
            cancelled = order.random() < 0.3
            if cancelled:
                time.sleep(order.uniform(0, 2))
                cancelled = self.ask("DELETE", f"/v1/renders/{job}")[0] == 200
            with self.lock:
                self.jobs[job] = cancelled
        time.sleep(order.uniform(0.5, 3))

    def watch(self, order):
        status, content = self.ask("POST", "/v1/links", json.dumps({"template": "r1", "data": {"first_name": f"V{order.randrange(200)}"}}))
        self.count("link", status)
        if status != 201:
            return
        link = "/w/" + json.loads(content)["url"].split("/w/", 1)[1]
        connection = self.service.connect()
        connection.request("GET", f"{link}master.m3u8")
        answer = connection.getresponse()
        master = answer.read()
        self.count("playlist", answer.status)
        if answer.status == 503 and answer.getheader("retry-after"):
            time.sleep(float(answer.getheader("retry-after")))
            return
        playlist = get(connection, variants(master, link)[0])
        for name in media(playlist)[: order.randrange(1, 6)]:
            connection.request("GET", name)
            answer = connection.getresponse()
            answer.read()
            self.count("segment", answer.status)
        connection.close()

    def upload(self, order):
        text = SMALL.format(color=f"#{order.randrange(1 << 24):06x}").replace("name: small", "name: mine")
        body = f'--x\r\ncontent-disposition: form-data; name="template.yaml"\r\n\r\n{text}\r\n--x--\r\n'
        status, _ = self.ask("POST", "/v1/templates/mine", body, {"content-type": "multipart/form-data; boundary=x"})
        self.count("upload", status)
        time.sleep(order.uniform(0.5, 2))

    def broken(self, order):
        """A client that goes away in the middle: of its header, of its body, or of the answer."""
        with socket.create_connection(("127.0.0.1", self.service.port)) as stream:
            kind = order.randrange(4)
            if kind == 0:
                stream.sendall(b"GET /healthz HT")
            elif kind == 1:
                stream.sendall(b"POST /v1/renders HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
            elif kind == 2:
                stream.sendall(bytes(order.randrange(256) for _ in range(400)))
            else:
                status, content = self.ask("POST", "/v1/links", json.dumps({"template": "r1", "data": {"first_name": f"V{order.randrange(200)}"}}))
                if status == 201:
                    path = "/w/" + json.loads(content)["url"].split("/w/", 1)[1] + "video.mp4"
                    stream.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                    stream.recv(100)
            time.sleep(order.uniform(0, 0.5))
        self.count("broken", kind)

    def run(self, what, seed):
        order = random.Random(seed)
        while not self.ending.is_set():
            try:
                what(order)
            except Exception as error:  # noqa: BLE001 - told with the figures
                self.count("error", type(error).__name__)
                time.sleep(0.1)


def probe(port, ending, told):
    """Asks `/healthz` until it is to end, and tells how many milliseconds each answer took."""
    health = []
    while not ending.is_set():
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        connection.close()
        health.append((time.monotonic() - started) * 1000 if status == 200 else 1e9)
        time.sleep(0.05)
    told.send(health)


def memory(service):
    text = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def mixed(service, minutes):
    alone = multiprocessing.get_context("spawn")
    ending, (told, tell) = alone.Event(), alone.Pipe(False)
    prober = alone.Process(target=probe, args=(service.port, ending, tell))
    prober.start()
    mix = Mix(service)
    kinds = [mix.render] * 3 + [mix.watch] * 4 + [mix.upload, mix.broken, mix.broken]
    threads = [threading.Thread(target=mix.run, args=(kind, seed)) for seed, kind in enumerate(kinds)]
    for thread in threads:
        thread.start()
    seen = []
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        time.sleep(5)
        seen.append(memory(service))
    ending.set()
    health = sorted(told.recv())
    prober.join()
    mix.ending.set()
    for thread in threads:
        thread.join()
    # What was accepted is made.
    states = collections.Counter()
    for job, cancelled in mix.jobs.items():
        while True:
            state = json.loads(mix.ask("GET", f"/v1/renders/{job}")[1])["state"]
            if state not in ("queued", "rendering"):
                break
            time.sleep(0.1)
        states[state] += 1
        if cancelled != (state == "cancelled"):
            states["another end than was told"] += 1
    done = {job for job, cancelled in mix.jobs.items() if not cancelled}
    waited = time.monotonic() + 30
    while len({job for job, _ in Hooks.heard}) < len(done) and time.monotonic() < waited:
        time.sleep(0.1)
    heard = {job for job, _ in Hooks.heard}
    twice = sum(count > 1 for count in Hooks.heard.values())
    part = max(1, len(seen) // 4)
    early, late = statistics.median(seen[part : 2 * part] or seen), statistics.median(seen[-part:])
    print(f"{minutes:g} minutes of everything: {dict(sorted(mix.counts.items()))}")
    lost = len(done - heard)
    print(f"  jobs: {dict(states)}; without a webhook {lost}, told twice {twice}   goal 0 and 0: {'met' if not lost and not twice and not states['another end than was told'] else 'MISSED'}")
    print(f"  memory: {early:.0f} MiB in the second quarter, {late:.0f} MiB in the last; at most {max(seen):.0f} MiB   goal 1.1 times: {'met' if late <= 1.1 * early else 'MISSED'}")
    tail = health[int(len(health) * 0.99)]
    print(f"  /healthz: {statistics.median(health):.1f} ms in the middle, {tail:.1f} ms for the 99th of 100, {health[-1]:.1f} ms at most   goal 50: {'met' if tail < 50 else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vignette-load-") as folder:
        folder = pathlib.Path(folder)
        package = folder / "gallery/r1"
        package.mkdir(parents=True)
        make.make(package)
        small = folder / "gallery/small"
        small.mkdir()
        (small / "template.yaml").write_text(SMALL.format(color="#204060"))
        if options.viewers:
            with Service(options.program.resolve(), folder, folder / "gallery") as service:
                crowd(service, options.viewers)
            shutil.rmtree(folder / "service")
        if options.minutes:
            with Service(options.program.resolve(), folder, folder / "gallery") as service:
                mixed(service, options.minutes)


if __name__ == "__main__":
    main()
