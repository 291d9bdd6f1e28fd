#!/bin/sh
# Writes a bill of materials for each connector into dist/ (or $DIST): tools/sbom.sh source-pendo ...
#
# Where the connector's image (source-*:dev) is here, its bill is the one that the image carries, byte for byte; an image
# of another lock is refused. Elsewhere the bill holds the Python packages alone, by the same generator, and says so.
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
            echo "sbom: $connector:dev was built from another lock; make images builds it anew" >&2
            exit 1
        }
        echo "$bill: from the image $connector:dev"
    else
        .venv/bin/python tools/sbom.py "$connector" >"$bill"
        echo "$bill: Python packages only; interpreter and system packages are an image's, and $connector:dev is not here (make images)"
    fi
done
