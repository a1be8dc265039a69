#!/usr/bin/env bash
# Renders every gallery template for every viewer, in every rendition, into out/gallery/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p out/gallery
for template in templates/gallery/*/; do
  name=$(basename "$template")
  # The renditions' names are the keys, indented once, of the template's `renditions:` block.
  renditions=$(sed -n '/^renditions:/,/^[^ ]/s/^  \([a-z_]*\):.*/\1/p' "$template/template.yaml")
  for data in "$template"viewers/*.json; do
    viewer=$(basename "$data" .json)
    for rendition in default $renditions; do
      target/release/vignette render "$template" --data "$data" --rendition "$rendition" \
        -o "out/gallery/$name-$viewer-$rendition.mp4"
    done
  done
done
