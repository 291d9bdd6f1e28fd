"""What a sync added and changed: the tables before and after it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
from test_kit.catalogs import primary_key

#: Columns that say when or by which dump a row was read. They differ at every reading, and are no change of the row.
_OF_THE_READING = {"read_at", "read_day", "_heap_dump_id", "_heap_generation", "_heap_file", "_heap_position"}


@dataclass(frozen=True)
class Changes:
    """Rows of a table whose key is new, and rows with other content than before under their key."""

    new: int
    changed: int


class Before:
    """The tables of a schema before a sync, as hashes of keys and contents. They are gone with the connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: Mapping[str, Any]) -> None:
        self._connection = connection
        self._streams = [configured["stream"] for configured in catalog["streams"]]
        tables = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
        connection.execute("CREATE TEMP TABLE before (stream VARCHAR, key UBIGINT, content UBIGINT)")
        for stream in self._streams:
            name = stream["name"]
            if name in tables:
                held = {row[0] for row in connection.execute(f"DESCRIBE {_quoted(name)}").fetchall()}
                connection.execute(f"INSERT INTO before SELECT ?, * FROM ({_hashes(stream, held)})", [name])

    def changes(self) -> dict[str, Changes]:
        """What differs now, by stream."""
        return {stream["name"]: self._changes(stream) for stream in self._streams}

    def _changes(self, stream: Mapping[str, Any]) -> Changes:
        found = self._connection.execute(
            "SELECT count(*) FILTER (b.key IS NULL), count(*) FILTER (b.content <> now.content) "
            f"FROM ({_hashes(stream)}) AS now "
            "LEFT JOIN (SELECT * FROM before WHERE stream = ?) AS b ON b.key = now.key",
            [stream["name"]],
        ).fetchone()
        assert found is not None
        return Changes(*found)


def _hashes(stream: Mapping[str, Any], held: Container[str] | None = None) -> str:
    """Without a key a row is known by its content, and by its number among equal ones.

    `held` are the columns of the table, if it may be older than the catalog: those that it lacks are null.
    """
    columns = sorted(stream["json_schema"]["properties"])
    content = ", ".join(
        _quoted(name) if held is None or name in held else "NULL" for name in columns if name not in _OF_THE_READING
    )
    content = content or ", ".join(map(_quoted, columns))
    key = ", ".join(map(_quoted, primary_key(stream))) or f"{content}, row_number() OVER (PARTITION BY {content})"
    return f"SELECT hash({key}) AS key, hash({content}) AS content FROM {_quoted(stream['name'])}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
