"""The views of docs/sql over `webhook_events`, in DuckDB and in PostgreSQL: every view runs, and no event is lost."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
import pytest
from harness import postgres
from simulators.webhooks.customerio_events import METRICS
from webhooks.sample_rows import LIFTED, PARENTS, customerio_rows, pendo_rows

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "docs" / "sql"
TEXTS = {"delivery_id", "journey_id", "trigger_event_id", "inbound_event_id"}
#: The columns of the tables that the views read, with their types in both databases
CUSTOMERIO = {
    "record_id": "text", "received_at": "timestamptz", "inlet": "text", "raw": "text", "event_id": "text",
    "object_type": "text", "metric": "text", "timestamp": "bigint", "data": "json", "cio_id": "text",
    **{name: "text" if name in TEXTS else "bigint" for name in LIFTED},
}  # fmt: skip
PENDO = {
    "record_id": "text", "received_at": "timestamptz", "inlet": "text", "raw": "text", "event": "text",
    "unique_id": "text", "timestamp": "timestamptz", "visitor_id": "text", "account_id": "text", "app_id": "bigint",
    "guide_id": "text", "guide_step_id": "text", "guide_name": "text", "properties": "json",
}  # fmt: skip
#: The view of each `object_type`
VIEWS = {
    "customer": "customer_event",
    "email": "email_event",
    "push": "push_notification_event",
    "sms": "sms_event",
    "whatsapp": "whatsapp_event",
    "in_app": "in_app_message_event",
    "slack": "slack_event",
    "webhook": "webhook_event",
}


class Database(Protocol):
    """What the tests need of a database."""

    def run(self, sql: str) -> None:
        """Runs statements."""

    def fetch(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""

    def load(self, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Makes `webhook_events` and fills it."""


class DuckDb:
    """A database in memory."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def run(self, sql: str) -> None:
        """Runs statements."""
        self.connection.execute(sql)

    def fetch(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        found = self.connection.execute(sql)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def load(self, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Makes `webhook_events` and fills it."""
        self.run(_table(columns, "json"))
        self.connection.executemany(_insert(columns, "?"), [_values(columns, row) for row in rows])


class Postgres:
    """A schema of its own on a server."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.run("drop schema public cascade; create schema public; set timezone to 'UTC'")

    def run(self, sql: str) -> None:
        """Runs statements."""
        self.connection.execute(sql.encode())

    def fetch(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, by column."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def load(self, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Makes `webhook_events` and fills it."""
        self.run(_table(columns, "jsonb"))
        with self.connection.cursor() as cursor:
            cursor.executemany(_insert(columns, "%s").encode(), [_values(columns, row) for row in rows])


def _table(columns: Mapping[str, str], json_type: str) -> str:
    fields = ", ".join(f"{name} {json_type if kind == 'json' else kind}" for name, kind in columns.items())
    return f"create table webhook_events ({fields})"


def _insert(columns: Mapping[str, str], place: str) -> str:
    return f"insert into webhook_events values ({', '.join(place for _ in columns)})"


def _values(columns: Mapping[str, str], row: Mapping[str, Any]) -> list[Any]:
    assert row.keys() <= columns.keys()
    return [
        json.dumps(row[name]) if kind == "json" and name in row else row.get(name) for name, kind in columns.items()
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server."""
    with postgres.running() as running:
        yield running


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database."""
    if request.param == "duckdb":
        made = DuckDb()
        yield made
        made.connection.close()
    else:
        other = Postgres(request.getfixturevalue("server").dsn)
        yield other
        other.connection.close()


def _views(database: Database, file: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Loads every row twice, as a destination that only appends has them, and makes the views of a file."""
    copies = [{**row, "received_at": row["received_at"].replace("T04:", "T05:")} for row in rows]
    database.load(columns, [*rows, *copies])
    sql = (SQL / file).read_text(encoding="utf-8")
    database.run(sql)
    return re.findall(r"^create view (\w+)", sql, re.MULTILINE)


def _count(database: Database, view: str) -> int:
    return int(database.fetch(f"select count(*) as n from {view}")[0]["n"])


def test_each_customerio_event_is_in_exactly_one_view_and_once(database: Database) -> None:
    rows = list(customerio_rows())
    views = _views(database, "customerio-events.sql", CUSTOMERIO, rows)
    expected = Counter(VIEWS.get(row.get("object_type", ""), "other_event") for row in rows)

    assert {*VIEWS.values(), "other_event", "customerio_webhook_events", "customerio_message_events"} == set(views)
    assert {view: _count(database, view) for view in expected} == expected
    assert sum(expected.values()) == _count(database, "customerio_webhook_events") == len(rows)
    assert expected["other_event"] == 2
    assert all(expected[view] >= len(METRICS[kind]) for kind, view in VIEWS.items())


def test_each_customerio_view_has_the_values_of_its_events(database: Database) -> None:
    rows = {row["record_id"]: row for row in customerio_rows()}
    _views(database, "customerio-events.sql", CUSTOMERIO, list(rows.values()))

    for view in VIEWS.values():
        for found in database.fetch(f"select *, extract(epoch from event_at) as seconds from {view}"):
            sent = rows[found["record_id"]]
            data = {**sent["data"], **sent["data"]["identifiers"]}
            assert (found["event_id"], found["metric"]) == (sent["event_id"], sent["metric"])
            assert found["seconds"] == sent["timestamp"]
            for column in found.keys() & data.keys() - {"recipients", "headers"}:
                assert found[column] == data[column], (view, column)
            for column in ("recipients", "headers"):
                assert _json(found.get(column)) == (data.get(column) if column in found else None), (view, column)


def test_every_published_field_of_a_customerio_message_is_a_column_of_its_view(database: Database) -> None:
    rows = list(customerio_rows())
    _views(database, "customerio-events.sql", CUSTOMERIO, rows)
    renamed = {"to": "replied_to", "object_type_type": "channel"}
    replaced = {"identifiers", "customer_id"}  # by cio_id, id and email; deprecated

    for kind, view in VIEWS.items():
        fields = {name for row in rows if row.get("object_type") == kind for name in row["data"]} - replaced
        columns = database.fetch(f"select * from {view} limit 1")[0].keys()
        assert {renamed.get(name, name) for name in fields} <= columns, view


def test_an_event_shows_its_parent_by_the_one_id_that_is_set(database: Database) -> None:
    _views(database, "customerio-events.sql", CUSTOMERIO, list(customerio_rows()))

    counts = database.fetch(
        "select count(campaign_id) as campaign, count(broadcast_id) as broadcast, count(newsletter_id) as newsletter,"
        " count(transactional_message_id) as transactional from email_event"
    )[0]

    assert counts == dict.fromkeys(PARENTS, len(METRICS["email"]))


def test_the_pendo_views_divide_guides_from_polls_and_answers(database: Database) -> None:
    rows = list(pendo_rows())
    views = _views(database, "pendo-events.sql", PENDO, rows)

    assert views == ["pendo_webhook_events", "guide_displayed", "poll_and_nps_event"]
    assert _count(database, "pendo_webhook_events") == len(rows)
    guide = database.fetch("select guide_id, guide_name, language, visitor_id from guide_displayed")
    assert guide == [{"guide_id": "g-abc", "guide_name": "Welcome", "language": "en", "visitor_id": "v-1"}]
    polls = database.fetch("select event, is_nps, is_answer from poll_and_nps_event order by event")
    assert [tuple(row.values()) for row in polls] == [
        ("npsDisplayed", True, False),
        ("npsSubmitted", True, True),
        ("pollDisplayed", False, False),
        ("pollSubmitted", False, True),
    ]


def test_a_value_that_is_no_boolean_does_not_break_a_view(database: Database) -> None:
    (row,) = [row for row in customerio_rows() if row.get("metric") == "opened" and row.get("campaign_id")][:1]
    row["data"]["proxied"] = "perhaps"
    _views(database, "customerio-events.sql", CUSTOMERIO, [row])

    assert [found["proxied"] for found in database.fetch("select proxied from email_event")] == [False]


@pytest.mark.parametrize(("connector", "columns"), [("source_customerio", CUSTOMERIO), ("source_pendo", PENDO)])
def test_the_tables_of_these_tests_are_those_of_the_connectors(connector: str, columns: Mapping[str, str]) -> None:
    file = ROOT / connector.replace("_", "-") / connector / "schemas" / "webhook_events.json"
    properties = json.loads(file.read_text(encoding="utf-8"))["properties"]

    assert {name: _type(properties[name]) for name in columns} == columns


def _type(schema: Mapping[str, Any]) -> str:
    (kind,) = [name for name in schema["type"] if name != "null"]
    if kind == "string":
        return "timestamptz" if schema.get("format") == "date-time" else "text"
    return {"integer": "bigint", "object": "json"}[kind]


def _json(value: Any) -> Any:
    """DuckDB hands JSON out as text."""
    return json.loads(value) if isinstance(value, str) else value
