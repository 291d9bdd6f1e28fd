"""Syncs by PyAirbyte, as its user would write them: `python sync.py` in PyAirbyte's own environment.

Importing PyAirbyte takes seconds, so one process is forked for each sync, whose end also closes the warehouse. It takes
a JSON document a line on stdin, and answers each with one on stdout:

    order    {"connector", "config", "executable": path or null, "image": tag or null, "streams": [...],
              "cache": {"kind": "duckdb", "path"} or {"kind": "postgres", "host", "port", "database", ...}}
    answer   {"records": how many were read} or {"error": text}
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
import warnings
from typing import Any

os.environ["AIRBYTE_OFFLINE_MODE"] = "1"  # no registry of connectors is asked, nothing is reported to anybody
os.environ["DO_NOT_TRACK"] = "1"
warnings.simplefilter("ignore")

import airbyte  # noqa: E402
from airbyte.caches import CacheBase, DuckDBCache, PostgresCache  # noqa: E402

_SHOWN = 5000


def cache_of(kind: str, **settings: Any) -> CacheBase:
    """The warehouse."""
    return PostgresCache(**settings) if kind == "postgres" else DuckDBCache(db_path=settings["path"])


def sync(order: dict[str, Any]) -> dict[str, Any]:
    """Check, discover and sync."""
    source = airbyte.get_source(
        order["connector"],
        config=order["config"],
        local_executable=order["executable"],
        docker_image=order["image"] or False,
        use_host_network=bool(order["image"]),
        install_if_missing=False,
    )
    source.check()
    source.select_streams(order["streams"])
    return {"records": source.read(cache=cache_of(**order["cache"])).processed_records}


def main() -> int:
    """One answer for each order."""
    while line := sys.stdin.readline():
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, answer(json.loads(line)).encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)  # the answer fits into the pipe
        with os.fdopen(reader) as pipe:
            print(pipe.read(), flush=True)
    return 0


def answer(order: dict[str, Any]) -> str:
    """Do what the order says; what came of it."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            return json.dumps(sync(order))
        except Exception:
            return json.dumps({"error": traceback.format_exc()[-_SHOWN:]})


if __name__ == "__main__":
    sys.exit(main())
