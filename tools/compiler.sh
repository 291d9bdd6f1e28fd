#!/bin/sh
# Installs a C compiler and the headers of libc and Python on a Debian system, if they are missing: for the builds of
# the modules in C of the connectors. Runs as root: in the builder stage of their images (see Dockerfile), in
# tools/base-image.sh and in .ci/run. Nothing of it gets into an image.
#
# The mirrors are those of the system. Proxies come from the environment, certificates of your own from the secret `ca`.
# PYTHON=/path/to/python is the interpreter to compile for.
set -eu

headers=$("${PYTHON:-python3}" -c 'import sysconfig; print(sysconfig.get_path("include"))')
packages=
command -v gcc >/dev/null || packages="gcc libc6-dev"
# the public image of Python has its headers, Debian's Python has them in a package
[ -e "$headers/Python.h" ] || packages="$packages libpython3-dev"
[ -n "$packages" ] || exit 0

set --
if [ -s /run/secrets/ca ]; then set -- -o Acquire::https::CaInfo=/run/secrets/ca; fi
export DEBIAN_FRONTEND=noninteractive
apt-get "$@" update -q --error-on=any
# shellcheck disable=SC2086 # several packages, separated by spaces
apt-get "$@" install -q -y --no-install-recommends $packages
