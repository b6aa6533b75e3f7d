#!/bin/sh
# Sets up what is missing, then runs the tests, some at a time: all that are not slow, or what the arguments for pytest
# say.
set -eu
environment=$(sh "$(dirname "$0")/setup.sh" test)
cd "$(dirname "$0")/.."
exec "$environment/bin/python" -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
