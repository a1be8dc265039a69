#!/usr/bin/env bash
# A PostgreSQL 15 on a free port of the loopback address, in a folder of its own: writes the port once it answers, and ends with its
# standard input, with everything that it wrote. Words on lines of the input are answered once they are done: `down` ends it as a crash does,
# `up` starts it again, `freeze` and `thaw` stop its processes and let them go on.
#
# With VIGNETTE_TLS, a folder with server.crt and server.key, connections may be encrypted.
#
#   tests/common/postgres.sh [SETTING=VALUE ...]
set -euo pipefail
programs=${VIGNETTE_POSTGRES-/usr/lib/postgresql/15/bin}
[[ -x "$programs/postgres" ]] || { echo "no $programs/postgres: run scripts/setup.sh --tests" >&2; exit 1; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/vignette-postgres-XXXXXX")
# It refuses to be run by root.
as=()
((EUID != 0)) || { chown nobody "$folder"; as=(setpriv --reuid=nobody --regid=nogroup --clear-groups); }
server=
finish() {
  [[ -z "$server" ]] || { kill -CONT "$server"; kill -QUIT "$server"; wait "$server"; } 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
trap '' INT
cd "$folder"
"${as[@]}" "$programs/initdb" --pgdata=data --username=vignette --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions >log 2>&1 ||
  { cat log >&2; exit 1; }
options=()
if [[ -n "${VIGNETTE_TLS-}" ]]; then
  # It takes no key that others could read.
  owner=()
  ((EUID != 0)) || owner=(-o nobody)
  install -m 600 "${owner[@]}" "$VIGNETTE_TLS"/server.{crt,key} data/
  options+=(-c ssl=on)
fi
for setting in "$@"; do options+=(-c "$setting"); done
start() {
  # Durability is PostgreSQL's own business, so its tests are not repeated here.
  "${as[@]}" "$programs/postgres" -D data -h 127.0.0.1 -p "$port" -k '' -c fsync=off -c max_connections=200 "${options[@]}" \
    >>log 2>&1 </dev/null &
  server=$!
  until "$programs/pg_isready" -q -h 127.0.0.1 -p "$port"; do
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.05
  done
}
for attempt in 1 2 3 4 5; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  if start; then break; fi
  ((attempt < 5)) || { cat log >&2; exit 1; }
done
echo "$port"
while read -r word; do
  case "$word" in
    down) kill -QUIT "$server"; wait "$server" || true ;;
    up) start ;;
    freeze) kill -STOP "$server" $(ps -o pid= --ppid "$server") ;;
    thaw) kill -CONT "$server" $(ps -o pid= --ppid "$server") ;;
  esac
  echo "$word"
done
