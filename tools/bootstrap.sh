#!/bin/sh
# Sets up the workspace on a machine with Python and make: a pinned uv in ./.uv, then ./.venv from uv.lock.
#
#   tools/bootstrap.sh            installs uv and the environment of the workspace
#   tools/bootstrap.sh uv         installs uv only
#   tools/bootstrap.sh python     prints the Python that it would use (PYTHON_MAX=3.12: the newest allowed version)
#
# Nothing is installed outside this directory, except the caches of uv and pip. Package indexes, proxies and certificates
# come from the environment and from the configuration of pip and uv. PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' tools/uv.txt) # the one place that pins uv, with hashes, also for the images
PYTHON_MAX=${PYTHON_MAX:-3.13}

fail() {
    echo "bootstrap: $*" >&2
    exit 1
}

# Whether a Python runs and has an allowed version. A version manager can have a shim for a Python that is not installed.
fits() {
    "$1" -c 'import sys
ceiling = tuple(map(int, sys.argv[1].split(".")))
sys.exit(not (3, 11) <= sys.version_info[:2] <= ceiling)' "$PYTHON_MAX" >/dev/null 2>&1
}

# Prints the real interpreter behind a shim or an environment. An environment must not be based on another one.
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
        # PYTHON is used or refused. Only a lower PYTHON_MAX allows to look for another one.
        if [ "$name" = "${PYTHON:-}" ] && [ "$PYTHON_MAX" = 3.13 ]; then
            fail "PYTHON=$PYTHON is not a Python 3.11 to $PYTHON_MAX."
        fi
    done
    # pyenv has further versions that are not on the PATH
    for candidate in "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.1[123]*/bin/python3; do
        if fits "$candidate"; then
            interpreter "$candidate"
            return
        fi
    done
    fail "no Python 3.11 to $PYTHON_MAX was found. Install one, or set its path: PYTHON=/path/to/python make ..."
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
        fail "uv $UV_VERSION could not be installed from the package index. Check the network, the proxy and pip's configuration. An index that repacks wheels has other hashes than tools/uv.txt."
    }
}

# The environment uses the chosen interpreter. uv must not download another one.
export UV_PYTHON_DOWNLOADS=never
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}"
unset VIRTUAL_ENV || true

python=$(find_python)
case "${1:-}" in
python) echo "$python" ;;
uv) install_uv "$python" ;;
"")
    install_uv "$python"
    echo "bootstrap: installing the locked packages into .venv ($python) and building the modules in C; the first time this \
downloads about 140 MB and takes a minute or two, later it takes seconds" >&2
    began=$(date +%s)
    # Packages with a module in C are built each time, since uv does not notice that a module is gone or that a compiler
    # came. The old module must not survive a failed build.
    rm -f source-*/source_*/*/native.*.so
    .uv/bin/uv sync --frozen --quiet --python "$python" --reinstall-package source-heap --reinstall-package source-pendo \
        --reinstall-package source-customerio
    missing=
    for folder in source-*/native; do
        package=${folder%/native}
        set -- "$package"/source_*/*/native.abi3.so
        [ -e "$1" ] || missing="$missing${missing:+ and }$package"
    done
    [ -z "$missing" ] || echo "bootstrap: no module in C is built for $missing, so reading takes longer; \
everything else is the same. It needs a C compiler (on Debian and Ubuntu: apt-get install gcc libc6-dev). With one, this \
command shows what is wrong: .uv/bin/uv build --wheel --package ${missing%% *}" >&2
    echo "bootstrap: done after $(($(date +%s) - began)) s" >&2
    # make compares the time of this file with the lock and the pyproject.toml files
    touch .venv/.installed
    ;;
*) fail "unknown argument: $1" ;;
esac
