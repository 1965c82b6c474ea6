#!/usr/bin/env bash
# The language model that advises: SmolLM2-135M-Instruct on the CPU, by the
# server of ../llama-cpp, whose setup.sh has to be run once before. It listens
# on PORT, 8092 otherwise, until Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export PORT=${PORT:-8092} N_CTX=${N_CTX:-8192} N_THREADS=${N_THREADS:-1}
# One thread: several that wait for each other are far slower where the cores are
# busy with training.
export N_THREADS_BATCH=${N_THREADS_BATCH:-1} MEMORY_LIMIT_MB=${MEMORY_LIMIT_MB:-4096}
exec bash ../llama-cpp/run_model.sh
