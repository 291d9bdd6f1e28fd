"""The SQL of docs/heap.md, run from top to bottom in a warehouse of rows that the connector read."""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import jinja2
from test_kit.catalogs import Row, primary_key
from test_kit.warehouse import append_rows, column_type

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "heap.md"
MACROS = ROOT / "dbt" / "macros" / "heap.sql"
EXTRACTED = "_airbyte_extracted_at"
_PART = re.compile(r"^#+ (?P<heading>[^\n]+)$|^ *```sql\n(?P<sql>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CREATED = re.compile(r"^create (?:view|table) (\w+)", re.MULTILINE)
Results = dict[str, list[Row]]


def statements() -> Iterator[tuple[str, str]]:
    """Every SQL statement of the page with the heading above it. Macros of the dbt package are rendered as by dbt."""
    heading, macros = "", MACROS.read_text(encoding="utf-8")
    dbt = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)  # noqa: S701 - SQL, no HTML
    dbt.globals["heap_table"] = lambda table: f'"{table}"'
    dbt.globals["extracted_at"] = lambda _, alias: f"{alias}.{EXTRACTED}"
    dbt.globals["not_deleted"] = lambda *_: "1 = 1"
    for part in _PART.finditer(PAGE.read_text(encoding="utf-8")):
        if part["heading"]:
            heading = part["heading"]
            continue
        sql = textwrap.dedent(part["sql"])
        if "{{" in sql:
            sql = dbt.from_string(macros + sql).render()
        yield from ((heading, statement.strip()) for statement in sql.split(";") if statement.strip())


def run_page(warehouse: duckdb.DuckDBPyConnection) -> Results:
    """Runs every statement; what views and queries give, by the name of the view or else the heading.

    Queries below one heading are told apart by a number: the second one is `heading 2`.
    """
    results: Results = {}
    for heading, sql in statements():
        warehouse.execute(sql)
        created = _CREATED.search(sql)
        if created:
            results[created[1]] = rows_of(warehouse, f"from {created[1]}")
        elif not re.search(r"^delete ", sql, re.MULTILINE):
            again = sum(name.startswith(heading) for name in results)
            results[f"{heading} {again + 1}" if again else heading] = rows_of(warehouse, sql)
    return results


def loaded(
    schemas: Mapping[str, Row], syncs: Sequence[Mapping[str, Sequence[Row]]], deduplicated: bool
) -> duckdb.DuckDBPyConnection:
    """A warehouse after some syncs. Destinations add when a row was extracted: here all rows of a sync at once."""
    warehouse = duckdb.connect()
    warehouse.execute("set TimeZone = 'UTC'")
    held: dict[str, list[Row]] = defaultdict(list)
    for number, records in enumerate(syncs):
        for table, rows in records.items():
            held[table] += [row | {EXTRACTED: f"2026-04-01T00:00:{number:02d}Z"} for row in rows]
    for table, schema in schemas.items():
        columns = {name: column_type(field) for name, field in schema["json_schema"]["properties"].items()}
        columns[EXTRACTED] = "TIMESTAMPTZ"
        append_rows(warehouse, table, columns, _newest(held[table], schema) if deduplicated else held[table])
    return warehouse


def _newest(rows: Sequence[Row], schema: Row) -> Sequence[Row]:
    """Of the rows with one key that with the highest cursor, of these the last one extracted, as destinations do it."""
    (cursor,) = schema["default_cursor_field"]
    ordered = sorted(rows, key=lambda row: (row[cursor], row[EXTRACTED]))
    return list({tuple(row[name] for name in primary_key(schema)): row for row in ordered}.values())


def rows_of(warehouse: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    cursor = warehouse.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
