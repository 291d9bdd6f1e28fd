#!/bin/sh
# Writes a bill of materials for each connector into dist/ (or $DIST): tools/sbom.sh source-pendo ...
#
# If the connector's image (source-*:dev) is built, the bill is copied from it. An image with other packages than the lock is
# an error. Without the image the same generator lists the Python packages only, and the output says so.
set -eu
cd "$(dirname "$0")/.."

dist=${DIST:-dist}
mkdir -p "$dist"
for connector in "$@"; do
    bill=$dist/$connector.cdx.json
    if docker image inspect "$connector:dev" >/dev/null 2>&1; then
        docker run --rm --network none --entrypoint cat "$connector:dev" "/opt/connector/share/sbom/$connector.cdx.json" >"$bill"
        .venv/bin/python tools/sbom.py "$connector" --same-packages "$bill" || {
            rm -f "$bill"
            echo "sbom: $connector:dev has other packages than the lock; run make images" >&2
            exit 1
        }
        echo "$bill: from the image $connector:dev"
    else
        .venv/bin/python tools/sbom.py "$connector" >"$bill"
        echo "$bill: Python packages only. For the interpreter and the system packages build $connector:dev first (make images)"
    fi
done
