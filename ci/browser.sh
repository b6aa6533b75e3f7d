#!/bin/sh
# Sets up what tests in a browser need, Debian's Chromium and Playwright, and prints the environment's folder.
# PYTHON and VENV as in ci/setup.sh.
set -eu
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null; then
    echo "ci/browser.sh: installing chromium" >&2
    { apt-get update -qq && apt-get install -qq --yes chromium fonts-liberation; } >&2
fi
exec sh ci/setup.sh test,browser
