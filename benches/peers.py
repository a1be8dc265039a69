#!/usr/bin/env python3
"""Vignette beside ffmpeg, doing the same job in the same run: CPU seconds, peak memory and their ratios.

peers.py VIGNETTE [--rounds N] [--growth]

Both make R1 (benches/r1): 1080p30, 15 s, the same background, pictures, texts, fades and music, x264 `veryfast` crf 23, AAC
160 kbit/s. What is counted is the CPU time of the whole process, user and system, as the kernel gives it at its end (wait4(2)).
Machines are shared and noisy, so the two take turns and what counts is the ratio of the medians.
"""

import argparse
import json
import os
import pathlib
import random
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


def ffmpeg(package, name, out):
    """The command that makes the same video: what a campaign without Vignette runs for each viewer."""
    text = f"fontfile={font()}:fontcolor=white"

    def line(words, size, y, start, end):
        fade = f"alpha='clip((t-{start})/0.6,0,1)':enable='between(t,{start},{end})'"
        return f"drawtext={text}:text='{words}':fontsize={size}:x=(w-tw)/2:y={y}:{fade}"

    card = "format=rgba,fade=in:st={0}:d=0.6:alpha=1[c{1}]"
    graph = ";".join(
        [
            "[0:v]fps=30,setsar=1[bg]",
            "[1:v]" + card.format(3.5, 1),
            "[2:v]" + card.format(5.5, 2),
            "[3:v]" + card.format(7.5, 3),
            "[bg][4:v]overlay=80:80:enable='lt(t,3)+gte(t,12)'[b0]",
            "[b0][c1]overlay=120:360:enable='between(t,3.5,12)'[b1]",
            "[b1][c2]overlay=700:360:enable='between(t,5.5,12)'[b2]",
            "[b2][c3]overlay=1280:360:enable='between(t,7.5,12)'[b3]",
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


def growth(program, folder, counts, base):
    """CPU per viewer over audiences whose names are drawn by Zipf's law: the n-th name is 1/n as common as the first."""
    package = folder / "r1"
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
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", metavar="JSON", help="also batches of 10, 100 and 1,000 viewers; figures go into this file")
    parser.add_argument("--counts", default="10,100,1000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vignette-bench-") as folder:
        folder = pathlib.Path(folder)
        base = one_viewer(options.program.resolve(), options.rounds, folder)
        if options.growth:
            rows = growth(options.program.resolve(), folder, [int(c) for c in options.counts.split(",")], base)
            pathlib.Path(options.growth).write_text(json.dumps({"ffmpeg_cpu": base, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
