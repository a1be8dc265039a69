#!/usr/bin/env bash
# Starts the service with the gallery on BIND (127.0.0.1:8080 unless told) and prints a link that plays. Ends with Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

vignette=${VIGNETTE-target/release/vignette}
bind=${BIND-127.0.0.1:8080}
data=${VIGNETTE_DATA-out/service}
mkdir -p "$data"
command -v curl >/dev/null || { printf 'serve: curl is missing: install it\n' >&2; exit 1; }

"$vignette" serve --bind "$bind" --data-dir "$data" --templates templates/gallery \
  --player .cache/hls.js/1.7.4/hls.min.js 2>"$data/log.jsonl" &
service=$!
# Only what was started here, and only once.
trap 'kill "$service" 2>/dev/null || true; wait "$service" || true' EXIT
trap 'exit 0' INT TERM

until curl --silent --fail --noproxy '*' "http://$bind/healthz" >/dev/null; do
  kill -0 "$service" 2>/dev/null || { cat "$data/log.jsonl" >&2; exit 1; }
  sleep 0.2
done
link=$(curl --silent --fail --noproxy '*' "http://$bind/v1/links" \
  --json '{ "template": "welcome", "data": { "first_name": "Maria", "plan": "pro", "photo": "assets/maria.jpg" } }' |
  sed -n 's/.*"url":"\([^"]*\)".*/\1/p')
printf '\nwatch  %s\napi    http://%s/docs\nlog    %s\n\nCtrl-C ends it.\n' "$link" "$bind" "$data/log.jsonl"
wait "$service"
