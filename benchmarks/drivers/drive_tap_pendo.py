"""Runs tap-pendo against a simulator. The tap has a fixed host and waits two seconds after each request.

    PYTHON benchmarks/drivers/drive_tap_pendo.py URL START_DATE KEY     (PYTHON: of the tap's own environment)

This script changes both. The waits cost no CPU seconds, but without them the benchmark ends sooner.
"""

from __future__ import annotations

import collections
import collections.abc
import json
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Discovers, selects `page_events` with its parent, and syncs."""
    url, start_date, key = sys.argv[1:4]
    time.sleep = lambda seconds: None
    for name in ("Mapping", "MutableMapping", "Iterable"):  # a pinned dependency of the tap still imports these names
        setattr(collections, name, getattr(collections.abc, name))
    import tap_pendo
    import tap_pendo.streams

    tap_pendo.streams.US_BASE_URL = url
    config = {
        "x_pendo_integration_key": key,
        "start_date": start_date,
        "period": "dayRange",
        "lookback_window": "0",
        "include_anonymous_visitors": "true",
    }
    with tempfile.TemporaryDirectory() as folder:
        config_file, catalog_file = Path(folder) / "config.json", Path(folder) / "catalog.json"
        config_file.write_text(json.dumps(config))
        catalog_file.write_text(json.dumps(selected(config)))
        sys.argv = ["tap-pendo", "--config", str(config_file), "--catalog", str(catalog_file)]
        tap_pendo.main()


def selected(config: dict[str, str]) -> dict[str, object]:
    """The tap's catalog, with `pages` and `page_events` selected."""
    from tap_pendo import discover

    # The tap's discovery fails on a custom field of type `list`, and the simulated subscription has one.
    discover.get_schema_property_type = lambda kind: {"type": ["null", "string"]}
    streams = discover.discover_streams(config)
    for stream in streams:
        if stream["tap_stream_id"] in ("pages", "page_events"):
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
    return {"streams": streams}


if __name__ == "__main__":
    main()
