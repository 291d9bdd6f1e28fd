"""Writes what the suite compares with: expected records of a connector, and the spec and catalog of a release.

    python integration_tests/snapshots.py records source-pendo     after a wanted change of the records
    python integration_tests/snapshots.py release source-pendo     at a release, after its version was raised

`records` takes two rows of every stream from the simulator into the connector's expected_records.jsonl.
`release` writes integration_tests/releases/<connector>-<version>/; test_backward_compatibility.py holds every later
version against it. A release that is there already is left alone: its users have what it says.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from harness.runner import Runner
from harness.suite import RELEASES, Connector, connectors
from harness.vendors import MOMENT, running
from test_kit.catalogs import key_of, primary_key

import simulators  # noqa: F401 - before integration_tests is searched for it

ROWS = 2


def release_folder(connector: Connector, version: str) -> Path:
    """Where the snapshot of a release lies."""
    return RELEASES / f"{connector.name}-{version}"


def write_records(connector: Connector, runner: Runner) -> str:
    """Write the first rows of every stream, ordered by key."""
    keys = {stream["name"]: primary_key(stream) for stream in runner.catalog["streams"]}
    lines = [
        json.dumps({"stream": name, "data": row}, sort_keys=True, ensure_ascii=False)
        for name, rows in sorted(runner.read().succeeded().records.items())
        for row in sorted(rows, key=lambda row: key_of(row, keys[name]))[:ROWS]  # slices end in any order
    ]
    path = connector.sample("expected_records.jsonl")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{path}: {len(lines)} records"


def write_release(connector: Connector, runner: Runner) -> str:
    """Write the specification and the catalog of the version in metadata.yaml."""
    folder = release_folder(connector, connector.metadata["dockerImageTag"])
    if folder.exists():
        return f"{folder} is there already; raise dockerImageTag in {connector.name}/metadata.yaml first"
    folder.mkdir(parents=True)
    for name, content in (("spec", runner.run("spec").spec), ("catalog", runner.catalog)):
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return f"{folder} written"


def main() -> int:
    """Write one of the two for one connector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["records", "release"])
    parser.add_argument("connector", choices=[connector.name for connector in connectors()])
    options = parser.parse_args()
    connector = next(connector for connector in connectors() if connector.name == options.connector)
    with running(connector, moment=MOMENT) as vendor, tempfile.TemporaryDirectory() as folder:
        runner = Runner(connector, vendor, Path(folder))
        print(write_records(connector, runner) if options.what == "records" else write_release(connector, runner))
    return 0


if __name__ == "__main__":
    sys.exit(main())
