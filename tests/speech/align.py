#!/usr/bin/env python3
"""Says when each word of a text that is known sounds in a recording: pocketsphinx's forced alignment, without a network.

    align.py LIST.json      LIST: [{"file": "....wav", "words": ["twenty", "dollars"]}], words in small letters
prints one JSON line for each file: [[0.31, 0.62], [0.62, 1.1]]    start and end of each word, in seconds

The aligner knows the words, so that nothing can be misheard, and only has to find them: by hidden Markov models of
phonemes, 10 ms a step, with optional silence between words. Its acoustic model and dictionary are in its package; names.dict has
what the dictionary lacks.
"""

import json
import pathlib
import random
import struct
import sys

from faster_whisper.audio import decode_audio
from pocketsphinx import Config, Decoder

RATE = 16000
# Silence before and after, so that a word may begin at once. Digital silence has no logarithm: it is noise of a few steps.
LEAD = RATE // 2
NAMES = pathlib.Path(__file__).with_name("names.dict")


def noise():
    return struct.pack(f"<{LEAD}h", *(random.Random(1).randint(-8, 8) for _ in range(LEAD)))


def align(file, words):
    decoder = Decoder(Config(lm=None, loglevel="FATAL", cmn="batch", beam=1e-80, wbeam=1e-60, pbeam=1e-80))
    for line in NAMES.read_text().splitlines():
        word, phones = line.split(maxsplit=1)
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, phones, True)
    unknown = [word for word in words if decoder.lookup_word(word) is None]
    if unknown:
        sys.exit(f"{NAMES.name} lacks {', '.join(unknown)}")
    samples = (decode_audio(file, sampling_rate=RATE) * 32767).astype("<i2").tobytes()
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(noise() + samples + noise(), full_utt=True)
    decoder.end_utt()
    found = []
    for segment in decoder.seg() or []:
        # Words' other pronunciations end in (2), (3); silence and noise are in brackets.
        word = segment.word.split("(")[0]
        if word and word[0] not in "<[(":
            first, last = segment.start_frame / 100, (segment.end_frame + 1) / 100
            found.append((word, first - LEAD / RATE, last - LEAD / RATE))
    if [word for word, _, _ in found] != list(words):
        sys.exit(f"{file}: the words are not found in it")
    return [[start, end] for _, start, end in found]


for entry in json.loads(pathlib.Path(sys.argv[1]).read_text()):
    print(json.dumps(align(entry["file"], entry["words"])), flush=True)
