#!/usr/bin/env bash
# Tunes the same training with two samplers and several seeds each, one study
# after the other, for the comparison in README.md.
#
#   ./compare.sh FOLDER                         into FOLDER
#   SAMPLERS=coordinate SEEDS="1 2" ./compare.sh FOLDER
#
# Each study has a folder of its own there, FOLDER/SAMPLER-SEED, and is not
# begun anew where it is. For the sampler `advisor`, ./advisor.sh has to run.
set -euo pipefail

if [ $# -ne 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd -P)
cd "$(dirname "${BASH_SOURCE[0]}")"

for seed in ${SEEDS:-1 2 3}; do
    for sampler in ${SAMPLERS:-coordinate advisor}; do
        study=$folder/$sampler-$seed
        mkdir -p "$study"
        ln -sfn "$PWD/local" "$study/local"
        ln -sf "$PWD/train.py" "$study/train.py"
        sed -e "s/^seed = .*/seed = $seed/" -e "s/^SEED = .*/SEED = $seed/" \
            -e "s/^name = \"sentence-pairs\"/name = \"$sampler-$seed\"/" \
            -e "s/^sampler = .*/sampler = \"$sampler\"/" autotune.toml >"$study/autotune.toml"
        autotuned run --no-socket --output-dir "$study/out" "$study/autotune.toml"
    done
done
