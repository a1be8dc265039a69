#!/usr/bin/env python3
"""Vignette beside ffmpeg, doing the same job in the same run: CPU seconds, peak memory and their ratios.

peers.py VIGNETTE [--rounds N] [--growth JSON]

Both make R1 (benches/r1): 1080p30, 15 s, the same background, pictures, texts, fades and music, x264 `veryfast` crf 23, AAC
160 kbit/s. What is counted is the CPU time of the whole process, user and system, as the kernel gives it at its end (wait4(2)).
Machines are shared and noisy, so the two take turns and what counts is the ratio of the medians.
"""

import argparse
import json
import math
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "r1"))
import make  # noqa: E402

FONT = "/usr/share/fonts/truetype/inter-vf/Inter-Variable.ttf"


def measured(command, **options):
    """Runs a command that must succeed: CPU seconds, wall seconds, peak resident MiB."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}:\n{error.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss / 1024


def font():
    """The file of Inter, wherever the distribution put it."""
    found = subprocess.run(["fc-match", "-f", "%{file}", "Inter:weight=200"], capture_output=True, text=True)
    path = found.stdout.strip()
    return path if path and pathlib.Path(path).is_file() else FONT


def smaller(package, parts):
    """Divides every length of R1's package by `parts`, which must leave whole even numbers, and its pictures and its background."""
    file = package / "template.yaml"
    text = re.sub(r"(\d+)px", lambda found: f"{int(found[1]) / parts:g}px", file.read_text())
    file.write_text(text.replace("width: 1920, height: 1080", f"width: {1920 // parts}, height: {1080 // parts}"))
    for name, coded in (("waves.mp4", ["-crf", "16", "-an"]), ("card.png", []), ("badge.png", [])):
        whole = package / "assets" / name
        part = whole.with_name(f"small-{name}")
        measured(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", whole, "-vf", f"scale=iw/{parts}:-1", *coded, part])
        part.rename(whole)


def ffmpeg(package, name, out, parts=1):
    """The command that makes the same video: what a campaign without Vignette runs for each viewer. All lengths are divided by `parts`."""
    text = f"fontfile={font()}:fontcolor=white"

    def line(words, size, y, start, end):
        size, y = size / parts, y / parts
        fade = f"alpha='clip((t-{start})/0.6,0,1)':enable='between(t,{start},{end})'"
        return f"drawtext={text}:text='{words}':fontsize={size}:x=(w-tw)/2:y={y}:{fade}"

    def at(x, y):
        return f"overlay={x // parts}:{y // parts}"

    card = "format=rgba,fade=in:st={0}:d=0.6:alpha=1[c{1}]"
    graph = ";".join(
        [
            "[0:v]fps=30,setsar=1[bg]",
            "[1:v]" + card.format(3.5, 1),
            "[2:v]" + card.format(5.5, 2),
            "[3:v]" + card.format(7.5, 3),
            f"[bg][4:v]{at(80, 80)}:enable='lt(t,3)+gte(t,12)'[b0]",
            f"[b0][c1]{at(120, 360)}:enable='between(t,3.5,12)'[b1]",
            f"[b1][c2]{at(700, 360)}:enable='between(t,5.5,12)'[b2]",
            f"[b2][c3]{at(1280, 360)}:enable='between(t,7.5,12)'[b3]",
            "[b3]"
            + ",".join(
                [
                    line(f"Hello, {name}", 140, 420, 0.2, 3),
                    line("Your new workspace is ready", 44, 640, 0.4, 3),
                    line("Three things to try first", 72, 160, 3.2, 12),
                    line(f"See you, {name}", 140, 420, 12.2, 15),
                    line("You are all set", 44, 640, 12.4, 15),
                ]
            )
            + ",format=yuv420p[v]",
            "[5:a]volume=-6dB,afade=in:d=0.4,afade=out:st=13.5:d=1.5[a]",
        ]
    )
    assets = package / "assets"
    card_input = ["-loop", "1", "-framerate", "30", "-t", "15", "-i", assets / "card.png"]
    return [
        "ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", assets / "waves.mp4",
        *card_input, *card_input, *card_input, "-i", assets / "badge.png",
        "-stream_loop", "-1", "-i", assets / "dawn.ogg",
        "-filter_complex", graph, "-map", "[v]", "-map", "[a]", "-t", "15",
        "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-c:a", "aac", "-b:a", "160k",
        "-movflags", "+faststart", out,
    ]  # fmt: skip


def vignette(program, package, name, out, store):
    return [program, "render", package, "--set", f"first_name={name}", "--store", store, "--progress", "none", "-o", out]


def one_viewer(program, rounds, folder):
    package = folder / "r1"
    make.make(package)
    rows = {"ffmpeg": [], "first": [], "further": [], "again": []}
    memory = 0
    for round_number in range(rounds):
        store = folder / f"store-{round_number}"
        name = f"Maria{round_number}"
        rows["ffmpeg"].append(measured(ffmpeg(package, name, folder / "peer.mp4"))[0])
        cpu, _, peak = measured(vignette(program, package, name, folder / "first.mp4", store))
        rows["first"].append(cpu)
        memory = max(memory, peak)
        for viewer in ("Priya", "Yusuf"):
            cpu, _, peak = measured(vignette(program, package, viewer, folder / "further.mp4", store))
            rows["further"].append(cpu)
            memory = max(memory, peak)
        for _ in range(3):
            rows["again"].append(measured(vignette(program, package, name, folder / "again.mp4", store))[0])
        if (folder / "again.mp4").read_bytes() != (folder / "first.mp4").read_bytes():
            sys.exit("the same viewer's video came out with other bytes from the store")
        shutil.rmtree(store)
    medians = {key: statistics.median(values) for key, values in rows.items()}
    base = medians["ffmpeg"]
    print(f"R1, {rounds} rounds, CPU seconds of the whole process (median), and against ffmpeg")
    for key, label, bound in [
        ("ffmpeg", "ffmpeg, one viewer", None),
        ("first", "the first viewer, empty store", 1.0),
        ("further", "a further viewer, 6 of 15 s new", 0.33),
        ("again", "a viewer with nothing new", 0.01),
    ]:
        ratio = medians[key] / base
        goal = "" if bound is None else f"   goal {bound}: {'met' if ratio <= bound else 'MISSED'}"
        print(f"  {label:<36} {medians[key]:>8.3f} s  {ratio:>7.4f}{goal}")
    print(f"  peak memory of one render: {memory:.0f} MiB   goal 600: {'met' if memory < 600 else 'MISSED'}")
    sizes = {n: (folder / f"{n}.mp4").stat().st_size for n in ("peer", "first")}
    print(f"  size: ffmpeg {sizes['peer']} B, vignette {sizes['first']} B, {sizes['first'] / sizes['peer']:.3f}")
    return base


GROWTH_PARTS = 3
"""R1 at a third of its width and height: a thousand viewers at full size take most of an hour, and the share is what is asked for."""


def growth(program, folder, counts):
    """CPU per viewer over audiences whose names are drawn by Zipf's law: the n-th name is 1/n as common as the first. Gives ffmpeg's
    CPU for one viewer of the same size, and a row for each audience."""
    package = folder / "r1-small"
    make.make(package)
    smaller(package, GROWTH_PARTS)
    base = statistics.median(
        measured(ffmpeg(package, f"Maria{n}", folder / "peer-small.mp4", GROWTH_PARTS))[0] for n in range(3)
    )
    print(f"  R1 at {1920 // GROWTH_PARTS} x {1080 // GROWTH_PARTS}: ffmpeg {base:.3f} s of CPU a viewer", flush=True)
    rng = random.Random(20)
    pool = [f"Name{n}" for n in range(1, 5001)]
    weights = [1 / n for n in range(1, 5001)]
    store, rows = folder / "growth-store", []
    for count in counts:
        shutil.rmtree(store, ignore_errors=True)
        names = rng.choices(pool, weights, k=count)
        audience = folder / f"audience-{count}.csv"
        audience.write_text("first_name\n" + "".join(f"{name}\n" for name in names))
        out = folder / f"out-{count}"
        cpu, wall, peak = measured(
            [program, "batch", package, "--audience", audience, "-o", out, "--store", store, "--progress", "none"]
        )
        distinct = len(set(names))
        rows.append({"viewers": count, "names": distinct, "cpu": cpu, "wall": wall, "peak": peak})
        print(
            f"  {count:>6} viewers, {distinct:>5} names: {cpu / count:>8.3f} s of CPU a viewer,"
            f" {cpu / count / base:.4f} of ffmpeg, peak {peak:.0f} MiB, {wall:.0f} s",
            flush=True,
        )
        shutil.rmtree(out)
    return base, rows


def plot(path, rows, base):
    """The growth as a picture: viewers from left to right by tens, CPU per viewer against ffmpeg upwards."""
    left, top, width, height = 64, 40, 520, 260
    tens = [math.log10(row["viewers"]) for row in rows]
    first, last = min(tens), max(max(tens), min(tens) + 1)
    share = [row["cpu"] / row["viewers"] / base for row in rows]
    most = math.ceil(max(share) * 10) / 10

    def place(ten, value):
        return left + width * (ten - first) / (last - first), top + height * (1 - value / most)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 40} {top + height + 56}" '
        'font-family="Inter, sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="22" font-weight="600">CPU per viewer, as a share of what ffmpeg takes</text>',
    ]
    for step in range(int(round(most * 10)) + 1):
        _, y = place(first, step / 10)
        parts.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{step / 10:.1f}</text>')
    points = [place(ten, value) for ten, value in zip(tens, share)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#4a3fd0" stroke-width="2.5"/>')
    for (x, y), row, value in zip(points, rows, share):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="#4a3fd0"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{value:.3f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{top + height + 20}" text-anchor="middle">{row["viewers"]:,}</text>')
        parts.append(
            f'<text x="{x:.1f}" y="{top + height + 38}" text-anchor="middle" fill="#666">{row["names"]:,} names</text>'
        )
    path.write_text("\n".join(parts) + "\n</svg>\n")


def flat_memory(program, folder, counts=(500, 2000)):
    """Peak memory of batches of few and of many rows of a small template, whose every video is new."""
    package = folder / "small"
    package.mkdir()
    (package / "template.yaml").write_text(
        "vignette: 1\nname: small\ncanvas: { width: 320, height: 180, fps: 25 }\n"
        "data: { required: [n], properties: { n: { type: string, maxLength: 9 } } }\n"
        'scenes: [{ duration: 400ms, layers: [{ text: "{{n}}", style: { size: 40px, color: white } }] }]\n'
    )
    peaks = []
    for count in counts:
        audience = folder / f"rows-{count}.csv"
        audience.write_text("n\n" + "".join(f"v{row}\n" for row in range(count)))
        out, store = folder / f"small-{count}", folder / f"small-store-{count}"
        cpu, wall, peak = measured(
            [program, "batch", package, "--audience", audience, "-o", out, "--store", store, "--progress", "none"]
        )
        peaks.append(peak)
        print(f"  {count:>6} rows of a small template, each new: peak {peak:.0f} MiB, {cpu / count * 1000:.0f} ms of CPU a row, {wall:.0f} s")
        shutil.rmtree(out)
        shutil.rmtree(store)
    grown = peaks[-1] / peaks[0]
    print(f"  peak memory grows {grown:.3f} times from {counts[0]} to {counts[-1]} rows   goal 1.1: {'met' if grown <= 1.1 else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", metavar="JSON", help="also batches of 10, 100 and 1,000 viewers; figures go into this file, and a plot beside it")
    parser.add_argument("--counts", default="10,100,1000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vignette-bench-") as folder:
        folder = pathlib.Path(folder)
        if options.rounds:
            one_viewer(options.program.resolve(), options.rounds, folder)
            flat_memory(options.program.resolve(), folder)
        if options.growth:
            base, rows = growth(options.program.resolve(), folder, [int(c) for c in options.counts.split(",")])
            plot(pathlib.Path(options.growth).with_suffix(".svg"), rows, base)
            pathlib.Path(options.growth).write_text(json.dumps({"ffmpeg_cpu": base, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
