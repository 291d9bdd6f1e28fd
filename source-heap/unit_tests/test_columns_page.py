"""docs/heap-columns.md names the columns that a bucket has, with the types that `discover` finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from heap_world import Heap
from simulators.heap.account import Account, Part, full
from simulators.heap.avro_files import Column
from simulators.heap.catalog import EVENT_TABLES, columns_of
from test_kit.catalogs import Row

DOCS = Path(__file__).resolve().parents[2] / "docs"
CORE = ("users", "user_migrations", "sessions", "pageviews")
EVENTS = "Event tables"
#: Properties of the simulated account's own
PROPERTIES = {"plan_tier", "order_id", "cart_value", "logged_in", "productid", "coupon_", "renewal_time"}
_SECTION = re.compile(r"^## (?P<name>.+)$|^\| `(?P<column>\w+)` \| (?P<type>[^|]+) \| (?P<rest>.+) \|$", re.MULTILINE)
_JOIN = re.compile(r'^  (\w+) \S+ (\w+) : "(\S+) : (\S+)"$', re.MULTILINE)
_WORDS = {"integer": "integer", "string": "text", "boolean": "boolean", "array": "array of text"}
Entry = tuple[str, str, str]


@pytest.fixture
def page() -> dict[str, dict[str, Entry]]:
    """By section and column: type, meaning, certainty."""
    sections: dict[str, dict[str, Entry]] = {}
    for line in _SECTION.finditer((DOCS / "heap-columns.md").read_text(encoding="utf-8")):
        if line["name"]:
            section = sections.setdefault(line["name"], {})
        elif line["column"]:
            meaning, certainty = line["rest"].split(" | ")
            assert line["column"] not in section
            section[line["column"]] = (line["type"], meaning, certainty)
    return sections


@pytest.fixture
def discovered(heap: Heap) -> dict[str, dict[str, Row]]:
    """The columns of every kind of table in a bucket that looks like a customer's, with their schemas."""
    parts: dict[str, Part] = {name: full(2) for name in (*CORE, *EVENT_TABLES)}
    heap.server.put(list(Account(bucket=heap.server.bucket).dump(100, parts).objects()))
    found = heap.discover(resync_mode="tombstones").streams
    return {stream["name"]: stream["json_schema"]["properties"] for stream in found}


def word(schema: Row) -> str:
    (kind,) = set(schema["type"]) - {"null"}
    return "instant" if schema.get("format") == "date-time" else _WORDS[kind]


@pytest.mark.slow
def test_the_page_names_the_columns_that_every_bucket_has(
    page: dict[str, dict[str, Entry]], discovered: dict[str, dict[str, Row]]
) -> None:
    added = page.pop("Added columns")
    assert set(page) == {*CORE, EVENTS, "_heap_dumps"}
    for table in CORE:
        of_heap = discovered[table].keys() - added.keys() - PROPERTIES
        assert {name for name, entry in page[table].items() if entry[2] == "observed"} == of_heap
    in_all = set.intersection(*(set(discovered[table]) for table in EVENT_TABLES)) - added.keys()
    assert {name for name, entry in page[EVENTS].items() if entry[2] == "observed"} == in_all
    for table in EVENT_TABLES:
        assert discovered[table].keys() - added.keys() - PROPERTIES <= page[EVENTS].keys()
    assert {entry[2] for entry in added.values()} == {"made by the connector"}
    assert all(added.keys() <= discovered[table].keys() for table in (*CORE, *EVENT_TABLES))


@pytest.mark.slow
def test_the_types_of_the_page_are_those_of_the_catalog(
    page: dict[str, dict[str, Entry]], discovered: dict[str, dict[str, Row]]
) -> None:
    for table, columns in discovered.items():
        section = page["_heap_dumps" if table == "_heap_dumps" else table if table in CORE else EVENTS]
        for name, schema in columns.items():
            entry = section.get(name) or page["Added columns"].get(name)
            if entry and name != "session_time":
                assert entry[0] == word(schema), (table, name)
            elif entry is None:
                assert name in PROPERTIES


@pytest.mark.slow
def test_what_the_catalog_says_of_a_column_is_on_the_page(page: dict[str, dict[str, Entry]], heap: Heap) -> None:
    """Of a bucket that has every column of the page, and properties of the customer's own, which nothing is said of."""
    event_table, other_table = EVENT_TABLES[0], "_event_metadata"
    added = page.pop("Added columns")
    parts: dict[str, Part] = {other_table: full(2, add=(Column("title"),))}
    for section in (*CORE, EVENTS):
        of_page = {**page["pageviews"], **page[EVENTS]} if section == EVENTS else page[section]
        table = event_table if section == EVENTS else section
        held = {column.name for column in columns_of(table)}
        parts[table] = full(2, add=tuple(Column(name) for name in (*of_page, "my_own") if name not in held))
    heap.server.put(list(Account(bucket=heap.server.bucket).dump(100, parts).objects()))
    catalog = heap.discover(resync_mode="tombstones").streams
    found = {stream["name"]: stream["json_schema"]["properties"] for stream in catalog}

    for table, section in {**{name: name for name in (*CORE, "_heap_dumps")}, event_table: EVENTS}.items():
        entries = {**page["pageviews"], **page[EVENTS]} if section == EVENTS else page[section]
        described = {name for name, schema in found[table].items() if "description" in schema}
        assert described - added.keys() == entries.keys()
        for name, (_, meaning, certainty) in entries.items():
            described_as = found[table][name]["description"]
            bare = described_as.removesuffix(" (inferred)")
            assert meaning.removesuffix(" (inferred)").startswith(bare)
            assert (described_as != bare) == (certainty == "second-hand" or meaning.endswith(" (inferred)"))
        for name, entry in added.items():
            assert table == "_heap_dumps" or entry[1].startswith(found[table][name]["description"])
    assert {name for name, schema in found[other_table].items() if "description" in schema} == added.keys()


def test_the_diagram_of_keys_joins_columns_that_exist(page: dict[str, dict[str, Entry]]) -> None:
    joins = _JOIN.findall((DOCS / "heap.md").read_text(encoding="utf-8"))
    assert len(joins) == 12

    for one, other, left, right in joins:
        for table, column in ((one, left), (other, right)):
            assert column in page[EVENTS if table == "events" else table] | page["Added columns"], (table, column)
