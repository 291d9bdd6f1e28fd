"""Every stream against what the connector promises about all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker
from pendo_reader import PENDO_STREAMS, STREAM_NAMES, Row, Subscription, as_json, freeze_clock
from simulators.pendo import PendoSimulator
from source_kit.convert import epoch_millis, parse_instant, snake_case
from test_kit.messages import Output

pytestmark = pytest.mark.slow  # every stream is read three times

#: The first day that is read; the simulated visits begin in the course of it
START = "2026-02-25"
#: Columns that the connector adds
ADDED = {"record_id", "lastupdated", "modified_ts", "poll_response_number", "read_day", "read_at", "raw"}
STATE_BYTES = 2048


class SyncedSubscription(Subscription):
    """A subscription that was read twice, whole, and its catalog."""

    def __init__(self, sim: PendoSimulator) -> None:
        super().__init__(sim)
        options = {"start_date": f"{START}T00:00:00Z"}
        self.catalog = {stream.name: stream for stream in self.discover(**options).streams}
        self.first, self.second = (self.read(*STREAM_NAMES, full_refresh=True, **options) for _ in range(2))
        self.incremental = self.read(*STREAM_NAMES, **options)


@pytest.fixture(scope="module")
def synced() -> Iterator[SyncedSubscription]:
    """Read once for all tests of this module."""
    with PendoSimulator(seed=1, size="tiny") as sim, pytest.MonkeyPatch.context() as patch:
        freeze_clock(sim, patch)
        yield SyncedSubscription(sim)
    assert sim.errors == []


def test_every_stream_is_complete(synced: SyncedSubscription) -> None:
    """And every one of them has records, so that the tests below say something."""
    for out in (synced.first, synced.second, synced.incremental):
        assert out.failures == {}
        assert out.statuses == {name: ["STARTED", "RUNNING", "COMPLETE"] for name in STREAM_NAMES}


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_records_match_the_discovered_schema(synced: SyncedSubscription, name: str) -> None:
    """Types and formats, with the subscription's own metadata."""
    validator = Draft7Validator(dict(synced.catalog[name].json_schema), format_checker=FormatChecker())
    errors = [error for row in synced.first.records[name] for error in validator.iter_errors(row)]
    assert [f"{error.json_path}: {error.message}" for error in errors[:3]] == []


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_keys_are_there_and_unique(synced: SyncedSubscription, name: str) -> None:
    """As many keys as records."""
    key = [column for (column,) in synced.catalog[name].source_defined_primary_key or []]
    values = [tuple(row.get(column) for column in key) for row in synced.first.records[name]]
    assert key
    assert not any(value is None for values_ in values for value in values_)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", [stream.name for stream in PENDO_STREAMS if stream.cursor_field])
def test_cursors_are_there_and_states_name_them(synced: SyncedSubscription, name: str) -> None:
    """Null cursors only where Pendo has none; the state is small and of the cursor's type."""
    cursor = synced.catalog[name].default_cursor_field
    assert cursor
    rows = [row for row in synced.first.records[name] if row.get(cursor[0]) is None]
    assert not rows or name in ("accounts", "visitors")
    for state in synced.incremental.states[name]:
        if "resume" in state and state.get(cursor[0]) is None:
            continue  # of a first reading that is not complete: it holds the key to go on from
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", state[cursor[0]])
        assert len(as_json(state)) < STATE_BYTES


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_two_full_refreshes_are_alike(synced: SyncedSubscription, name: str) -> None:
    """Keys depend on nothing but the data."""
    assert counted(synced.first, name) == counted(synced.second, name)
    assert counted(synced.first, name) == counted(synced.incremental, name)


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_a_full_refresh_equals_the_truth(synced: SyncedSubscription, name: str) -> None:
    """Every row and every field that Pendo has, in our names and forms, and nothing else."""
    options = {"since": START} if name.endswith("events") else {}
    fold = str if name in ("accounts", "visitors") else folded
    truth = Counter(as_json(comparable(expected(name, row), fold)) for row in synced.truth(name, **options))
    added = ADDED | {"last_updated_at", "version_id"} if name == "guide_versions" else ADDED
    ours = Counter(as_json(comparable(without(row, added), fold)) for row in synced.first.records[name])
    assert list((truth - ours).elements())[:2] == []
    assert list((ours - truth).elements())[:2] == []


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_no_column_of_the_records_is_missing_in_the_schema(synced: SyncedSubscription, name: str) -> None:
    """Destinations drop columns that the schema does not name, unless the whole object is in one that it names."""
    columns = {column for row in synced.first.records[name] if "raw" not in row for column in row}
    assert columns <= dict(synced.catalog[name].json_schema)["properties"].keys()


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_names_are_ours_in_every_documented_object(synced: SyncedSubscription, name: str) -> None:
    """Maps without `properties` are free-form and keep their names, and so do metadata fields."""
    schema = dict(synced.catalog[name].json_schema)
    found = {fault for row in synced.first.records[name] for fault in foreign_names(row, schema, name)}
    assert found == set()
    assert [path for path in declared(schema, name) if path != snake_case(path)] == []


def test_a_name_of_pendos_in_a_documented_object_is_found() -> None:
    """Also in an object that the schema does not know: somebody forgot to declare it."""
    schema = {"properties": {"user": {"properties": {"id": {}}}, "free": {}, "list": {"items": {"properties": {}}}}}
    row = {"user": {"id": 1, "userType": 2}, "free": {"aB": 1}, "list": [{"cD": 1}], "group": {"createdAt": 1}}
    assert sorted(foreign_names(row, schema, "x")) == ["x.group", "x.list.cD", "x.user.userType"]


def foreign_names(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Paths of names that are not snake_case in documented objects, and of objects that the schema does not declare.

    A schema with the column `raw` is of an object whose members are not documented.
    """
    if isinstance(value, list):
        for item in value:
            yield from foreign_names(item, schema.get("items", {}), path)
    properties = schema.get("properties")
    if not isinstance(value, Mapping) or properties is None:
        return
    for name, item in value.items():
        where = f"{path}.{name}"
        unknown = not {name, "raw"} & properties.keys()
        undeclared = unknown and any(isinstance(part, Mapping) for part in (item, *as_list(item)))
        if undeclared or name != snake_case(name):
            yield where
        elif not name.startswith("metadata_"):
            yield from foreign_names(item, properties.get(name, {}), where)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def declared(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Paths of all that a schema declares, without the metadata fields of a subscription."""
    yield path
    for name, field in schema.get("properties", {}).items():
        if not name.startswith("metadata_"):
            yield from declared(field, f"{path}.{name}")
    if isinstance(schema.get("items"), Mapping):
        yield from declared(schema["items"], path)


def test_the_last_state_of_a_stream_comes_before_its_end(synced: SyncedSubscription) -> None:
    """And after its records."""
    for name in STREAM_NAMES:
        kinds = [kind for kind, stream in synced.incremental.order if stream == name]
        assert kinds[-2:] == ["state", "COMPLETE"]
        assert kinds.index("state") > kinds.index("record")


def counted(out: Output, name: str) -> Counter[str]:
    """The records of a stream, whatever their order."""
    return Counter(map(as_json, out.records[name]))


def expected(name: str, row: Row) -> Row:
    """A row of the truth in our names: `metadata` becomes a column a group."""
    flat = {snake_case(column): value for column, value in row.items()}
    if name == "poll_responses":  # Pendo's documentation has two names for it
        flat["response"] = flat.pop("poll_response")
    if name == "guide_versions":  # `last_updated_at` is the guide's
        flat["version_last_updated_at"] = flat.pop("last_updated_at")
    if name not in ("accounts", "visitors"):
        return without_zero_times(flat)
    groups = flat.pop("metadata") or {}
    return flat | {f"metadata_{group}": values for group, values in groups.items()}


#: How names of times end
TIMES = ("at", "login", "after", "through", "first", "timestamp")


def without_zero_times(value: Any, name: str = "") -> Any:
    """Definitions write 0 for "no date", and events for the last key frame of a row without a recording."""
    if isinstance(value, Mapping):
        return {field: without_zero_times(item, field) for field, item in value.items()}
    if isinstance(value, list):
        return [without_zero_times(item) for item in value]
    return None if value == 0 and name.lower().endswith(TIMES) else value


def without(row: Row, added: set[str]) -> Row:
    """A record without what the connector adds."""
    return {column: value for column, value in row.items() if column not in added}


def folded(name: str) -> str:
    """A name without underscores and case: documented objects inside of a row have our names, too."""
    return name.replace("_", "").lower()


def comparable(value: Any, fold: Callable[[str], str]) -> Any:
    """Values in one form: folded names, times as milliseconds, numbers as texts, no nulls."""
    if isinstance(value, Mapping):
        return {fold(name): comparable(item, fold) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [comparable(item, fold) for item in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return str(epoch_millis(parse_instant(value)))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
