#!/bin/sh
# Looks up known vulnerabilities of every package that the lock installs with a connector or webhook-inlet: `make audit`.
#
#   tools/audit.sh [options of pip-audit]      e.g. --vulnerability-service osv, or --osv-url with a mirror of it
#
# The exit code is 1 if a package has a known vulnerability, and also if the service does not know a package or does not
# answer. tools/audit-accepted.txt lists accepted vulnerabilities, an identifier and the reason a line.
set -eu
cd "$(dirname "$0")/.."

PIP_AUDIT_VERSION=2.10.1
accepted=tools/audit-accepted.txt

tools/bootstrap.sh uv
list=$(mktemp)
trap 'rm -f "$list"' EXIT INT TERM
for package in source-*/metadata.yaml webhook-inlet/pyproject.toml; do
    .uv/bin/uv export --frozen --quiet --no-dev --no-emit-workspace --no-hashes --no-annotate --no-header \
        --package "$(dirname "$package")"
done | sort -u >"$list"
[ -s "$list" ] || {
    echo "audit: the lock has no packages" >&2
    exit 1
}

for identifier in $(sed -n 's/^\([A-Z][A-Za-z0-9-]*\) .*/\1/p' "$accepted"); do
    set -- "$@" --ignore-vuln "$identifier"
done
echo "audit: looking up $(wc -l <"$list") packages" >&2
UV_PYTHON_DOWNLOADS=never .uv/bin/uv tool run --quiet "pip-audit@$PIP_AUDIT_VERSION" \
    --requirement "$list" --no-deps --disable-pip --strict --progress-spinner off "$@"
