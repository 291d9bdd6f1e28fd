#!/bin/sh
# Writes a bill of materials for each image into dist/ (or $DIST): tools/sbom.sh source-pendo webhook-inlet ...
#
# If the image (source-*:dev, webhook-inlet:dev) is built, the bill is copied from it. An image with other packages than the lock is
# an error. Without the image the same generator lists the Python packages only, and the output says so.
set -eu
cd "$(dirname "$0")/.."

dist=${DIST:-dist}
mkdir -p "$dist"
for package in "$@"; do
    bill=$dist/$package.cdx.json
    if docker image inspect "$package:dev" >/dev/null 2>&1; then
        docker run --rm --network none --entrypoint cat "$package:dev" "/opt/connector/share/sbom/$package.cdx.json" >"$bill"
        .venv/bin/python tools/sbom.py "$package" --same-packages "$bill" || {
            rm -f "$bill"
            echo "sbom: $package:dev has other packages than the lock; run make images" >&2
            exit 1
        }
        echo "$bill: from the image $package:dev"
    else
        .venv/bin/python tools/sbom.py "$package" >"$bill"
        echo "$bill: Python packages only. For the interpreter and the system packages build $package:dev first (make images)"
    fi
done
