#!/bin/sh
# Scores published policies again and fails if one differs: all of them, or, given a branch or commit, those whose entry differs
# from it. PYTHON and VENV as in ci/setup.sh.
set -eu
environment=$(sh "$(dirname "$0")/setup.sh")
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    exec "$environment/bin/gembench" leaderboard verify
fi
names=$(git diff --merge-base --name-only --diff-filter=d "$1" -- policies/submissions gembench/leaderboard/catalog |
    sed -n 's|^policies/submissions/\([a-z0-9_]*\)/.*|\1|p; s|^gembench/leaderboard/catalog/\([a-z0-9_]*\)\.json$|\1|p' | sort -u)
if [ -z "$names" ]; then
    echo "ci/verify.sh: no entry differs from $1"
    exit
fi
# shellcheck disable=SC2086
exec "$environment/bin/gembench" leaderboard verify -- $names
