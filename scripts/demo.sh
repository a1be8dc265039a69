#!/usr/bin/env bash
# Renders the gallery template `welcome` for its three viewers into out/ and lists what came out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

template=templates/gallery/welcome
lines=()
mkdir -p out
for data in "$template"/viewers/*.json; do
  viewer=$(basename "$data" .json)
  # The closing line (path, length, size, time taken, times real time) goes to standard output, the progress bar to
  # the terminal's standard error.
  lines+=("$(target/release/vignette render "$template" --data "$data" -o "out/$viewer.mp4")")
done
printf '\n'
printf '%s\n' "${lines[@]}"
