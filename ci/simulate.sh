#!/bin/sh
# Sets up what is missing, then runs `gembench simulate`: all policies on all embedded tensors, or what the arguments say.
set -eu
environment=$(sh "$(dirname "$0")/setup.sh" plot,parquet)
exec "$environment/bin/gembench" simulate "$@"
