"""Every statement of docs/heap.md gives the truth, however the destination keeps rows.

The truth is computed here, in Python, from the rows that the simulator wrote: of each id the newest row, then persons.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from docs_page import PAGE, Results, loaded, rows_of, run_page, statements
from heap_world import Heap, Warehouse, unordered
from simulators.heap.replay import LiveTable
from simulators.heap.s3_server import BucketServer
from simulators.heap.scenarios import Step, scenario
from simulators.heap.scenarios.identity import CHECKOUT, SIGN_UP
from test_kit.catalogs import Row

pytestmark = pytest.mark.slow
WEEK = timedelta(days=7)
#: A condition for the live rows of a table, with its alias
ON_GENERATION = re.compile(r"(\w+)\._heap_generation = \((?:[^()]|\([^()]*\))*\)")
ANN = {10_008, 20_080, 20_081}


@dataclass
class Read:
    """A bucket that grew, and what the connector read of it, sync by sync."""

    last: Step
    schemas: dict[str, Row]
    syncs: list[dict[str, list[Row]]]

    @property
    def live(self) -> Mapping[str, LiveTable]:
        """The live rows by the reference model."""
        return self.last.live


@pytest.fixture(scope="module", params=["stitch", "heap"])
def read(request: pytest.FixtureRequest) -> Iterator[Read]:
    """Read with the keys of a mode; the tests change no row."""
    with BucketServer() as server:
        warehouse = Warehouse(Heap(server), primary_key_mode=request.param)
        syncs = []
        for step in scenario("several_ids_of_a_person", bucket=server.bucket):
            server.apply(step)
            output = warehouse.sync()
            assert output.failures == {}
            syncs.append(dict(output.records))
        yield Read(step, warehouse.schemas, syncs)


@dataclass
class Ran:
    """What the page's statements gave, and every table before and after them."""

    results: Results
    before: dict[str, list[Row]]
    after: dict[str, list[Row]]

    def __getitem__(self, name: str) -> list[Row]:
        return self.results[name]


@pytest.fixture(scope="module", params=["append", "deduplicated"])
def page(request: pytest.FixtureRequest, read: Read) -> Ran:
    """The page, run from top to bottom."""
    with loaded(read.schemas, read.syncs, request.param == "deduplicated") as warehouse:
        before = {table: rows_of(warehouse, f"from {table}") for table in read.schemas}
        results = run_page(warehouse)
        return Ran(results, before, {table: rows_of(warehouse, f"from {table}") for table in read.schemas})


def newest(table: LiveTable, *key: str) -> list[Row]:
    """The newest live row of each key: later dumps count more."""
    return list({tuple(row.values[name] for name in key): row.values for row in table.rows}.values())


def persons(live: Mapping[str, LiveTable]) -> Callable[[int], int]:
    """Which person an id belongs to."""
    migrations = {row.values["from_user_id"]: row.values["to_user_id"] for row in live["user_migrations"].rows}
    return lambda user_id: migrations.get(user_id, user_id)


def resolved(live: Mapping[str, LiveTable], table: str, own_id: str) -> list[Row]:
    """The newest row of each event or session of each person, with `resolved_user_id`."""
    person = persons(live)
    rows = [row.values | {"resolved_user_id": person(row.values["user_id"])} for row in live[table].rows]
    return list({(row[own_id], row["resolved_user_id"]): row for row in rows}.values())


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def people(live: Mapping[str, LiveTable]) -> list[Row]:
    """Earliest joining, latest change, and the highest of each other value."""
    person, rows_of = persons(live), defaultdict(list)
    for row in newest(live["users"], "user_id"):
        rows_of[person(row["user_id"])].append(row)
    return [
        {
            "user_id": user_id,
            "joindate": min(at(row["joindate"]) for row in rows),
            "last_modified": max(at(row["last_modified"]) for row in rows),
            **{name: max((row[name] for row in rows if row[name]), default=None) for name in ("identity", "email")},
        }
        for user_id, rows in rows_of.items()
    ]


def by_columns(rows: Iterable[Row], *names: str) -> Counter[tuple[Any, ...]]:
    """Rows as a bag of some of their columns."""
    return Counter(tuple(row[name] for name in names) for row in rows)


def test_persons_have_one_row_with_their_identity(read: Read, page: Ran) -> None:
    names = ("user_id", "joindate", "last_modified", "identity", "email")
    assert by_columns(page["people"], *names) == by_columns(people(read.live), *names)
    assert len(page["people"]) == 16
    assert page["Identity resolution"] == [{"count_star()": 0}]

    # what the view is for: the row of a person that changed last has no identity
    person, last = persons(read.live), {}
    for row in sorted(newest(read.live["users"], "user_id"), key=lambda row: row["last_modified"]):
        last[person(row["user_id"])] = row["identity"]
    known = {row["user_id"] for row in page["people"] if row["identity"]}
    assert {user_id for user_id in known if last[user_id] is None}


def test_sessions_count_once_for_a_person_under_whichever_id(read: Read, page: Ran) -> None:
    names = ("resolved_user_id", "session_id", "event_id", "user_id", "city")
    truth = resolved(read.live, "sessions", "session_id")
    assert by_columns(page["sessions_resolved"], *names) == by_columns(truth, *names)
    assert by_columns(page["Identity resolution 2"], *names) == by_columns(truth, *names)
    ids = {(row.values["session_id"], row.values["user_id"]) for row in read.live["sessions"].rows}
    assert len(ids) > len(truth)

    times = defaultdict(list)
    for row in truth:
        times[row["resolved_user_id"]].append(at(row["time"]))
    mail = {row["user_id"]: (row["identity"], row["email"]) for row in people(read.live)}
    expected = Counter((user, *mail[user], len(of), min(of), max(of)) for user, of in times.items())
    got = page["Sessions of each person"]
    names = ("resolved_user_id", "identity", "email", "sessions", "first_session", "last_session")
    assert by_columns(got, *names) == expected


def test_the_funnel_counts_persons_who_ordered_within_a_week_of_their_first_sign_up(read: Read, page: Ran) -> None:
    signed_up: dict[int, datetime] = {}
    for row in resolved(read.live, SIGN_UP, "event_id"):
        user = row["resolved_user_id"]
        signed_up[user] = min(signed_up.get(user, at(row["time"])), at(row["time"]))
    orders = resolved(read.live, CHECKOUT, "event_id")
    ordered = {
        row["resolved_user_id"]
        for row in orders
        if row["resolved_user_id"] in signed_up
        and timedelta() <= at(row["time"]) - signed_up[row["resolved_user_id"]] < WEEK
    }
    assert page["A funnel of two events"] == [{"signed_up": len(signed_up), "ordered": len(ordered)}]
    assert 0 < len(ordered) < len(signed_up) < 16
    assert ordered < {row["resolved_user_id"] for row in orders} & signed_up.keys()


def test_the_views_of_live_rows_have_no_row_of_an_older_generation(read: Read, page: Ran) -> None:
    views = {row.values["event_id"] for row in read.live["pageviews"].rows}
    model = page["Full re-exports and live rows"]
    for rows in (page["pageviews_live"], model):
        assert {row["event_id"] for row in rows} == views
        assert {row["_heap_generation"] for row in rows} == {110}
    assert max(by_columns(model, "event_id", "user_id").values()) == 1
    users = newest(read.live["users"], "user_id")
    assert by_columns(page["users_live"], "user_id", "email") == by_columns(users, "user_id", "email")


def test_a_deletion_takes_every_row_of_a_person_in_all_generations_and_no_other_row(read: Read, page: Ran) -> None:
    assert {row["user_id"] for row in page["forgotten"]} == ANN
    for table in read.schemas.keys() - {"_heap_dumps"}:
        ids = ("from_user_id", "to_user_id") if table == "user_migrations" else ("user_id",)
        left = [row for row in page.before[table] if not {row[name] for name in ids} & ANN]
        assert len(left) < len(page.before[table])
        if table == "pageviews":  # its dead generation was deleted as well
            left = [row for row in left if row["_heap_generation"] == 110]
        assert Counter(map(repr, page.after[table])) == Counter(map(repr, left))


def test_all_ids_of_a_person_are_found_by_any_of_them(read: Read) -> None:
    (found,) = [sql for _, sql in statements() if "create table forgotten" in sql]
    views = [sql for _, sql in statements() if "create view user_map" in sql]
    with loaded(read.schemas, read.syncs, deduplicated=False) as warehouse:
        warehouse.execute(views[0])
        nobody_else = 10_003
        for one in ANN:
            values = f"(values ({one}), ({nobody_else}))"
            warehouse.execute(f"create or replace table erasure_requests as from {values} as t (user_id)")
            warehouse.execute(found.replace("create table", "create or replace table"))
            assert {row["user_id"] for row in rows_of(warehouse, "from forgotten")} == ANN | {nobody_else}


def test_what_the_page_lets_go_of_is_never_read_again(read: Read, page: Ran) -> None:
    """Dumps below the lowest generation, and each table's files below its own."""
    assert page["Retention"] == [{"oldest_live_dump": 110}]
    of_table = {row["table_name"]: row["oldest_live_dump"] for row in page["Retention 2"]}
    assert of_table == dict.fromkeys(read.live, 110) | {"user_migrations": 112}
    with BucketServer() as server:
        for step in scenario("several_ids_of_a_person", bucket=server.bucket):
            server.apply(step)
        dumps = [dump for dump in step.dumps if dump.id < 110]
        server.delete([dump.manifest_key for dump in dumps])
        files = [file for dump in step.dumps for file in dump.files()]
        dead = [file.key for file in files if _dump_of(file.key) < of_table[file.key.split("/")[1]]]
        assert {_dump_of(key) for key in dead} == {100, 110, 111}
        server.delete(dead)

        warehouse = Warehouse(Heap(server))

        assert Heap(server).check()["status"] == "SUCCEEDED"
        assert warehouse.sync().failures == {}
        for table, truth in read.live.items():
            assert unordered(warehouse.latest(table)) == unordered(truth.latest())


def test_nothing_may_go_while_the_generation_of_a_table_is_not_known() -> None:
    oldest_live = next(sql for heading, sql in statements() if heading == "Retention")
    with duckdb.connect() as warehouse:
        for first, expected in ((100, 100), (None, None)):
            known = f"('users', {first or 'null'}), ('users', null), ('pageviews', 110), ('pageviews', null)"
            warehouse.execute(
                f"create or replace table _heap_dumps as from (values {known}) as t (table_name, generation)"
            )
            assert rows_of(warehouse, oldest_live) == [{"oldest_live_dump": expected}]


def _dump_of(key: str) -> int:
    return int(key.split("/")[0].removeprefix("sync_"))


def test_every_statement_of_the_page_is_one_of_these() -> None:
    """A query that is added to the page needs its truth here."""
    headings = Counter(heading for heading, _ in statements())
    assert headings == {
        "Full re-exports and live rows": 3,
        "Identity resolution": 5,
        "Sessions of each person": 1,
        "A funnel of two events": 1,
        "Deleting people": 9,
        "Retention": 2,
    }


def test_a_table_that_keeps_deletions_shows_none_with_the_condition_of_the_page(heap: Heap) -> None:
    warehouse, syncs = Warehouse(heap, resync_mode="tombstones"), []
    for step in scenario("several_ids_of_a_person", bucket=heap.server.bucket):
        heap.server.apply(step)
        syncs.append(dict(warehouse.sync().records))
    condition = "and t._ab_cdc_deleted_at is null"
    assert f"`{condition}`" in PAGE.read_text(encoding="utf-8")
    view = next(sql for _, sql in statements() if "create view pageviews_live" in sql)
    truth = {row.values["event_id"] for row in step.live["pageviews"].rows}
    with loaded(warehouse.schemas, syncs, deduplicated=False) as kept:
        for sql, expected in ((f"{view} {condition}", True), (view, False)):
            kept.execute(sql.replace("create view", "create or replace view"))
            assert ({row["event_id"] for row in rows_of(kept, "from pageviews_live")} == truth) is expected
        for _, sql in statements():
            if "create view" in sql:
                live = ON_GENERATION.sub(lambda found: f"{found[0]} {condition.replace('t.', f'{found[1]}.')}", sql)
                kept.execute(live.replace("create view", "create or replace view"))
        assert {row["user_id"] for row in rows_of(kept, "from people")} == {row["user_id"] for row in people(step.live)}
        sessions = resolved(step.live, "sessions", "session_id")
        assert len(rows_of(kept, "from sessions_resolved")) == len(sessions)
