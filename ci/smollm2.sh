#!/bin/sh
# Makes the SmolLM2 tree in the folder $1 (13 GB, an hour or two on two cores) and records it there: the embedded tensor
# smollm2-135m. Both steps go on where they stopped.
set -eu
output=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
environment=$(sh ci/engines.sh)
export OMP_WAIT_POLICY=PASSIVE
"$environment/bin/python" ci/smollm2_tree.py --output "$output/models"
# Two engines of one thread each share two cores better than one engine of two.
OMP_NUM_THREADS=1 "$environment/bin/gembench" record --models "$output/models/models.csv" --suite ci/smollm2/suite.yaml \
    --engine hf:dtype=bfloat16 --num-workers 2 --output "$output/smollm2-135m.zarr"
