#!/usr/bin/env python3
"""Puts the package of R1 together: the template beside it, the gallery's background and music, two pictures drawn here, a viewer.

make.py FOLDER
"""

import pathlib
import shutil
import struct
import sys
import zlib


def png(path, width, height, pixel):
    """Writes a picture; `pixel(x, y)` gives red, green, blue and opacity of 0 to 255."""
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    )


def rounded(width, height, radius, color):
    """A rectangle with round corners, its edge smoothed over one pixel."""

    def pixel(x, y):
        dx = max(radius - x - 0.5, x + 0.5 - (width - radius), 0)
        dy = max(radius - y - 0.5, y + 0.5 - (height - radius), 0)
        cover = min(max(radius - (dx * dx + dy * dy) ** 0.5 + 0.5, 0), 1)
        red, green, blue, alpha = color(x / width, y / height)
        return red, green, blue, round(alpha * cover)

    return pixel


def make(folder):
    here = pathlib.Path(__file__).resolve().parent
    gallery = here.parent.parent / "templates/gallery/welcome/assets"
    assets = folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    shutil.copy(here / "template.yaml", folder)
    (folder / "viewer.json").write_text('{ "first_name": "Maria" }\n')
    for name in ("waves.mp4", "dawn.ogg"):
        shutil.copy(gallery / name, assets)
    png(assets / "card.png", 520, 480, rounded(520, 480, 40, lambda x, y: (int(120 + 80 * x), 110, int(250 - 60 * y), 120)))
    png(assets / "badge.png", 200, 200, rounded(200, 200, 100, lambda x, y: (143, int(123 + 80 * x), 255, 255)))


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
