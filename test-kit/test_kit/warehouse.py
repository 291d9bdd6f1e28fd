"""A small destination for the demo and the tests: a DuckDB file that upserts by primary key.

It does what the platform and a typed warehouse do together. Rows and the state that covers them are committed in one
transaction, so a sync that ends anywhere can resume from the file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson

from test_kit.catalogs import primary_key

#: Rows of all streams that are buffered before they are written, with or without a state
FLUSH_ROWS = 50_000
_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN"}


def column_type(schema: Mapping[str, Any]) -> str:
    """The DuckDB type of a field of a JSON schema. Everything but a single scalar type is JSON."""
    types = schema.get("type", [])
    scalar = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
    if len(scalar) != 1 or scalar[0] not in _TYPES:
        return "JSON"
    if scalar[0] == "string" and schema.get("format") == "date-time":
        return "TIMESTAMPTZ"
    return _TYPES[scalar[0]]


def append_rows(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Appends rows to a table, which is made where there is none. `columns` have DuckDB types, and rows no others."""
    declared = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(table)} ({declared})")
    with tempfile.NamedTemporaryFile("wb", suffix=".ndjson") as file:
        file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        file.flush()
        connection.execute(
            f"INSERT INTO {_quoted(table)} FROM read_json(?, columns=?, format='newline_delimited')",
            [file.name, dict(columns)],
        )


class Table:
    """The table of one stream, and the rows that are not written yet."""

    def __init__(self, stream: Mapping[str, Any], overwrite: bool) -> None:
        self.name: str = stream["name"]
        self.key = primary_key(stream)
        properties = stream["json_schema"].get("properties", {})
        self.columns = {name: column_type(field) for name, field in properties.items()}
        self.overwrite = overwrite
        self.buffered: list[bytes] = []
        self.rows_read = 0


def _stream_of(state: Mapping[str, Any]) -> str:
    return str(state["stream"]["stream_descriptor"]["name"])


def _is_unfinished(state: Mapping[str, Any]) -> bool:
    return bool(state["stream"]["stream_state"].get("__ab_full_refresh_unfinished"))


class Warehouse:
    """A schema of a DuckDB file: one table for each stream, and the states of the last sync."""

    def __init__(self, path: str | Path, schema: str = "main") -> None:
        self.connection = duckdb.connect(str(path))
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
        self.connection.execute(f"USE {_quoted(schema)}")
        self.connection.execute("CREATE TABLE IF NOT EXISTS _state (stream VARCHAR PRIMARY KEY, message VARCHAR)")
        self._tables: dict[str, Table] = {}
        self._states: dict[str, str] = {}

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    def states(self) -> list[dict[str, Any]]:
        """The state messages for the next sync, in the form of the option `--state`."""
        return [json.loads(text) for (text,) in self.connection.execute("SELECT message FROM _state").fetchall()]

    def begin(self, catalog: Mapping[str, Any]) -> None:
        """Creates the tables of a configured catalog. Tables in overwrite mode are emptied and their states deleted.

        Columns that a table lacks are added. If the state belongs to an unfinished full refresh, rows and state stay
        and it continues, as on the platform.
        """
        self._tables = {}
        unfinished = {_stream_of(state) for state in self.states() if _is_unfinished(state)}
        for configured in catalog["streams"]:
            table = Table(configured["stream"], configured["destination_sync_mode"] == "overwrite")
            self._tables[table.name] = table
            columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in table.columns.items())
            self.connection.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(table.name)} ({columns})")
            held = {row[0] for row in self.connection.execute(f"DESCRIBE {_quoted(table.name)}").fetchall()}
            for name in table.columns.keys() - held:
                added = f"{_quoted(name)} {table.columns[name]}"
                self.connection.execute(f"ALTER TABLE {_quoted(table.name)} ADD COLUMN {added}")
            if table.overwrite and table.name not in unfinished:
                self.connection.execute(f"DELETE FROM {_quoted(table.name)}")
                self.connection.execute("DELETE FROM _state WHERE stream = ?", [table.name])

    def load(self, lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
        """Loads the output of a connector. Yields every message that is not a record and not a state.

        If the output breaks off, the rows up to the last flush are kept, as by a real destination.
        """
        buffered = 0
        for line in lines:
            message = orjson.loads(line)
            match message["type"]:
                case "RECORD":
                    table = self._tables[message["record"]["stream"]]
                    table.buffered.append(orjson.dumps(message["record"]["data"]))
                    table.rows_read += 1
                    buffered += 1
                    if buffered >= FLUSH_ROWS:
                        self.flush()
                        buffered = 0
                case "STATE":
                    self._states[_stream_of(message["state"])] = orjson.dumps(message["state"]).decode()
                case _:
                    yield message
        self.flush()

    def flush(self) -> None:
        """Writes the buffered rows, then the states that arrived with them, in one transaction."""
        self.connection.begin()
        for table in self._tables.values():
            if table.buffered:
                self._write(table)
        for stream, text in self._states.items():
            self.connection.execute("INSERT OR REPLACE INTO _state VALUES (?, ?)", [stream, text])
        self.connection.commit()
        self._states.clear()

    def rows_read(self) -> dict[str, int]:
        """The number of records of each stream in this sync, repeated records included."""
        return {table.name: table.rows_read for table in self._tables.values()}

    def count(self, stream: str) -> int:
        """The number of rows in a table."""
        found = self.connection.execute(f"SELECT count(*) FROM {_quoted(stream)}").fetchone()
        assert found is not None
        return int(found[0])

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """All rows of a table as dicts, with JSON columns decoded."""
        table = self._tables[stream]
        cursor = self.connection.execute(f"SELECT * FROM {_quoted(stream)}")
        names = [column[0] for column in cursor.description]
        return [
            {
                name: json.loads(value) if table.columns[name] == "JSON" and value is not None else value
                for name, value in zip(names, row, strict=True)
            }
            for row in cursor.fetchall()
        ]

    def _write(self, table: Table) -> None:
        """Upserts the buffered rows. Of rows with the same key the last one stays."""
        with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
            file.write(b"\n".join(table.buffered))
            file.flush()
            table.buffered.clear()
            wanted = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in table.columns.items())
            self.connection.execute(
                "CREATE OR REPLACE TEMP TABLE incoming AS SELECT *, row_number() OVER () AS _position FROM "
                f"read_json({_text(file.name)}, columns={{{wanted}}}, format='newline_delimited', "
                "maximum_object_size=67108864)"
            )
        name = _quoted(table.name)
        if table.key:
            key = ", ".join(map(_quoted, table.key))
            equal = " AND ".join(f"old.{_quoted(part)} IS NOT DISTINCT FROM new.{_quoted(part)}" for part in table.key)
            self.connection.execute(f"DELETE FROM {name} old USING incoming new WHERE {equal}")
            latest = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _position DESC) = 1"
        else:
            latest = ""
        self.connection.execute(f"INSERT INTO {name} BY NAME SELECT * EXCLUDE (_position) FROM incoming {latest}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
