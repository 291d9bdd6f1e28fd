"""The runs of the demo, kept in its DuckDB file beside the rows."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime

import duckdb

#: Further days of the simulated vendors have no data
DAYS = 12
_TABLES = """
CREATE SCHEMA IF NOT EXISTS _demo;
CREATE TABLE IF NOT EXISTS _demo.runs (
  number INTEGER PRIMARY KEY, size VARCHAR, present TIMESTAMPTZ, place VARCHAR, seconds DOUBLE, inlet_seconds DOUBLE
);
CREATE TABLE IF NOT EXISTS _demo.streams (
  run INTEGER, connector VARCHAR, stream VARCHAR, sync VARCHAR, read BIGINT, new BIGINT, changed BIGINT, held BIGINT,
  seconds DOUBLE, status VARCHAR
);
"""


@dataclass(frozen=True)
class StreamRun:
    """What one run read of one stream."""

    run: int
    connector: str
    stream: str
    sync: str
    """`first`, `incremental` (from a state), or `full`: a stream without cursor, which is read whole each time."""
    read: int
    """Records, those that the table had already included."""
    new: int
    changed: int
    held: int
    """Rows of the table after the run."""
    seconds: float
    status: str


@dataclass(frozen=True)
class Run:
    """One run of the demo. `seconds` are None while it runs, and for ever if it was broken off."""

    number: int
    size: str
    present: datetime
    """The present of the simulated vendors."""
    place: str
    seconds: float | None = None
    inlet_seconds: float | None = None
    """From a posted event to its row, a sync included."""


class History:
    """The runs in a DuckDB file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(_TABLES)

    def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        return [Run(*row) for row in self._connection.execute("FROM _demo.runs ORDER BY number").fetchall()]

    def keep(self, run: Run) -> None:
        """Keeps what is known of a run."""
        self._connection.execute("INSERT OR REPLACE INTO _demo.runs VALUES (?, ?, ?, ?, ?, ?)", list(astuple(run)))

    def streams(self, run: int) -> list[StreamRun]:
        """The streams of a run, in their order."""
        found = self._connection.execute("FROM _demo.streams WHERE run = ? ORDER BY rowid", [run])
        return [StreamRun(*row) for row in found.fetchall()]

    def keep_streams(self, streams: list[StreamRun]) -> None:
        """Keeps what a run read."""
        for stream in streams:
            values = list(astuple(stream))
            self._connection.execute("INSERT INTO _demo.streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def expected(self, run: int) -> dict[tuple[str, str], int]:
        """Records to expect of a run's streams, by connector and name: as many as the last sync of the kind had."""
        found = self._connection.execute(
            "SELECT connector, stream, last(read ORDER BY run) FROM _demo.streams "
            "WHERE run < ? AND sync <> 'first' GROUP BY ALL",
            [run],
        )
        return {(connector, stream): read for connector, stream, read in found.fetchall()}
