#!/bin/sh
# Runs the kit's unit tests with the newest airbyte-cdk that the packages allow: `make newest-cdk`. Needs the network.
#
#   tools/newest-cdk.sh [options of pytest]
#
# The CDK comes with all that it requires; `dependency-metadata` in pyproject.toml trims the locked version only. Every
# other package is the locked one, unless the new CDK refuses it. Nothing changes but .cache/newest-cdk.
set -eu
cd "$(dirname "$0")/.."

folder=.cache/newest-cdk
list=$folder/requirements.txt
python=$folder/venv/bin/python
version='import importlib.metadata; print(importlib.metadata.version("airbyte-cdk"))'
export UV_PYTHON_DOWNLOADS=never
unset VIRTUAL_ENV || true

mkdir -p "$folder"
# uv keeps to the versions that the output file names; so those of the lock stand in it first
.uv/bin/uv export --frozen --quiet --no-emit-workspace --no-hashes --no-annotate --no-header >"$list"
# --no-config: without the workspace's dependency-metadata
.uv/bin/uv pip compile --no-config --quiet --upgrade-package airbyte-cdk --python .venv/bin/python --no-annotate \
    --no-header --output-file "$list" --group dev pyproject.toml >/dev/null
.uv/bin/uv venv --no-config --quiet --clear --python .venv/bin/python "$folder/venv"
.uv/bin/uv pip sync --no-config --quiet --python "$python" "$list"
echo "newest-cdk: airbyte-cdk $("$python" -c "$version"); the lock has $(.venv/bin/python -c "$version")"
"$python" -m pytest -q source-kit/unit_tests "$@"
