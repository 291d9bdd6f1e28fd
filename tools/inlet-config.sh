#!/bin/sh
# Writes .env for compose.yaml: the inlet's paths, keys and read token, each fresh and random.
#
#   tools/inlet-config.sh [HOST]      HOST: the public name of this machine, such as inlet.example.com
#
# With HOST, Caddy gets a certificate for it and listens on the ports 80 and 443. Without it, plain http on this machine
# only. An existing .env is never changed.
set -eu
cd "$(dirname "$0")/.."

host=${1:-}
if [ -e .env ]; then
    echo "inlet-config: .env exists, and its paths and keys may be in use. To start anew, remove it first." >&2
    exit 1
fi

# 256 random bits in hexadecimal digits
fresh() { od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n'; }

umask 077
{
    echo "# Secret. compose.yaml and deploy/inlet.yaml read it. After a change: docker compose up -d"
    if [ -n "$host" ]; then
        printf 'INLET_HOST=%s\nINLET_HTTP=80\nINLET_HTTPS=443\n' "$host"
    fi
    echo "# For the connectors and the status page"
    echo "INLET_READ_TOKEN=$(fresh)"
    echo "# The secret of the webhook in Pendo"
    printf 'PENDO_PATH=%s\nPENDO_SECRET=%s\n' "$(fresh)" "$(fresh)"
    echo "# Put the signing key here that Customer.io shows for the reporting webhook; until then only the demo can post"
    printf 'CUSTOMERIO_PATH=%s\nCUSTOMERIO_SECRET=%s\n' "$(fresh)" "$(fresh)"
} >.env
echo "inlet-config: .env is written."
