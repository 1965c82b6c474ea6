#!/usr/bin/env bash
# The service of a trial: llama.cpp's server with the settings that its
# environment names, see server.py. setup.sh has to be run once before.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ ! -x local/venv/bin/python ] || [ ! -f local/model.gguf ]; then
    echo "error: llama.cpp or its model is missing: run $PWD/setup.sh first" >&2
    exit 1
fi
# A context that is too large must fail here, not take the machine down.
ulimit -v "$((${MEMORY_LIMIT_MB:-2048} * 1024))"
# An abort ends it at once, without a debugger that looks into it.
export GGML_NO_BACKTRACE=1
exec local/venv/bin/python server.py
