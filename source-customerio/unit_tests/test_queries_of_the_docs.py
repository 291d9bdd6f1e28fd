"""Every query of docs/customerio.md, run in DuckDB on rows that the connector read: the answers are the workspace's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import orjson
import pytest
from simulators.customerio import CustomerioSimulator, Options
from simulators.customerio.build_deliveries import activity, nobody_now
from simulators.customerio.build_people import COMPUTED, SET
from simulators.customerio.workspace import Preferences
from source_customerio import SourceCustomerio
from source_customerio.budget import RequestBudget
from source_kit.cli import launch
from test_kit.catalogs import Row, configured_stream
from test_kit.command import run_here
from test_kit.warehouse import column_type

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "customerio.md"
HOUR, DAY = 3600, 86_400
#: What the query of A/B tests adds up
COUNTED = ("delivered", "human_opened", "human_clicked", "converted")
#: Of a variant whose metrics could not be read
UNREAD = 3


def queries(heading: str) -> list[str]:
    """The SQL below a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"```sql\n(.*?)```", section, re.DOTALL)


class Tables:
    """A workspace, and what syncs of it append to tables."""

    def __init__(self, simulator: CustomerioSimulator) -> None:
        self.simulator, self.workspace = simulator, simulator.workspace
        self.mutate, self.truth = simulator.mutate, simulator.truth
        self.sql = duckdb.connect()
        self.sql.execute("set TimeZone = 'Pacific/Auckland'")  # the queries mean the same in every zone

    def sync(self, *streams: str) -> None:
        """Appends what a sync reads now."""
        config = {"app_api_key": self.simulator.api_key, "api_url": self.simulator.url, "start_date": "2012-01-01"}
        catalog = {"streams": [configured_stream(name, False) for name in streams]}
        read = run_here(lambda argv: launch(SourceCustomerio, argv), "read", config=config, catalog=catalog)
        assert read.failures == {}
        for stream in streams:
            self.append(stream, read.records[stream])

    def append(self, stream: str, rows: Sequence[Row]) -> None:
        """Appends rows to the table of a stream, at the time of the workspace."""
        columns = columns_of(stream)
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self.sql.execute(f"create table if not exists {stream} ({declared}, _airbyte_extracted_at timestamptz)")
        self.sql.execute(
            f"insert into {stream} select row.*, to_timestamp(?) "
            "from (select unnest(from_json(cast(? as json), ?)) as row)",
            [self.simulator.now, orjson.dumps(list(rows)).decode(), orjson.dumps([columns]).decode()],
        )

    def answers(self, query: str) -> list[tuple[Any, ...]]:
        return self.sql.execute(query).fetchall()

    def note(self, kind: str, person: Row | None, **fields: Any) -> None:
        """Writes an entry of now into the log of activities."""
        row = activity(Random(len(self.workspace.activities)), kind, self.simulator.now, person)
        self.workspace.activities.append(row | fields)
        self.workspace.sort_activities()


@cache
def columns_of(stream: str) -> dict[str, str]:
    """The columns of a stream with their types in DuckDB."""
    streams = {found.name: found for found in SourceCustomerio().streams({"app_api_key": "key"})}
    return {name: column_type(field) for name, field in streams[stream].get_json_schema()["properties"].items()}


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    """A workspace with traps, read once: the tests of deletions read people and activities again."""
    with CustomerioSimulator(options=Options(rate_limit=None)) as simulator, pytest.MonkeyPatch.context() as patch:
        patch.setattr(RequestBudget, "acquire", lambda self: None)
        found = Tables(simulator)
        open_like_machines(found)
        found.mutate("duplicate_campaign")  # it has no deliveries
        found.mutate("delete", stream="campaigns")  # its deliveries stay
        choose_topics(found)
        name_alike(found)
        found.sync("campaigns", "messages", "topics", "types", "newsletters", "newsletter_variants")
        found.sync("newsletter_test_groups", "newsletter_variant_metrics")
        found.sync("customers", "customer_topics", "activities", "objects")
        found.sql.execute(f"delete from newsletter_variant_metrics where content_id = {UNREAD}")
        yield found


def open_like_machines(tables: Tables) -> None:
    """Opens that are a machine's alone, numbers in place of times, and zeros."""
    numbers = iter(range(10_000))

    def change(row: Row) -> bool:
        opened = {"opened": row["created"] + 60}
        row["metrics"] |= (
            {},
            opened | {"prefetch_opened": 1},
            opened | {"human_opened": 2, "clicked": row["created"] + 90, "human_clicked": 1},
            opened | {"human_opened": 0, "clicked": row["created"] + 90, "human_clicked": 0, "machine_clicked": 4},
        )[next(numbers) % 4]
        return True

    tables.workspace.deliveries.update(change)


def choose_topics(tables: Tables) -> None:
    """A choice from which nothing was computed, and one from which the opposite was."""
    people = list(tables.workspace.people.values())
    for person, computed in zip(
        (people[3], people[6], people[9]), ({}, {"topic_2": False}, {"topic_1": False}), strict=True
    ):
        chosen = {"topic_1": True, "topic_2": True}
        found = Preferences(chosen, computed, tables.simulator.now)
        texts = {SET: chosen} | ({COMPUTED: computed} if computed else {})
        person["attributes"] |= {name: orjson.dumps({"topics": topics}).decode() for name, topics in texts.items()}
        tables.workspace.preferences[person["identifiers"]["cio_id"]] = found


def name_alike(tables: Tables) -> None:
    """An object of another type with the id of one that will be deleted, and an object with the id of its type."""
    of_types = {"1": [], "2": []}
    for (kind, _), item in tables.workspace.objects.items():
        of_types[kind].append(item["identifiers"])
    of_types["2"][0]["object_id"] = of_types["1"][0]["object_id"]
    of_types["1"][-1]["object_id"] = "1"


def week_of(second: int) -> date:
    """The Sunday before."""
    day = datetime.fromtimestamp(second, UTC).date()
    return day - timedelta(days=day.isoweekday() % 7)


def percent(part: int, whole: int | None) -> Any:
    """What a percentage with one decimal is equal to."""
    return pytest.approx(100 * part / whole, abs=0.051) if whole else None


def test_opens_and_clicks_of_people_by_campaign_and_week(tables: Tables) -> None:
    expected: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in tables.truth("messages"):
        if row["type"] == "email" and row["campaign_id"] is not None:
            counted = expected[row["campaign_id"], week_of(row["created"])]
            counted["emails"] += 1
            counted["delivered"] += "delivered" in row["metrics"]
            counted["opened"] += row["metrics"].get("human_opened", 0) > 0
            counted["clicked"] += row["metrics"].get("human_clicked", 0) > 0
    names = {row["id"]: row["name"] for row in tables.truth("campaigns")}
    without = names.keys() - {campaign for campaign, _ in expected}
    assert without
    assert {campaign for campaign, _ in expected} - names.keys()
    assert 0 < sum(row["opened"] for row in expected.values()) < sum(row["delivered"] for row in expected.values())

    (query,) = queries("E-mail opens and clicks by campaign and week")
    rows = tables.answers(query)

    found = {(row[0], row[2]): row[3:7] for row in rows}
    assert len(found) == len(rows)
    wanted = {
        group: tuple(counted[name] for name in ("emails", "delivered", "opened", "clicked"))
        for group, counted in expected.items()
    }
    assert found == wanted | {(campaign, None): (0, 0, 0, 0) for campaign in without}
    assert all(row[1] == names.get(row[0]) for row in rows)
    assert all(row[7] == percent(row[5], row[4]) for row in rows)


def test_people_by_topic_preference(tables: Tables) -> None:
    """Some chose what Customer.io has not computed, or computed otherwise; some nothing; one topic is gone."""
    people, preferences = tables.truth("customers"), tables.truth("customer_topics")
    known = {(row["cio_id"], row["topic_id"]): row for row in preferences}
    assert {row["topic_id"] for row in preferences} > {row["id"] for row in tables.truth("topics")}
    expected = {}
    for topic in tables.truth("topics"):
        counted = Counter[str]()
        for person in people:
            row = known.get((person["cio_id"], topic["id"]), {})
            values = (row.get("subscribed"), row.get("subscribed_set"), topic["subscribed_by_default"])
            gets = next(value for value in values if value is not None)
            counted["all" if person["unsubscribed"] else "reached" if gets else "not"] += 1
            counted["opted out"] += row.get("subscribed_set") is False
        expected[topic["id"], topic["name"]] = tuple(counted[name] for name in ("reached", "not", "all", "opted out"))
    assert all(any(figures) for figures in zip(*expected.values(), strict=True))

    (query,) = queries("People by topic preference")

    assert {row[:2]: row[2:] for row in tables.answers(query)} == expected


def test_ab_results_by_variant(tables: Tables) -> None:
    """A test of two variants, one of them without metrics; newsletters without a test; one that was never sent."""
    groups = {
        (row["newsletter_id"], content): (row["name"], row["winner"])
        for row in tables.truth("newsletter_test_groups")
        for content in row["content_ids"]
    }
    sums: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in tables.truth("newsletter_variant_metrics", resolution="months", steps="24"):
        sums[row["newsletter_id"], row["content_id"]].update({name: row["metrics"][name] for name in COUNTED})
    expected = {}
    for row in tables.truth("newsletter_variants"):
        variant = row["newsletter_id"], row["id"]
        figures = tuple(None if row["id"] == UNREAD else sums[variant][name] for name in COUNTED)
        expected[variant] = (groups.get(variant, (None, None)), figures)
    assert {name for (name, _), _ in expected.values()} == {"A", "B", None}
    assert {figures for _, figures in expected.values()} > {(None,) * 4, (0,) * 4}

    (query,) = queries("A/B results by variant")
    rows = tables.answers(query)

    assert {row[:2]: (row[3:5], row[7:11]) for row in rows} == expected
    assert len(rows) == len(expected)
    names = {row["id"]: row["name"] for row in tables.truth("newsletters")}
    assert all(row[2] == names[row[0]] for row in rows)
    assert all(row[11] == percent(row[8], row[7]) for row in rows)


@pytest.fixture(scope="module")
def changed(tables: Tables) -> dict[str, str]:
    """People who were deleted, merged and created again since the first reading; by part, their `cio_id`.

    Customer.io does not say what an entry of a merge holds, so each form that it may have is there.
    """
    people = list(tables.workspace.people.values())[20:40]
    parts = ("gone", "gone by id", "again", "again with id", "back", *"abcdefghijklm")
    persons = dict(zip(parts, people, strict=False))
    ids = {part: person["identifiers"]["cio_id"] for part, person in persons.items()}
    tables.mutate("advance", seconds=DAY)

    def lose(part: str) -> Row:
        """Who is gone without any entry of the simulator's own."""
        del tables.workspace.people[ids[part]]
        return nobody_now(ids[part])

    for part in ("gone", "again", "again with id"):
        tables.mutate("delete_person", cio_id=ids[part])
    for part in ("gone by id", "back"):
        lose(part)
        tables.note("profile_delete", {"id": persons[part]["id"], "identifiers": None})
    tables.mutate("merge_people", cio_id=ids["a"], into=ids["b"])
    tables.mutate("advance", seconds=60)
    tables.mutate("merge_people", cio_id=ids["b"], into=ids["c"], of="gone")
    lose("d")
    tables.note("profile_merge", persons["e"], data={"from": persons["d"]["identifiers"]["email"], "to": [ids["e"]]})
    tables.note("profile_merge", lose("f"), data={"primary": f"cio_{ids['g']}"})
    lose("h")
    tables.note("profile_merge", persons["i"], data={"secondary": {"id": persons["h"]["id"]}})
    lose("k")
    named = [persons["k"]["identifiers"]["cio_id"], persons["m"]["identifiers"]["email"]]
    tables.note("profile_merge", persons["l"], data={"of": named})  # l and m are both left: nobody knows into whom
    tables.mutate("advance", seconds=HOUR)
    tables.sync("activities")
    tables.sql.execute(queries("Deleted and merged people")[0])
    return ids


def people_now(tables: Tables) -> list[str]:
    return [row[0] for row in tables.answers("select cio_id from customers_now")]


def test_deleted_people_are_gone_before_the_next_reading_and_merged_ones_stay(
    tables: Tables, changed: dict[str, str]
) -> None:
    first = {row[0] for row in tables.answers("select cio_id from customers")}
    deleted = {changed[part] for part in ("gone", "gone by id", "again", "again with id", "back")}

    assert sorted(people_now(tables)) == sorted(first - deleted)
    assert tables.answers("from merged_people") == []


@pytest.fixture(scope="module")
def read_again(tables: Tables, changed: dict[str, str]) -> dict[str, str]:
    """The next reading, after some were created again."""
    tables.workspace.people |= created_again(tables, changed)
    tables.mutate("advance", seconds=HOUR)
    tables.sync("customers", "activities")
    return changed


def test_people_are_those_of_the_workspace_after_the_next_reading(tables: Tables, read_again: dict[str, str]) -> None:
    """Who was created again is there, with the old `cio_id` or with a new one. Appended rows may be deduped or not."""
    into = {"a": "c", "b": "c", "d": "e", "f": "g", "h": "i", "k": None}
    merged = {read_again[old]: read_again.get(new or "") for old, new in into.items()}
    sent = {row["id"]: (row["customer_identifiers"] or {}).get("cio_id") for row in tables.truth("messages")}
    assert merged.keys() & set(sent.values())
    followed = {number: merged.get(person) or person for number, person in sent.items()}
    for _ in ("appended", "deduped"):
        assert sorted(people_now(tables)) == sorted(row["cio_id"] for row in tables.truth("customers"))
        assert dict(tables.answers("from merged_people")) == merged
        assert dict(tables.answers(queries("Deleted and merged people")[1])) == followed
        tables.sql.execute("""create or replace table customers as from customers
            qualify row_number() over (partition by cio_id order by _airbyte_extracted_at desc) = 1""")


def created_again(tables: Tables, changed: dict[str, str]) -> dict[str, Row]:
    """People who were deleted, with the `cio_id` of before, the `id` of before, or both."""
    ids = dict(tables.answers("select cio_id, id from customers"))
    with_id, back = changed["again with id"], changed["back"]
    people = {}
    for cio_id, number in ((changed["again"], "u-again"), ("a3aaaaaa", ids[with_id]), (back, ids[back])):
        names = {"cio_id": cio_id, "email": None, "id": number}
        people[cio_id] = {"attributes": names, "devices": [], "id": number, "identifiers": names, "timestamps": {}}
        people[cio_id]["unsubscribed"] = False
    return people


def test_a_merge_that_no_reading_followed_changes_nothing_of_those_before(
    tables: Tables, read_again: dict[str, str]
) -> None:
    before = sorted(people_now(tables)), sorted(tables.answers("from merged_people"))
    assert before[1]
    tables.mutate("merge_people", cio_id=read_again["c"], into=read_again["j"])
    tables.mutate("advance", seconds=HOUR)
    tables.sync("activities")

    assert (sorted(people_now(tables)), sorted(tables.answers("from merged_people"))) == before


def test_objects_are_gone_once_an_entry_tells_of_their_deletion(tables: Tables) -> None:
    """By either id, in either place, by each name of the type; one that was read after its deletion is there."""
    objects = [item for (kind, _), item in tables.workspace.objects.items() if kind == "1"]
    first, second, third, fourth = (item["identifiers"] for item in objects[:4])
    tables.mutate("advance", seconds=DAY)
    for found in (first, second, third, fourth):
        tables.mutate("delete_object", cio_object_id=found["cio_object_id"])
    tables.note("_o:1:delete", None, data={"object_type_id": "1", "object_id": first["object_id"]})
    tables.note("_o:companies:delete", None, data={"identifiers": {"cio_object_id": second["cio_object_id"]}})
    tables.note("_o:company:delete", None, data=None, name=third["object_id"])
    tables.note("_o:1:delete", None, data=fourth)
    tables.mutate("advance", seconds=HOUR)
    tables.sync("activities")
    tables.sql.execute(queries("Deleted objects")[0])

    for _ in ("before the next reading", "after it, with one that was created again"):
        left = tables.answers("select object_type_id, cio_object_id from objects_now")
        assert sorted(left) == sorted((row["object_type_id"], row["cio_object_id"]) for row in tables.truth("objects"))
        tables.workspace.objects["1", fourth["cio_object_id"]] = objects[3]
        tables.sync("objects")
