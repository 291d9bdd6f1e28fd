"""PyAirbyte syncs every connector: its image into DuckDB and into PostgreSQL, its console script into DuckDB.

The tables are compared with the simulators' truth after a first and after an incremental sync.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import duckdb
import pytest
from harness import postgres
from harness.suite import ROOT, Connector, connectors_in
from harness.warehouses import DuckDb, PostgresSchema, PyAirbyte, expected_type
from resilience.connectors_under_test import CONNECTORS, ConnectorUnderTest, canonical
from test_kit.catalogs import Row, key_of, primary_key
from test_kit.command import arguments, run_process

pytestmark = [pytest.mark.pyairbyte, pytest.mark.slow, pytest.mark.timeout(600)]

Warehouse = DuckDb | PostgresSchema
#: The image goes into both; the console script, which writes the same, into one
_SYNCS = [
    pytest.param("executable", "duckdb", id="executable-duckdb"),
    pytest.param("image", "duckdb", id="image-duckdb", marks=pytest.mark.docker),
    pytest.param("image", "postgres", id="image-postgres", marks=[pytest.mark.docker, pytest.mark.postgres]),
]


@pytest.fixture(scope="module")
def pyairbyte() -> Iterator[PyAirbyte]:
    """PyAirbyte, imported once."""
    with PyAirbyte() as process:
        yield process


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server."""
    with postgres.running() as running:
        yield running


@pytest.fixture(params=connectors_in("pyairbyte"), ids=lambda connector: connector.name)
def synced(request: pytest.FixtureRequest) -> Connector:
    """The connectors that the suite syncs with PyAirbyte."""
    chosen: Connector = request.param
    return chosen


@pytest.fixture
def under_test(synced: Connector) -> Iterator[ConnectorUnderTest]:
    """The connector's vendor with a truth to compare with."""
    kind = next(kind for kind in CONNECTORS if kind.name == synced.name)
    made = kind()
    with made.simulator:
        yield made
    assert made.simulator.errors == []


@pytest.fixture
def warehouse(target: str, request: pytest.FixtureRequest, tmp_path: Path, synced: Connector) -> Warehouse:
    """An empty warehouse of the kind that the test names."""
    if target == "duckdb":
        return DuckDb(tmp_path / "warehouse.duckdb")
    return PostgresSchema(request.getfixturevalue("server"), synced.package)


@pytest.mark.parametrize(("way", "target"), _SYNCS)
def test_tables_equal_the_truth_after_a_first_and_an_incremental_sync_and_have_the_declared_types(
    pyairbyte: PyAirbyte,
    synced: Connector,
    under_test: ConnectorUnderTest,
    warehouse: Warehouse,
    way: str,
    tmp_path: Path,
) -> None:
    streams = _streams(synced, under_test, tmp_path)
    if isinstance(warehouse, PostgresSchema):
        streams = {name: stream for name, stream in streams.items() if not _changed_by_pandas(_fields(stream))}
    order = {
        "connector": synced.name,
        "config": under_test.config(),
        "executable": str(synced.script) if way == "executable" else None,
        "image": synced.image if way == "image" else None,
        "streams": [*streams, *(["_heap_dumps"] if synced.keys_come_again else [])],
        "cache": warehouse.cache(),
    }
    first = pyairbyte.sync(**order)
    assert _differences(under_test, warehouse, streams, synced.keys_come_again) == {}

    under_test.happen(Random(7))
    second = pyairbyte.sync(**order)
    assert _differences(under_test, warehouse, streams, synced.keys_come_again) == {}
    assert 0 < second < first
    assert _wrong_types(warehouse, streams) == {}
    if synced.keys_come_again and isinstance(warehouse, DuckDb):
        _expect_the_view_of_the_docs(warehouse, streams["users"])


def _streams(connector: Connector, under_test: ConnectorUnderTest, folder: Path) -> dict[str, Row]:
    """The discovered streams that are synced."""
    argv = arguments(folder, "discover", (), {"config": under_test.config()})
    catalog = run_process([str(connector.script), *argv]).succeeded().catalog
    return {stream["name"]: stream for stream in catalog["streams"] if stream["name"] in under_test.short_streams}


def _changed_by_pandas(fields: Row) -> bool:
    """Whether PyAirbyte cannot load the stream into PostgreSQL as it is.

    On the way it reads JSON with pandas, which makes dates of integers and texts where a column has one of these names:
    the server refuses a date for a bigint, and stores `2026-11-22 09:30:00` for `09:30` (PyAirbyte 0.71.3, observed).
    """
    return any(
        name.endswith(("_at", "_time")) or name.startswith("timestamp") or name in ("modified", "date")
        for name, field in fields.items()
        if field.get("format") not in ("date-time", "date")
    )


def _wrong_types(warehouse: Warehouse, streams: dict[str, Row]) -> dict[str, tuple[str, str]]:
    """Columns whose type is not the declared one: (what it is, what it should be)."""
    wrong = {}
    for table, stream in streams.items():
        types = warehouse.types(table)
        for name, field in _fields(stream).items():
            expected, column = expected_type(field, warehouse.kind), re.sub(r"\W", "_", name.lower())
            if expected and types.get(column) != expected:
                wrong[f"{table}.{name}"] = (str(types.get(column)), expected)
    return wrong


def _differences(
    under_test: ConnectorUnderTest, warehouse: Warehouse, streams: dict[str, Row], again: bool
) -> dict[str, str]:
    """Where the tables differ from the truth, in the columns that the catalog declares with one type.

    PyAirbyte leaves out fields that are not declared, and writes those of several types as it likes.
    """
    found = {}
    for table, stream in streams.items():
        fields = _fields(stream)
        declared = {_bare(name) for name, field in fields.items() if expected_type(field, warehouse.kind)}
        held = _latest(stream, warehouse.rows(table)) if again else warehouse.rows(table)
        rows = (under_test.row(table, row) for row in under_test.current(table, held))
        actual, truth = _counted(rows, declared), _counted(under_test.truth(table), declared)
        if actual != truth:
            missing, surplus = truth - actual, actual - truth
            found[table] = (
                f"{missing.total()} missing, e.g. {next(iter(missing), '')[:600]}; "
                f"{surplus.total()} too much, e.g. {next(iter(surplus), '')[:600]}"
            )
    return found


def _latest(stream: Row, rows: Iterable[Row]) -> Iterable[Row]:
    """The newest row of each key: of those that come within one sync, PyAirbyte keeps all."""
    key, cursor = primary_key(stream), stream["default_cursor_field"][0]
    return {key_of(row, key): row for row in sorted(rows, key=lambda row: row[cursor])}.values()


def _expect_the_view_of_the_docs(warehouse: DuckDb, users: Row) -> None:
    """The view of docs/heap.md has one row for each user that the table holds once or more: the newest."""
    page = (ROOT / "docs" / "heap.md").read_text(encoding="utf-8")
    (view,) = re.findall(r"```sql\n(create view users_live as.*?)```", page, re.DOTALL)
    rows = warehouse.rows("users")
    newest = {(row["user_id"], row["_heap_dump_id"]) for row in _latest(users, rows)}
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(view)
        shown = connection.execute("SELECT user_id, _heap_dump_id FROM users_live").fetchall()

    assert len(newest) < len(rows)
    assert sorted(shown) == sorted(newest)


def _fields(stream: Row) -> Row:
    """The declared fields."""
    return dict(stream["json_schema"]["properties"])


def _counted(rows: Iterable[Row], declared: set[str]) -> Counter[str]:
    return Counter(canonical({name: value for name, value in row.items() if _bare(name) in declared}) for row in rows)


def _bare(name: str) -> str:
    return name.replace("_", "").lower()
