"""Runs tap-heap on the benchmark's bucket, with every stream selected.

    PYTHON benchmarks/drivers/drive_tap_heap.py BUCKET     (PYTHON: of the tap's own environment)

The tap finds server and keys in the environment (`AWS_ENDPOINT_URL` and the AWS tools' own names). As it can list the
bucket with them, it assumes no role. Nothing of it is changed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Discovers, selects everything, and syncs."""
    import tap_heap
    from tap_heap.discover import discover_streams

    config = dict.fromkeys(("account_id", "external_id", "role_name"), "unused")
    config |= {"bucket": sys.argv[1], "start_date": "2020-01-01T00:00:00Z"}
    streams = discover_streams(config["bucket"])
    for stream in streams:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    with tempfile.TemporaryDirectory() as folder:
        config_file, catalog_file = Path(folder) / "config.json", Path(folder) / "catalog.json"
        config_file.write_text(json.dumps(config))
        catalog_file.write_text(json.dumps({"streams": streams}))
        sys.argv = ["tap-heap", "--config", str(config_file), "--properties", str(catalog_file)]
        tap_heap.main()


if __name__ == "__main__":
    main()
