#!/bin/sh
# Sets the workspace up on a machine that has only Python and make: a pinned uv in ./.uv, then ./.venv from uv.lock.
#
#   tools/bootstrap.sh            uv and the workspace's environment
#   tools/bootstrap.sh uv         uv only
#   tools/bootstrap.sh python     prints the Python that would be used (PYTHON_MAX=3.12 lowers the ceiling)
#
# Nothing is installed outside this directory, apart from what uv and pip keep in their own caches. Indexes, proxies
# and certificates are taken from the environment and from the machine's pip and uv configuration, never set here.
# PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' tools/uv.txt) # one pin, with hashes, for machines and images
PYTHON_MAX=${PYTHON_MAX:-3.13}

fail() {
    echo "bootstrap: $*" >&2
    exit 1
}

# A version manager's shim may exist for a Python that is not there: only an interpreter that runs counts.
fits() {
    "$1" -c 'import sys
ceiling = tuple(map(int, sys.argv[1].split(".")))
sys.exit(not (3, 11) <= sys.version_info[:2] <= ceiling)' "$PYTHON_MAX" >/dev/null 2>&1
}

# The real interpreter behind a shim or an environment, so that no environment is built upon another one.
interpreter() {
    "$1" -c 'import os, sys
path = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
print(os.path.realpath(path) if os.path.exists(path) else sys.executable)'
}

find_python() {
    for name in ${PYTHON:+"$PYTHON"} .venv/bin/python python3.13 python3.12 python3.11 python3 python; do
        if fits "$name"; then
            interpreter "$name"
            return
        fi
        # a chosen Python is used or refused; only what needs an older one may look further
        if [ "$name" = "${PYTHON:-}" ] && [ "$PYTHON_MAX" = 3.13 ]; then
            fail "PYTHON=$PYTHON is not a Python 3.11 to $PYTHON_MAX."
        fi
    done
    # pyenv keeps versions that are not the chosen one off the PATH
    for candidate in "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.1[123]*/bin/python3; do
        if fits "$candidate"; then
            interpreter "$candidate"
            return
        fi
    done
    fail "no Python 3.11 to $PYTHON_MAX was found. Install one, or name it: PYTHON=/path/to/python make ..."
}

install_uv() {
    if [ "$(.uv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ]; then
        return
    fi
    echo "bootstrap: installing uv $UV_VERSION into .uv" >&2
    rm -rf .uv
    "$1" -m venv .uv >.uv.log 2>&1 || {
        cat .uv.log >&2
        rm -rf .uv .uv.log
        fail "$1 cannot make a virtual environment. Install its venv module (on Debian and Ubuntu: apt-get install python3-venv)."
    }
    rm -f .uv.log
    .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement tools/uv.txt || {
        rm -rf .uv
        fail "uv $UV_VERSION could not be installed from the package index. Check the network, the proxy and pip's configuration; an index that packs wheels anew has other hashes than tools/uv.txt."
    }
}

# The environment is built upon the chosen interpreter; uv never fetches one of its own.
export UV_PYTHON_DOWNLOADS=never
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}"
unset VIRTUAL_ENV || true

python=$(find_python)
case "${1:-}" in
python) echo "$python" ;;
uv) install_uv "$python" ;;
"")
    install_uv "$python"
    echo "bootstrap: installing the locked packages into .venv ($python)" >&2
    .uv/bin/uv sync --frozen --quiet --python "$python"
    # for make: everything above is up to date with the lock and the packages' own files
    touch .venv/.installed
    ;;
*) fail "unknown argument: $1" ;;
esac
