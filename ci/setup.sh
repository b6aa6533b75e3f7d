#!/bin/sh
# Makes .venv in the checkout, installs gembench into it with the extras named by $1 (such as "test"; by default none),
# and prints the environment's folder. The second time it has nothing to do.
# PYTHON=python3.12 chooses the Python, VENV=/some/folder another place than .venv.
set -eu
cd "$(dirname "$0")/.."

extras=${1-}
venv=${VENV:-$PWD/.venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

fail() {
    echo "ci/setup.sh: $*" >&2
    exit 1
}

# The version of a Python that can be used, such as 3.12, else nothing; "$2" may ask for a module besides.
usable_version() {
    "$1" -c "import sys${2:+, $2}; sys.version_info < (3, 11) or print('%d.%d' % sys.version_info[:2])" 2>/dev/null || true
}

if [ -n "${PYTHON-}" ]; then
    python=$PYTHON
    [ -n "$(usable_version "$python")" ] || fail "PYTHON=$python is no Python 3.11 or newer."
elif [ -n "$(usable_version "$venv/bin/python" pip)" ]; then
    python=$venv/bin/python
else
    for python in python3 python3.13 python3.12 python3.11 none; do
        [ -z "$(usable_version "$python")" ] || break
    done
    [ "$python" != none ] || fail "no Python 3.11 or newer found; run: apt-get install python3 python3-venv"
fi
version=$(usable_version "$python")

if [ "$(usable_version "$venv/bin/python" pip)" != "$version" ]; then
    echo "ci/setup.sh: making $venv with Python $version" >&2
    if [ -n "$(usable_version "$python" ensurepip)" ]; then
        "$python" -m venv --clear "$venv"
    elif [ -n "$(usable_version "$python" pip)" ]; then
        # Debian and Ubuntu without python3-venv: the pip outside installs one inside.
        "$python" -m venv --clear --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install --quiet pip >&2
    else
        fail "$python cannot make virtual environments; run: apt-get install python$version-venv"
    fi
fi

stamp="$venv/.gembench-${extras:-base}"
# An installation is good for as long as what it depends on is the same, and the checkout lies where it lay.
wanted=$({ pwd && cat pyproject.toml; } | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "ci/setup.sh: installing gembench${extras:+[$extras]} into $venv" >&2
    # The links gembench/data, gembench/policies and gembench/evaluate are meant, and setuptools need not warn of them.
    PYTHONWARNINGS="ignore:Editable installation" "$venv/bin/python" -m pip install --quiet --editable ".${extras:+[$extras]}" >&2
    echo "$wanted" >"$stamp"
fi
echo "$venv"
