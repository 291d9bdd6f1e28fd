"""One connector: discover, then a sync of all its streams into its own schema of the DuckDB file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from test_kit.catalogs import configured
from test_kit.warehouse import Warehouse

from demo.changes import Before
from demo.history import StreamRun
from demo.inlet import write
from demo.programs import Place
from demo.progress import Board


@dataclass(frozen=True)
class Reader:
    """A connector with a folder that holds its configuration."""

    connector: str
    place: Place
    folder: Path

    def discover(self) -> dict[str, Any]:
        """The configured catalog of all streams that the connector offers."""
        said = []
        with self.place.start(self.connector, self._arguments("discover", "config"), {self.folder: "ro"}) as program:
            for line in program.lines:
                message = json.loads(line)
                if message["type"] == "CATALOG":
                    return configured(message["catalog"])
                said.append(line.decode())
        sys.exit(f"{self.connector}: discover failed:\n{''.join(said)}")

    def read(self, catalog: Mapping[str, Any], warehouse: Warehouse, seen: Callable[[dict[str, Any]], object]) -> int:
        """Reads a catalog's streams, whose tables are ready, from their states. Returns the connector's exit code."""
        names = {configured["stream"]["name"] for configured in catalog["streams"]}
        states = [state for state in warehouse.states() if state["stream"]["stream_descriptor"]["name"] in names]
        write(self.folder / "catalog.json", catalog)
        write(self.folder / "state.json", states)
        files = ["config", "catalog", *(["state"] if states else [])]
        with self.place.start(self.connector, self._arguments("read", *files), {self.folder: "ro"}) as program:
            for message in warehouse.load(program.lines):
                seen(message)
            return program.wait()

    def _arguments(self, verb: str, *files: str) -> list[str]:
        named = ((f"--{name}", self.place.path(self.folder / f"{name}.json")) for name in files)
        return [verb, *(argument for pair in named for argument in pair)]


@dataclass
class Sync:
    """One connector's sync while it runs: times and statuses of its streams, and what failed."""

    connector: str
    board: Board
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def run(
        self, reader: Reader, warehouse: Warehouse, catalog: Mapping[str, Any], run: int
    ) -> tuple[list[StreamRun], bool]:
        """Reads a catalog of all streams. What it brought, and whether that is all."""
        before = Before(warehouse.connection, catalog)
        resumed = {state["stream"]["stream_descriptor"]["name"] for state in warehouse.states()}
        begun = time.monotonic()
        warehouse.begin(catalog)
        self.board.begins(self.connector, len(catalog["streams"]), warehouse.rows_read)
        code = reader.read(catalog, warehouse, self._see)
        changes, read = before.changes(), warehouse.rows_read()
        streams = []
        for configured_stream in catalog["streams"]:
            name = configured_stream["stream"]["name"]
            kind = "incremental" if name in resumed else "first"
            if configured_stream["sync_mode"] == "full_refresh":
                kind = "full"
            streams.append(
                StreamRun(
                    *(run, self.connector, name, kind, read[name], changes[name].new, changes[name].changed),
                    *(warehouse.count(name), self.seconds.get(name, 0.0), self.statuses.get(name, "NOT STARTED")),
                )
            )
        self.board.ends(self.connector, sum(read.values()), time.monotonic() - begun, code, self.failures)
        return streams, code == 0

    def _see(self, message: Mapping[str, Any]) -> None:
        """Follows the sync by the connector's messages."""
        trace = message.get("trace", {})
        if trace.get("type") == "STREAM_STATUS":
            name, status = trace["stream_status"]["stream_descriptor"]["name"], trace["stream_status"]["status"]
            self.statuses[name] = status
            if status == "STARTED":
                self.started[name] = time.monotonic()
                self.board.stream_begins(self.connector, name)
            elif status in ("COMPLETE", "INCOMPLETE"):
                self.seconds[name] = time.monotonic() - self.started.get(name, time.monotonic())
                self.board.stream_ends(self.connector, name, self.seconds[name], status == "COMPLETE")
        elif trace.get("type") == "ERROR":
            stream = trace["error"].get("stream_descriptor") or {"name": self.connector}
            self.failures.append(f"{stream['name']}: {trace['error']['message']}")
        elif message["type"] == "LOG" and message["log"]["level"] in ("WARN", "ERROR", "FATAL"):
            self.board.log(f"{self.connector}: {message['log']['message']}")
