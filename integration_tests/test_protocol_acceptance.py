"""What Airbyte's older acceptance test asked of a read and its newer harness does not: records, counts, errors."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from fnmatch import fnmatch
from itertools import pairwise

import pytest
from airbyte_cdk.test.standard_tests._read_assertions import RecordFormatChecker, StrictIntegerDraft7Validator
from harness.runner import Runner, ScriptRunner
from harness.suite import Connector
from test_kit.catalogs import configured, key_of, primary_key
from test_kit.messages import FINAL, Output, stream_of

STATE_BYTES = 2048
STATE_BYTES_OF_A_PARENT = 64
EXPECTED = "expected_records.jsonl"


def test_every_stream_is_read_and_has_rows(runner: Runner, first_read: Output, connector: Connector) -> None:
    names = {stream["name"] for stream in runner.catalog["streams"]}

    assert set(first_read.records) == names - connector.empty_streams
    assert set(first_read.statuses) == names


def test_every_record_fits_the_discovered_schema(runner: Runner, first_read: Output) -> None:
    problems: Counter[str] = Counter()
    for stream in runner.catalog["streams"]:
        validator = StrictIntegerDraft7Validator(stream["json_schema"], format_checker=RecordFormatChecker())
        for row in first_read.records[stream["name"]]:
            for error in validator.iter_errors(row):
                problems[f"{stream['name']}: {error.json_path} {error.message[:200]}"] += 1

    assert problems == {}


def test_every_top_level_field_of_a_record_is_in_the_discovered_schema(
    runner: Runner, first_read: Output, connector: Connector
) -> None:
    undeclared = {
        f"{stream['name']}.{field}"
        for stream in runner.catalog["streams"]
        for row in first_read.records[stream["name"]]
        for field in set(row) - set(stream["json_schema"]["properties"])
    }
    unexplained = {
        field for field in undeclared if not any(fnmatch(field, pattern) for pattern in connector.undeclared_fields)
    }

    assert unexplained == set()


def test_every_part_of_a_primary_key_has_a_value(runner: Runner, first_read: Output) -> None:
    empty = [
        (stream["name"], part)
        for stream in runner.catalog["streams"]
        for part in primary_key(stream)
        if any(row.get(part) is None for row in first_read.records[stream["name"]])
    ]

    assert empty == []


def test_no_two_records_of_a_read_have_the_same_primary_key(
    runner: Runner, first_read: Output, connector: Connector
) -> None:
    if connector.keys_come_again:
        # what counts is then the last row of a key: at no time may an older one follow it
        _expect_newer_rows_last(runner, first_read)
        return
    repeated = []
    for stream in runner.catalog["streams"]:
        key = primary_key(stream)
        keys = Counter(key_of(row, key) for row in first_read.records[stream["name"]] if key)
        repeated += [(stream["name"], text) for text, count in keys.items() if count > 1]

    assert repeated == []


def _expect_newer_rows_last(runner: Runner, output: Output) -> None:
    older = []
    for stream in runner.catalog["streams"]:
        key, cursor = primary_key(stream), stream.get("default_cursor_field")
        if not key or not cursor:
            continue
        seen: dict[str, int] = {}
        for row in output.records[stream["name"]]:
            text = key_of(row, key)
            if row[cursor[0]] < seen.get(text, row[cursor[0]]):
                older.append((stream["name"], text))
            seen[text] = row[cursor[0]]
    assert older == []


def test_the_expected_records_are_read_field_by_field(connector: Connector, first_read: Output) -> None:
    lines = connector.sample(EXPECTED).read_text(encoding="utf-8").splitlines()
    expected = [json.loads(line) for line in lines]
    read = {name: {json.dumps(row, sort_keys=True) for row in rows} for name, rows in first_read.records.items()}
    changed = [
        record for record in expected if json.dumps(record["data"], sort_keys=True) not in read[record["stream"]]
    ]

    assert changed == [], f"after a wanted change: python integration_tests/snapshots.py records {connector.name}"
    assert {record["stream"] for record in expected} == set(first_read.records)


def test_two_full_refreshes_bring_the_same_records(runner: Runner, first_read: Output) -> None:
    one = runner.read(full_refresh=True).succeeded()
    two = runner.read(full_refresh=True).succeeded()

    assert _sorted_rows(one) == _sorted_rows(two)
    assert _sorted_rows(one) == _sorted_rows(first_read)
    assert _emitted(one)[-1] <= _emitted(two)[0]


def _sorted_rows(output: Output) -> dict[str, list[str]]:
    return {name: sorted(json.dumps(row, sort_keys=True) for row in rows) for name, rows in output.records.items()}


def _emitted(output: Output) -> list[int]:
    return sorted(message["record"]["emitted_at"] for message in output.of_type("RECORD"))


@pytest.mark.parametrize("full_refresh", [False, True], ids=["incremental", "full refresh"])
def test_each_state_counts_the_records_since_the_one_before(runner: Runner, full_refresh: bool) -> None:
    waiting: defaultdict[str, int] = defaultdict(int)
    for message in runner.read(full_refresh=full_refresh).succeeded().messages:
        name = stream_of(message) or ""
        if message["type"] == "RECORD":
            waiting[name] += 1
        elif message["type"] == "STATE":
            assert message["state"]["sourceStats"]["recordCount"] == waiting.pop(name, 0), name

    assert waiting == {}, "records that no state covers"


def test_a_stream_goes_through_its_statuses_in_order_and_ends_behind_its_last_state(
    first_read: Output, connector: Connector
) -> None:
    for name, statuses in first_read.statuses.items():
        running = [] if name in connector.empty_streams else ["RUNNING"]
        assert statuses == ["STARTED", *running, "COMPLETE"], name
    last: dict[str, str] = {}
    for message in first_read.messages:
        name = stream_of(message) or ""
        if message["type"] in ("RECORD", "STATE"):
            assert last.get(name) not in FINAL, f"{name}: a {message['type']} behind the end of the stream"
            assert last.get(name) is not None, f"{name}: a {message['type']} before the stream was started"
        elif message["type"] == "TRACE" and "stream_status" in message["trace"]:
            last[name] = message["trace"]["stream_status"]["status"]


def test_states_are_small(runner: Runner, first_read: Output) -> None:
    too_big = {}
    for name, states in first_read.state_messages.items():
        for state in states:
            blob = state["stream"]["stream_state"]
            parents = len(blob.get("parents", ()))
            size = len(json.dumps(blob, separators=(",", ":")))
            if size > STATE_BYTES + STATE_BYTES_OF_A_PARENT * parents:
                too_big[name] = size

    assert too_big == {}


def test_a_state_names_the_cursor_by_its_field(runner: Runner, first_read: Output) -> None:
    for stream in runner.catalog["streams"]:
        if "incremental" in stream["supported_sync_modes"]:
            blob = first_read.state(stream["name"])
            assert stream["default_cursor_field"][0] in blob, stream["name"]


def test_a_stream_that_is_not_there_fails_with_a_trace_and_the_others_are_read(script_runner: ScriptRunner) -> None:
    catalog = configured(script_runner.catalog, [script_runner.catalog["streams"][0]["name"]])
    missing = json.loads(json.dumps(catalog["streams"][0]))
    missing["stream"]["name"] = "a_stream_of_nobody"
    catalog["streams"].append(missing)
    output = script_runner.run("read", config=script_runner.vendor.config, catalog=catalog)

    assert output.code != 0
    assert output.statuses["a_stream_of_nobody"][-1] == "INCOMPLETE"
    assert output.statuses[catalog["streams"][0]["stream"]["name"]][-1] == "COMPLETE"
    sentences = [error["message"] for error in output.errors if "a_stream_of_nobody" in error["message"]]
    assert len(sentences) == 1, output.errors
    assert sentences[0].endswith(".")


@pytest.mark.parametrize("content", ["{", '{"streams": 3}', '{"streams": [{"stream": {"name": "x"}}]}', "[]", ""])
def test_a_broken_catalog_ends_with_one_trace_and_a_sentence(runner: Runner, content: str) -> None:
    output = runner.run("read", config=runner.vendor.config, catalog=content)

    assert output.code != 0
    assert [error["failure_type"] for error in output.errors] == ["config_error"]
    assert "catalog" in output.errors[0]["message"]
    assert "Traceback" not in output.stderr


def test_emitted_at_is_in_milliseconds_and_never_goes_back_within_a_stream(first_read: Output) -> None:
    for name in first_read.records:
        moments = [
            message["record"]["emitted_at"]
            for message in first_read.of_type("RECORD")
            if message["record"]["stream"] == name
        ]
        assert all(earlier <= later for earlier, later in pairwise(moments)), name
        assert moments[0] > 1_500_000_000_000
