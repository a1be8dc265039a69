#!/usr/bin/env bash
# Renders the README's pictures into docs/stills/; needs a release build and ffmpeg.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

vignette=${VIGNETTE-target/release/vignette}
gallery=templates/gallery
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkdir -p docs/stills

# picture template viewer rendition second
while read -r picture template viewer rendition at; do
  "$vignette" still "$gallery/$template" --data "$gallery/$template/viewers/$viewer.json" --rendition "$rendition" \
    --at "$at" -o "$work/$picture.png" >"$work/log"
  # Every picture in the same frame, so that the README's table is even.
  ffmpeg -nostdin -v error -y -i "$work/$picture.png" -q:v 3 -frames:v 1 \
    -vf 'scale=960:540:force_original_aspect_ratio=decrease:flags=lanczos,pad=960:540:-1:-1:0xe9e9ee' "docs/stills/$picture.jpg"
done <<'LIST'
welcome-hello welcome maria default 2.5s
welcome-features welcome priya default 7s
welcome-goodbye welcome yusuf default 14s
offer-meet offer ella default 7s
offer-price offer jonas default 11s
offer-story offer sakura story 6.5s
progress-modules progress zoe default 8s
progress-intro progress amara default 2.5s
progress-next progress leo default 11s
LIST
ls -l docs/stills
