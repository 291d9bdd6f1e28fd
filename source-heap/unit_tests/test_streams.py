"""The output of the streams: schemas, keys, selection, generations, deletions, logs, estimates, resumption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from heap_world import ADDED, Heap, Warehouse, plain, run, unordered
from jsonschema import Draft7Validator, FormatChecker
from simulators.heap.account import Account, full, more
from simulators.heap.avro_files import Column
from simulators.heap.s3_server import error_fault
from simulators.heap.scenarios import scenario
from simulators.heap.times import TimeEncoding
from test_kit.catalogs import configured_stream

INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}


def fill(heap: Heap, name: str) -> None:
    for step in scenario(name, bucket=heap.server.bucket):
        heap.server.apply(step)


# ---------------------------------------------------------------------------------------------- discover


def test_every_table_is_a_stream_beside_the_dumps(heap: Heap) -> None:
    fill(heap, "first_sync")
    catalog = heap.discover().streams
    assert [stream["name"] for stream in catalog] == [
        *("_heap_dumps", "search_submit", "sessions", "user_migrations", "users"),
    ]
    for stream in catalog:
        assert stream["supported_sync_modes"] == ["full_refresh", "incremental"]
        assert stream["source_defined_cursor"] is True
        cursor = "dump_id" if stream["name"] == "_heap_dumps" else "_heap_dump_id"
        assert stream["default_cursor_field"] == [cursor]


def test_types_are_those_of_the_files_and_times_are_instants(heap: Heap) -> None:
    fill(heap, "first_sync")
    properties = heap.discover().stream("sessions")["json_schema"]["properties"]
    assert properties["event_id"]["type"] == ["null", "integer"]
    assert properties["country"]["type"] == ["null", "string"]
    assert properties["time"].items() >= INSTANT.items()
    assert set(ADDED[:3]) < set(properties)
    assert "_ab_cdc_deleted_at" not in properties


def test_raw_times_keep_the_type_of_the_files(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    heap.server.put(account.dump(100, {"users": full(5, times=(TimeEncoding.EPOCH_US,))}).objects())
    output = heap.discover(timestamp_mode="raw")
    assert output.stream("users")["json_schema"]["properties"]["joindate"]["type"] == ["null", "integer"]
    rows = heap.read("users", timestamp_mode="raw").records["users"]
    assert all(isinstance(row["joindate"], int) for row in rows)


def test_columns_are_the_union_over_the_live_dumps_and_dead_ones_say_nothing(heap: Heap) -> None:
    story = scenario("columns_added_and_dropped", bucket=heap.server.bucket)
    seen = []
    for step in story:
        heap.server.apply(step)
        properties = heap.discover().stream("sessions")["json_schema"]["properties"]
        seen.append({name for name in ("coupon", "basket_size", "app_name") if name in properties})
    assert seen == [
        {"app_name"},
        {"coupon", "basket_size", "app_name"},
        {"coupon", "basket_size", "app_name"},
        {"basket_size"},
    ]


def test_a_column_of_two_types_has_the_wider_one(heap: Heap) -> None:
    fill(heap, "column_changes_type")
    properties = heap.discover().stream("sessions")["json_schema"]["properties"]
    assert properties["basket_size"] == {"type": ["null", "string"]}
    assert properties["share"] == {"type": ["null", "number"]}
    assert properties["flag"] == {"type": ["null", "string"]}


def test_nested_and_logical_types_have_schemas_that_their_values_match(heap: Heap) -> None:
    fill(heap, "every_avro_type")
    stream = heap.discover().stream("typed_event")
    properties = stream["json_schema"]["properties"]
    assert properties["at_millis"] == INSTANT
    assert properties["a_date"] == {"type": ["null", "string"], "format": "date"}
    assert properties["an_array"] == {"type": ["null", "array"], "items": {"type": ["null", "string"]}}
    assert properties["a_record"]["properties"]["x"] == {"type": ["null", "integer"]}
    output = heap.read("typed_event")
    truth = scenario("every_avro_type", bucket=heap.server.bucket)[-1].live["typed_event"].rows
    assert len(output.records["typed_event"]) == len(truth)
    for row, live in zip(output.records["typed_event"], truth, strict=True):
        for name in ("plain_long", "a_long", "a_int", "a_double", "a_float", "a_boolean", "plain_string"):
            assert row[name] == live.values[name]
        assert row["a_bytes"] == (None if live.values["a_bytes"] is None else live.values["a_bytes"].decode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["time_encodings", "column_changes_type", "edge_ids", "every_avro_type", "unusual_names"]
)
def test_every_record_matches_its_schema(name: str, heap: Heap) -> None:
    fill(heap, name)
    catalog = heap.discover().streams
    output = heap.read(catalog=catalog)
    for stream in catalog:
        validator = Draft7Validator(stream["json_schema"], format_checker=FormatChecker())
        for row in output.records[stream["name"]]:
            validator.validate(row)


def test_a_table_without_the_column_of_its_key_has_no_key(heap: Heap) -> None:
    fill(heap, "event_metadata_table")
    catalog = heap.discover().streams
    keys = {stream["name"]: stream.get("source_defined_primary_key") for stream in catalog}
    assert keys == {
        "_heap_dumps": [["dump_id"], ["table_name"]],
        "_event_metadata": None,
        "users": [["user_id"]],
    }


@pytest.mark.parametrize(
    ("mode", "sessions", "events"),
    [("stitch", [["event_id"]], [["event_id"]]), ("heap", [["session_id"], ["user_id"]], [["user_id"], ["event_id"]])],
)
def test_keys_follow_the_mode(mode: str, sessions: Any, events: Any, heap: Heap) -> None:
    fill(heap, "first_sync")
    output = heap.discover(primary_key_mode=mode)
    keys = {stream["name"]: stream.get("source_defined_primary_key") for stream in output.streams}
    assert keys["sessions"] == sessions
    assert keys["search_submit"] == events
    assert keys["users"] == [["user_id"]]
    assert keys["user_migrations"] == [["from_user_id"]]


def test_two_users_with_one_event_id_stay_apart_in_heaps_key_mode(heap: Heap) -> None:
    step = scenario("same_event_id_of_two_users", bucket=heap.server.bucket)[0]
    heap.server.apply(step)
    warehouse = Warehouse(heap, primary_key_mode="heap")
    warehouse.sync()
    assert unordered(warehouse.latest("search_submit")) == unordered(step.live["search_submit"].latest("heap"))
    assert len(warehouse.latest("search_submit")) == 20


def test_columns_that_differ_by_case_only_are_warned_of(heap: Heap) -> None:
    fill(heap, "columns_differing_by_case")
    assert heap.discover().logged("has columns productid and productId, which many destinations take for one")


# ---------------------------------------------------------------------------------------------- records


def test_only_selected_columns_are_emitted_and_keys_and_cursor_in_any_case(heap: Heap) -> None:
    fill(heap, "first_sync")
    stream = json.loads(json.dumps(heap.discover().stream("sessions")))
    properties = stream["json_schema"]["properties"]
    stream["json_schema"]["properties"] = {name: properties[name] for name in ("city", "time")}
    rows = heap.read(catalog=[stream]).records["sessions"]
    assert {tuple(row) for row in rows} == {("event_id", "city", "time", "_heap_dump_id")}


def test_a_catalog_without_properties_gets_every_column(heap: Heap) -> None:
    fill(heap, "first_sync")
    stream = {**heap.discover().stream("sessions"), "json_schema": {}}
    found = heap.read("sessions").records["sessions"]
    assert heap.read(catalog=[stream]).records["sessions"] == found


def test_start_date_leaves_older_events_out_and_users_in(heap: Heap) -> None:
    step = scenario("first_sync", bucket=heap.server.bucket)[0]
    heap.server.apply(step)
    start = "2024-05-01T12:00:00Z"
    output = heap.read(start_date=start)
    for table in ("sessions", "search_submit"):
        wanted = [row for row in step.live[table].emitted() if row["time"] >= "2024-05-01T12:00:00"]
        assert 0 < len(wanted) < len(step.live[table].rows)
        assert [plain(row) for row in output.records[table]] == wanted
    assert len(output.records["users"]) == len(step.live["users"].rows)
    assert len(output.records["user_migrations"]) == len(step.live["user_migrations"].rows)


@pytest.mark.slow
def test_a_time_that_is_none_is_nulled_and_the_record_says_so(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    times = (TimeEncoding.TEXT, TimeEncoding.GARBAGE)
    heap.server.put(account.dump(100, {"sessions": full(10, times=times)}).objects())
    output = heap.read("sessions")
    changed = [row for row, _ in output.changes["sessions"]]
    assert [row for row in output.records["sessions"] if row["time"] is None] == changed
    assert len(changed) == 5
    for _, changes in output.changes["sessions"]:
        assert changes == [{"field": "time", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]


@pytest.mark.slow
def test_the_estimate_nears_the_number_of_rows(heap: Heap) -> None:
    fill(heap, "many_files_in_a_dump")
    output = heap.read("pageviews")
    assert len(output.estimates["pageviews"]) == 6
    assert abs(output.estimates["pageviews"][-1] - len(output.records["pageviews"])) < 60


def test_the_dumps_tell_files_columns_and_generations(heap: Heap) -> None:
    fill(heap, "resync_in_the_newest")
    rows = [row for row in heap.read("_heap_dumps").records["_heap_dumps"] if row["table_name"] == "sessions"]
    assert [(row["dump_id"], row["incremental"], row["generation"]) for row in rows] == [
        (100, False, 100),
        (101, True, 100),
        (102, False, 102),
    ]
    assert rows[0]["files"] == 2
    assert rows[0]["columns"][0] == "event_id"
    assert rows[0]["manifest_key"] == "manifests/sync_100.json"
    assert rows[0]["manifest_last_modified"] == "2024-05-02T01:00:00.000000Z"


# ---------------------------------------------------------------------------------------------- full re-exports


@pytest.mark.slow
def test_a_resync_is_explained_in_the_log(heap: Heap) -> None:
    warehouse = Warehouse(heap)
    for step in scenario("resync_in_the_newest", bucket=heap.server.bucket):
        heap.server.apply(step)
        output = warehouse.sync("sessions")
    assert output.logged(
        "Dump 102 exports the table in full: it replaces generation 100, whose rows are dead from now on."
    )


@pytest.mark.slow
def test_resync_mode_fail_asks_for_a_refresh_and_keeps_the_state(heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="fail")
    for step in scenario("resync_in_the_newest", bucket=heap.server.bucket):
        heap.server.apply(step)
        before = dict(warehouse.states)
        output = warehouse.sync()
    assert output.failures["sessions"].message.startswith(
        "Heap has exported the table sessions in full (dump 102), which replaces all earlier rows. Refresh the stream"
    )
    assert output.failures["sessions"].failure_type == "config_error"
    assert warehouse.states["sessions"] == before["sessions"]
    assert (
        output.last_statuses["user_migrations"] == "COMPLETE"
    )  # full in every dump: nothing else could ever be synced


def test_the_full_dumps_of_user_migrations_are_no_surprise(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    warehouse = Warehouse(heap)
    for dump_id in (100, 101):
        heap.server.put(account.dump(dump_id, {"users": full(9), "user_migrations": full(1)}).objects())
        output = warehouse.sync()
    (migrations,), (users,) = output.logged("user_migrations: 1 dumps"), output.logged("users: 1 dumps")
    assert migrations.startswith("INFO")
    assert users.startswith("WARN")


# ---------------------------------------------------------------------------------------------- interruption


@pytest.mark.slow
@pytest.mark.parametrize("broken", [0, 1, 17, 39])
def test_an_interrupted_dump_goes_on_with_the_file_that_broke(broken: int, heap: Heap) -> None:
    step = scenario("many_files_in_a_dump", bucket=heap.server.bucket)[0]
    heap.server.apply(step)
    warehouse = Warehouse(heap)
    discovered = int(broken in (0, 39))  # the headers of the first and the last file are read before
    fault = error_fault(403, "AccessDenied", f"pageviews/part-{broken:05d}", times=1, skip=discovered)
    heap.server.faults.add(fault)
    first = warehouse.sync("pageviews")
    assert first.last_statuses["pageviews"] == "INCOMPLETE"
    files = [row["_heap_file"] for row in first.records["pageviews"]]
    assert len(set(files)) == broken
    second = warehouse.sync("pageviews")
    assert second.last_statuses["pageviews"] == "COMPLETE"
    assert [plain(row) for row in warehouse.rows["pageviews"]] == step.live["pageviews"].emitted()


@pytest.mark.slow
def test_from_every_state_of_a_sync_the_next_one_reads_the_rest_and_no_more(heap: Heap) -> None:
    step = scenario("many_files_in_a_dump", bucket=heap.server.bucket)[0]
    heap.server.apply(step)
    stream = heap.discover().stream("pageviews")
    output = run("read", config=heap.config(), catalog={"streams": [configured_stream(stream)]})
    rows = output.records["pageviews"]
    before, resumed = 0, 0
    for message in output.messages:
        before += message["type"] == "RECORD"
        if message["type"] == "STATE" and (before == len(rows) or before % 90 == 0):
            state = message["state"]["stream"]["stream_state"]
            assert heap.read(catalog=[stream], state={"pageviews": state}).records["pageviews"] == rows[before:]
            resumed += 1
    assert resumed >= 4


@pytest.mark.slow
def test_a_dump_that_is_half_read_when_its_manifest_vanishes_is_an_error(heap: Heap) -> None:
    story = scenario("many_files_in_a_dump", bucket=heap.server.bucket)
    for step in story:
        heap.server.apply(step)
    heap.server.faults.add(error_fault(403, "AccessDenied", "sync_100/pageviews/part-00003", times=1))
    warehouse = Warehouse(heap)
    warehouse.sync("pageviews")
    heap.server.delete(["manifests/sync_100.json"])
    failure = warehouse.sync("pageviews").failures["pageviews"]
    assert failure.message.startswith(
        "The last sync of pageviews was interrupted within dump 100, whose manifest is gone"
    )
    warehouse.options = {"on_missing_file": "skip"}
    assert warehouse.sync("pageviews").last_statuses["pageviews"] == "COMPLETE"


@pytest.mark.slow
def test_a_full_refresh_that_was_interrupted_goes_on(heap: Heap) -> None:
    step = scenario("many_files_in_a_dump", bucket=heap.server.bucket)[0]
    heap.server.apply(step)
    heap.server.faults.add(error_fault(403, "AccessDenied", "pageviews/part-00020", times=1))
    warehouse = Warehouse(heap)
    warehouse.sync("pageviews", mode="full_refresh")
    warehouse.sync("pageviews", mode="full_refresh")
    assert [plain(row) for row in warehouse.rows["pageviews"]] == step.live["pageviews"].emitted()


@pytest.mark.slow
def test_states_stay_below_two_kilobytes(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    for index in range(120):
        heap.server.put(account.dump(1_008_461_850 + index, {"users": more(1) if index else full(1)}).objects())
    output = heap.read()
    sizes = [len(json.dumps(state)) for states in output.states.values() for state in states]
    assert max(sizes) < 2048


@pytest.mark.slow
def test_three_thousand_files_are_read_once_and_never_again(heap: Heap) -> None:
    first, second = scenario("three_thousand_files", bucket=heap.server.bucket)
    heap.server.apply(first)
    warehouse = Warehouse(heap)
    output = warehouse.sync()
    assert len(output.records["video_play"]) == 3_000
    assert max(len(json.dumps(state)) for state in output.states["video_play"]) < 2048
    assert len(heap.files_read("video_play")) == 3_000
    heap.server.apply(second)
    assert not warehouse.sync().records
    assert len(heap.files_read("video_play")) == 3_000


def test_no_file_is_left_behind(heap: Heap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fill(heap, "first_sync")
    catalog = [configured_stream(stream) for stream in heap.discover().streams]
    run("read", config=heap.config(), catalog={"streams": catalog}, state=[])
    assert not list(tmp_path.rglob("*.avro"))


def test_a_column_that_only_the_manifest_names_is_text(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    dump = account.dump(100, {"sessions": full(5, add=(Column("coupon", "long"),))})
    heap.server.put([item for item in dump.objects() if not item.key.endswith(".avro")])
    output = heap.discover()
    assert output.stream("sessions")["json_schema"]["properties"]["coupon"] == {"type": ["null", "string"]}
    assert output.logged("the types of its columns are taken from other files")
