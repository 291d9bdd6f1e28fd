"""PyAirbyte as a process, and the tables that it writes in DuckDB and in PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import duckdb
import psycopg
from harness.postgres import Postgres
from harness.suite import ROOT
from test_kit.catalogs import Row

_FOLDER = ROOT / "integration_tests" / "clients" / "pyairbyte"
_OWN = "_airbyte_"

#: JSON type and format -> the types that PyAirbyte gives a column in (DuckDB, PostgreSQL)
_TYPES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("string", ""): ("VARCHAR", "character varying"),
    ("string", "date-time"): ("TIMESTAMP", "timestamp without time zone"),
    ("string", "date"): ("DATE", "date"),
    ("integer", ""): ("BIGINT", "bigint"),
    ("number", ""): ("DECIMAL(38,9)", "numeric"),
    ("boolean", ""): ("BOOLEAN", "boolean"),
    ("object", ""): ("JSON", "json"),
    ("array", ""): ("JSON", "json"),
}


class PyAirbyte:
    """The process that syncs; see `integration_tests/clients/pyairbyte/sync.py`."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [_FOLDER / ".venv" / "bin" / "python", _FOLDER / "sync.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=tempfile.gettempdir(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def sync(self, **order: Any) -> int:
        """One sync; how many records were read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(self._errors.read()[-3000:])
        answer = json.loads(line)
        assert "error" not in answer, answer["error"][-3000:]
        return int(answer["records"])


def expected_type(field: Mapping[str, Any], kind: int) -> str | None:
    """The type that a column must have; None for a field that has more than one type, or none, in the schema."""
    declared = field.get("type", [])
    types = [name for name in ([declared] if isinstance(declared, str) else declared) if name != "null"]
    if len(types) != 1:
        return None
    return _TYPES[types[0], field.get("format", "")][kind]


@dataclass(frozen=True)
class DuckDb:
    """A DuckDB file."""

    path: Path
    kind = 0

    def cache(self) -> Row:
        """For PyAirbyte."""
        return {"kind": "duckdb", "path": str(self.path)}

    def types(self, table: str) -> dict[str, str]:
        """Columns and their types, without PyAirbyte's own."""
        return _without_own(
            self._ask("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ?", [table])[1]
        )

    def rows(self, table: str) -> list[Row]:
        """A table."""
        types = self.types(table)
        names, rows = self._ask(f'SELECT * FROM main."{table}"')
        return [_plain(names, row, [name for name, kind in types.items() if kind == "JSON"]) for row in rows]

    def _ask(self, query: str, values: Sequence[str] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            cursor = connection.execute(query, list(values))
            return [column[0] for column in cursor.description], cursor.fetchall()


@dataclass(frozen=True)
class PostgresSchema:
    """A schema of a PostgreSQL server."""

    server: Postgres
    name: str
    kind = 1

    def cache(self) -> Row:
        """For PyAirbyte."""
        server = self.server
        return {
            **{"kind": "postgres", "host": server.host, "port": server.port, "database": server.database},
            **{"username": server.username, "password": server.password, "schema_name": self.name},
        }

    def types(self, table: str) -> dict[str, str]:
        """Columns and their types, without PyAirbyte's own."""
        query = (
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        )
        return _without_own(self._ask(query, [self.name, table])[1])

    def rows(self, table: str) -> list[Row]:
        """A table; psycopg has decoded the JSON columns."""
        names, rows = self._ask(f'SELECT * FROM "{self.name}"."{table}"')
        return [_plain(names, row, ()) for row in rows]

    def _ask(self, query: str, values: Sequence[str] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        with psycopg.connect(self.server.dsn) as connection:
            cursor = connection.execute(query.encode(), values)
            return [column.name for column in cursor.description or ()], cursor.fetchall()


def _without_own(columns: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    return {name: kind for name, kind in columns if not name.startswith(_OWN)}


def _plain(names: Sequence[str], row: Sequence[Any], encoded: Sequence[str]) -> Row:
    """A row as a dict of what JSON knows, and of instants."""
    found: Row = {}
    for name, value in zip(names, row, strict=True):
        if name.startswith(_OWN) or value is None:
            continue
        match value:
            case datetime():
                found[name] = value.replace(tzinfo=UTC)  # both warehouses hold UTC without saying so
            case Decimal():
                found[name] = float(value)
            case str() if name in encoded:
                found[name] = json.loads(value)
            case _:
                found[name] = value
    return found
