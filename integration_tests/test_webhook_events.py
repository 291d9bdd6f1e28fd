"""`webhook_events` of both connectors, on an inlet that was written from its interface and not from its code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from backports.zstd import compress
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import BucketServer
from source_customerio import SourceCustomerio
from source_kit.cli import launch
from source_kit.http.retry import RetryPolicy
from source_kit.json_text import dumps
from source_kit.webhook_events import WebhookEvents
from source_kit.webhook_log import SegmentPart
from source_kit.webhook_records import ADDED, Path, RecordMaker
from source_pendo import SourcePendo
from source_pendo.streams.webhooks import WebhookEvents as PendoEvents
from test_kit.catalogs import Row, configured_stream, stream_state
from test_kit.command import run_here, specification_read_once
from test_kit.inlet import FIRST_AT, TOKEN, FakeInlet, line, running_inlet
from test_kit.messages import Failure, Output

STREAM = "webhook_events"
LANE, OTHER = "20261126T220100Z-aaaaaa", "20261127T080000Z-bbbbbb"
QUICK = RetryPolicy(tries=2, base_seconds=0.001, cap_seconds=0.01, throttled_seconds=0.05)
KEYS = {SourcePendo: "api_key", SourceCustomerio: "app_api_key"}


@dataclass
class Connection:
    """A connector with a webhook-inlet."""

    source: Any
    inlet: FakeInlet

    def config(self, **store: Any) -> Row:
        given = {"type": "inlet", "url": self.inlet.url, "token": TOKEN, "inlet": "prod", **store}
        return {KEYS[self.source]: "not-a-real-key", "webhook_store": given}

    def sync(self, lanes: Any = None, *, full_refresh: bool = False, config: Row | None = None) -> Output:
        """A read of the stream. `lanes` are the positions of the last sync."""
        return self.sync_from(None if lanes is None else {"lanes": lanes}, full_refresh=full_refresh, config=config)

    def sync_from(self, state: Any, *, full_refresh: bool = False, config: Row | None = None) -> Output:
        return run_here(
            lambda argv: launch(self.source, argv),
            "read",
            config=config or self.config(),
            catalog={"streams": [configured_stream(STREAM, not full_refresh)]},
            state=None if state is None else [stream_state(STREAM, state)],
        )


@pytest.fixture(scope="module", params=[SourcePendo, SourceCustomerio], ids=["pendo", "customerio"])
def source(request: pytest.FixtureRequest) -> Iterator[Any]:
    with specification_read_once(request.param):
        yield request.param


@pytest.fixture
def connection(source: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    for policy in ("RETRY_POLICY", "CHECK_RETRY_POLICY"):
        monkeypatch.setattr(f"source_kit.webhook_inlet_log.{policy}", QUICK)
    monkeypatch.setattr(WebhookEvents, "state_interval", 0.0)
    with running_inlet() as inlet:
        yield Connection(source, inlet)


def event(number: int) -> bytes:
    """A line that both connectors take."""
    return line(f"test:{number}", b'{"number":%d}' % number, FIRST_AT + number)


def events(first: int, last: int) -> list[bytes]:
    return [event(number) for number in range(first, last + 1)]


def numbers(output: Output) -> list[int]:
    found: list[int] = output.column(STREAM, "number")
    return found


def positions(output: Output) -> Any:
    """The positions in the last state."""
    return output.state(STREAM)["lanes"]


def failure(output: Output) -> Failure:
    assert output.code == 1
    return output.failures[STREAM]


# --- positions


def test_a_sync_reads_all_lanes_and_the_next_one_reads_what_came_since(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    lane.add(*events(1, 3))
    lane.add(*events(4, 5), sealed=False)
    connection.inlet.lane(OTHER).add(*events(100, 101))

    first = connection.sync().succeeded()
    assert sorted(numbers(first)) == [1, 2, 3, 4, 5, 100, 101]
    assert positions(first) == {LANE: [2, 2], OTHER: [2, 0]}

    lane.segments[2].lines += events(6, 7)
    second = connection.sync(positions(first)).succeeded()
    assert numbers(second) == [6, 7]
    assert positions(second) == {LANE: [2, 4], OTHER: [2, 0]}

    lane.segments[2].lines += events(8, 8)
    lane.segments[2].sealed = True
    lane.add(*events(9, 9), sealed=False)
    third = connection.sync(positions(second)).succeeded()
    assert numbers(third) == [8, 9]
    assert positions(third) == {LANE: [3, 1], OTHER: [2, 0]}


def test_a_segment_that_was_sealed_without_another_line_is_left_behind(connection: Connection) -> None:
    """Otherwise its removal would look like a loss."""
    lane = connection.inlet.lane(LANE)
    lane.add(*events(1, 2), sealed=False)
    first = connection.sync().succeeded()
    assert positions(first) == {LANE: [1, 2]}

    lane.segments[1].sealed = True
    second = connection.sync(positions(first)).succeeded()
    assert (numbers(second), positions(second)) == ([], {LANE: [2, 0]})

    lane.remove_before(2)
    third = connection.sync(positions(second)).succeeded()
    assert (numbers(third), positions(third)) == ([], {LANE: [2, 0]})


def test_a_lane_that_was_read_to_its_end_costs_no_request(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(*events(1, 2))
    connection.inlet.lane(OTHER).add(*events(3, 4), sealed=False)
    state = positions(connection.sync().succeeded())
    connection.inlet.requests.clear()
    connection.sync(state).succeeded()
    assert f"/log/v1/prod/{LANE}/2" not in [path for path, _ in connection.inlet.requests]


def test_a_sync_ends_at_the_end_that_was_listed_when_it_began(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    lane.add(*events(1, 2), sealed=False)

    def grow(path: str) -> None:
        if path.endswith("/1"):
            lane.segments[1].lines.append(event(50))

    connection.inlet.hooks.append(grow)
    first = connection.sync().succeeded()
    assert (numbers(first), positions(first)) == ([1, 2], {LANE: [1, 2]})
    connection.inlet.hooks.clear()
    second = connection.sync(positions(first)).succeeded()
    assert set(numbers(second)) == {50}


def test_a_segment_that_is_sealed_and_followed_while_it_is_read_loses_no_line(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    lane.add(*events(1, 2), sealed=False)

    def seal(path: str) -> None:
        if path.endswith("/1") and lane.last == 1:
            lane.segments[1].lines.append(event(3))
            lane.segments[1].sealed = True
            lane.add(event(4))

    connection.inlet.hooks.append(seal)
    first = connection.sync().succeeded()
    rest = connection.sync(positions(first)).succeeded()
    assert sorted(numbers(first) + numbers(rest)) == [1, 2, 3, 4]
    assert positions(rest) == {LANE: [3, 0]}


def test_many_segments_come_in_their_order_although_they_are_requested_ahead(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(60):
        lane.add(event(number))
    output = connection.sync().succeeded()
    assert numbers(output) == list(range(60))
    assert [state["lanes"][LANE] for state in output.states[STREAM]][:3] == [[2, 0], [3, 0], [4, 0]]


def test_a_full_refresh_reads_from_the_oldest_segment_that_is_kept(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(1, 6):
        lane.add(event(number))
    lane.remove_before(3)
    output = connection.sync({LANE: [6, 0]}, full_refresh=True).succeeded()
    assert numbers(output) == [3, 4, 5]


def test_an_empty_log_is_no_error_and_leaves_a_state(connection: Connection) -> None:
    output = connection.sync().succeeded()
    assert (numbers(output), positions(output)) == ([], {})
    assert output.logged("no event is in the log of the inlet")


def test_a_lane_that_left_the_listing_leaves_the_state(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(event(1))
    output = connection.sync({LANE: [2, 0], "20260101T000000Z-gone00": [9, 0]}).succeeded()
    assert positions(output) == {LANE: [2, 0]}
    assert output.logged("1 lanes are no longer in the log")


def test_the_log_says_at_the_start_how_old_the_last_event_is(connection: Connection) -> None:
    came = int(datetime.now(UTC).timestamp() * 1e6) - 3 * 3600 * 1_000_000
    connection.inlet.lane(LANE).add(line("test:1", b"{}", came))
    assert connection.sync().succeeded().logged("the last event came 3 h ago")


def test_a_look_at_the_newest_event_does_not_count_as_read(connection: Connection) -> None:
    """The inlet shows how far each reader is, and a check reads nothing."""
    connection.inlet.lane(LANE).add(*events(1, 3))
    connection.sync().succeeded()
    queries = [query for path, query in connection.inlet.queries if path.endswith("/1")]
    assert queries == [{"line": ["2"], "peek": ["true"]}, {"line": ["0"]}]


def test_a_difference_of_the_clocks_is_no_warning_because_positions_are_no_times(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.inlet.lane(LANE).add(event(1))
    monkeypatch.setattr("source_kit.http.client.utc_now", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert connection.sync().succeeded().logged("clock") == []


def test_the_state_of_fifty_lanes_is_small(connection: Connection) -> None:
    """A month of segments each, sealed every few seconds."""
    names = [f"202611{day:02d}T2201{second:02d}Z-a1b2c3" for day in range(1, 26) for second in (1, 2)]
    for name in names:
        lane = connection.inlet.lane(name)
        lane.last = 499_999
        lane.add(event(1))
    output = connection.sync({name: [500_000, 0] for name in names}).succeeded()
    assert positions(output) == {name: [500_001, 0] for name in names}
    assert len(json.dumps(output.state(STREAM), separators=(",", ":"))) < 2048


# --- what was removed, is missing, or came back


def test_segments_that_retention_removed_unread_are_an_error_with_their_count(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(1, 9):
        lane.add(event(number))
    connection.inlet.lane(OTHER).add(event(100))
    lane.remove_before(6)
    output = connection.sync({LANE: [2, 0], OTHER: [1, 0]})
    assert "Retention removed 4 segments of lane" in failure(output).message
    assert numbers(output) == [100], "the other lane is read"
    assert positions(output) == {LANE: [2, 0], OTHER: [2, 0]}, "the lane stays where it was"


def test_a_lane_that_was_removed_before_it_was_read_is_an_error(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    lane.add(event(1))
    lane.add(event(2))
    lane.remove_before(3)
    assert lane.listed(LANE) == {"lane": LANE, "first": 3, "last": 2, "lines": 0, "closed": False}
    assert "Retention removed 1 segment of lane" in failure(connection.sync({LANE: [2, 0]})).message
    assert connection.sync({LANE: [3, 0]}).succeeded()


def test_a_new_lane_whose_first_segments_are_gone_is_an_error_but_not_in_a_first_sync(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(1, 5):
        lane.add(event(number))
    lane.remove_before(3)
    output = connection.sync({})
    assert "Retention removed 2 segments" in failure(output).message
    assert "2 segments" in failure(connection.sync(positions(output) if output.states[STREAM] else {})).message
    assert numbers(connection.sync().succeeded()) == [3, 4]


def test_an_interrupted_first_sync_does_not_take_the_other_lanes_for_new_ones(connection: Connection) -> None:
    for name in (LANE, OTHER):
        lane = connection.inlet.lane(name)
        for number in range(1, 4):
            lane.add(event(number))
        lane.remove_before(2)
    output = connection.sync().succeeded()
    first_state = output.states[STREAM][0]
    assert set(first_state["lanes"]) == {LANE, OTHER}
    assert connection.sync_from(first_state).succeeded()


def test_a_segment_that_retention_removes_during_the_sync_is_a_loss_and_no_hole(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(1, 5):
        lane.add(event(number))

    def remove(path: str) -> None:
        if path.endswith("/3"):
            lane.remove_before(4)

    connection.inlet.hooks.append(remove)
    output = connection.sync()
    at = positions(output)[LANE][0]  # segments are requested ahead, so the second may be gone as well
    assert f"Retention removed {4 - at} segment" in failure(output).message
    assert numbers(output) == list(range(1, at))


def test_a_hole_stops_the_lane_in_front_of_it_and_the_others_are_read(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(1, 6):
        lane.add(event(number))
    connection.inlet.lane(OTHER).add(event(100))
    del lane.segments[3]
    output = connection.sync()
    message = failure(output).message
    assert f"Segment 3 of lane {LANE} of the webhook log is missing" in message
    assert "[4, 0]" in message
    assert sorted(numbers(output)) == [1, 2, 100]
    assert positions(output) == {LANE: [3, 0], OTHER: [2, 0]}
    assert numbers(connection.sync({LANE: [4, 0], OTHER: [2, 0]}).succeeded()) == [4, 5], "as the sentence says"


def test_a_segment_that_is_there_at_the_second_look_is_no_hole(connection: Connection) -> None:
    lane = connection.inlet.lane(LANE)
    for number in range(1, 4):
        lane.add(event(number))
    kept = lane.segments.pop(2)

    def restore(path: str) -> None:
        if path == "/log/v1/prod" and [asked for asked, _ in connection.inlet.requests].count(path) > 1:
            lane.segments[2] = kept

    connection.inlet.hooks.append(restore)
    assert numbers(connection.sync().succeeded()) == [1, 2, 3]


@pytest.mark.parametrize("ahead", [[9, 0], [2, 7], [3, 1]])
def test_a_position_ahead_of_the_lane_is_warned_of_and_read_on_from_the_end(
    connection: Connection, ahead: list[int]
) -> None:
    lane = connection.inlet.lane(LANE)
    lane.add(event(1))
    lane.add(event(2), sealed=False)
    output = connection.sync({LANE: ahead}).succeeded()
    assert output.logged("the state is ahead of lane")
    assert (numbers(output), positions(output)) == ([], {LANE: [2, 1]})
    lane.segments[2].lines.append(event(3))
    again = connection.sync(positions(output)).succeeded()
    assert (numbers(again), again.logged("the state is ahead")) == ([3], [])


# --- exactness


@pytest.mark.slow
def test_stopped_after_any_row_and_resumed_no_row_is_missing(connection: Connection) -> None:
    """The reader of the output stops there; the next sync gets the last state before."""
    number = 0
    for name in (LANE, OTHER):
        for _ in range(3):
            connection.inlet.lane(name).add(*events(number + 1, number + 3))
            number += 3
    connection.inlet.lane(OTHER).segments[3].sealed = False
    whole = connection.sync().succeeded()
    assert len(whole.states[STREAM]) > 4
    for rows in range(number + 1):
        before, state = set[int](), None
        for message in whole.messages:
            if message["type"] == "STATE":
                state = message["state"]["stream"]["stream_state"]
            elif message["type"] == "RECORD":
                if len(before) == rows:
                    break
                before.add(message["record"]["data"]["number"])
        after = numbers(connection.sync_from(state).succeeded())
        assert before | set(after) == set(range(1, number + 1)), rows
        assert len(after) == len(set(after))


def test_a_log_that_grows_over_many_syncs_is_read_once(connection: Connection) -> None:
    lane, seen, state = connection.inlet.lane(LANE), list[int](), None
    for number in range(1, 13):
        if number % 3 == 1:
            if lane.segments:
                lane.segments[lane.last].sealed = True
            lane.add(sealed=False)
        lane.segments[lane.last].lines.append(event(number))
        output = connection.sync(state).succeeded()
        seen, state = seen + numbers(output), positions(output)
    assert seen == list(range(1, 13))


# --- states and lines of another form


@pytest.mark.parametrize(
    "state",
    [
        {"received_at": "2026-01-01T00:00:00Z"},
        {"lanes": []},
        {"lanes": {LANE: 5}},
        {"lanes": {LANE: [1]}},
        {"lanes": {LANE: [0, 0]}},
        {"lanes": {LANE: [1, -1]}},
        {"lanes": {LANE: [True, 0]}},
        {"lanes": {LANE: ["1", 0]}},
        {"lanes": {LANE: [1.5, 0]}},
        {"lanes": {LANE: [1, 0]}, "version": 2},
    ],
)
def test_a_state_of_another_form_is_refused(connection: Connection, state: Row) -> None:
    connection.inlet.lane(LANE).add(event(1))
    error = failure(connection.sync_from(state))
    assert error.message.startswith("The state of stream webhook_events cannot be read")
    assert error.failure_type == "config_error"


def test_a_line_of_a_newer_version_is_an_error_that_says_to_update(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(event(1), event(2).replace(b'"v":1', b'"v":2'))
    assert "version 2, and this connector reads version 1. Update the connector" in failure(connection.sync()).message


def test_unknown_fields_of_a_line_are_ignored(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(line("test:1", b'{"number":1}', trace={"a": [1]}))
    [row] = connection.sync().succeeded().records[STREAM]
    assert row == {"number": 1, "record_id": "test:1", "received_at": "2026-11-26T22:01:00.000Z", "inlet": "prod"}


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"",
        b"[1]",
        b'{"v":1,"key":"k","at":1,"inlet":"prod"}',
        b'{"v":1,"key":"k","inlet":"prod","body":{}}',
        b'{"v":1,"key":"k","at":1e300,"inlet":"prod","body":{}}',
        b'{"v":1,"key":"k","at":1,"inlet":"prod","body_b64":"%%%"}',
        event(1)[:-5],
    ],
)
def test_a_damaged_line_is_an_error_with_its_place(connection: Connection, bad: bytes) -> None:
    lane = connection.inlet.lane(LANE)
    lane.add(event(1))
    lane.add(event(2), bad, event(3))
    output = connection.sync()
    assert f"Line 2 of segment 2 of lane {LANE} of the webhook log is not an event" in failure(output).message
    assert "to [2, 2] to read on" in failure(output).message
    assert positions(output) == {LANE: [2, 0]}
    assert numbers(connection.sync({LANE: [2, 2]}).succeeded()) == [3], "as the sentence says"


# --- bodies

RAW = {
    "null": b"null",
    "a text": b'"just text"',
    "a number": b" 42 ",
    "no JSON": b"hello=world&x=1",
    "nothing": b"",
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "invalid UTF-8": b'{"a":"\xff\xfe"}',
    "half an object": b'{"a":{"b":1',
    "a huge integer that is no number": b"1" * 5000 + b"x",
    "an empty array": b"[]",
    "ten thousand brackets": b"[" * 10_000 + b"]" * 10_000,
    "ten thousand objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a line feed in no JSON": b"a\nb\r\n",
}


#: What the inlet may embed: a JSON parser takes it, in UTF-8 and on one line
EMBEDDED = ["null", "a text", "a number", "NaN", "infinity", "an empty array"]
EMBEDDED += ["ten thousand brackets", "ten thousand objects"]


@pytest.mark.parametrize(("name", "embed"), [*((name, False) for name in RAW), *((name, True) for name in EMBEDDED)])
def test_a_body_that_is_no_json_object_is_a_row_with_raw(connection: Connection, name: str, embed: bool) -> None:
    body = RAW[name]
    connection.inlet.lane(LANE).add(event(1), line("test:raw", body, embed=embed), event(2))
    [_, row, _] = connection.sync().succeeded().records[STREAM]
    assert row["raw"] == body.decode("utf-8", "replace")
    assert row["record_id"] == "test:raw"


def test_lone_surrogates_become_replacement_characters_and_nul_stays(connection: Connection) -> None:
    body = rb'{"number":1,"text":"a\ud800b\u0000c","\udfff":"\ud83d\ude00"}'
    for embed in (True, False):
        connection.inlet.lane(LANE).add(line(f"test:{embed}", body, embed=embed))
    for row in connection.sync().succeeded().records[STREAM]:
        assert (row["text"], row["�"]) == ("a�b\x00c", "\U0001f600")
        assert "raw" not in row


def test_pretty_json_is_a_row_like_any_other(connection: Connection) -> None:
    """Its line feeds make the inlet encode it."""
    connection.inlet.lane(LANE).add(line("test:1", b'{\n  "number": 1\n}\n'))
    [row] = connection.sync().succeeded().records[STREAM]
    assert row["number"] == 1
    assert "raw" not in row


def test_big_integers_nested_bodies_and_repeated_names_are_rows(connection: Connection) -> None:
    deep = b'{"a":' * 600 + b"1" + b"}" * 600
    bodies = [b'{"id":9223372036854775807,"low":-9223372036854775808}', deep, b'{"a":1,"a":2}', b'{"":0}', b"{}"]
    connection.inlet.lane(LANE).add(*[line(f"test:{place}", body) for place, body in enumerate(bodies)])
    output = connection.sync()
    rows = [
        json.loads(raw)["record"]["data"] for raw in output.stdout.split(b"\n") if raw.startswith(b'{"type":"RECORD"')
    ]
    assert (rows[0]["id"], rows[0]["low"]) == (2**63 - 1, -(2**63))
    assert "a" in rows[1]
    assert rows[2]["a"] == 2
    assert len(rows) == 5
    assert output.code == 0


def test_a_header_that_is_called_body_is_not_taken_for_the_body(connection: Connection) -> None:
    headers = {"x": "1", "body": '"},"body":{', "y": ',"body":'}
    connection.inlet.lane(LANE).add(
        line("test:1", b'"text"', headers=headers), line("test:2", b'{"a":NaN}', embed=True, headers=headers)
    )
    assert connection.sync().succeeded().column(STREAM, "raw") == ['"text"', '{"a":NaN}']


def test_an_array_is_a_row_for_each_element(connection: Connection) -> None:
    with_ids = b'{"event_id":"E1","event":"opened","uniqueId":"u1"}'
    body = b'[{"number":1},5,null,[{"a":1}],%b,{"event_id":"","event":"x"}]' % with_ids
    connection.inlet.lane(LANE).add(line("test:array", body))
    rows = connection.sync().succeeded().records[STREAM]
    own = "pendo:opened:u1" if connection.source is SourcePendo else "customerio:E1"
    ids = [f"test:array#{place}" for place in range(6)]
    assert [row["record_id"] for row in rows] == [*ids[:4], own, ids[5]]
    assert [row.get("raw") for row in rows] == [None, "5", "null", '[{"a":1}]', None, None]


def test_a_body_that_was_cut_is_marked(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(line("test:1", b'{"a":"b', truncated=True))
    [row] = connection.sync().succeeded().records[STREAM]
    assert (row["truncated"], row["raw"]) == (True, '{"a":"b')


def test_fields_with_the_names_of_added_columns_are_kept_beside_them(connection: Connection) -> None:
    body = b'{"record_id":"mine","received_at":1,"inlet":2,"raw":3,"truncated":4,"_raw":5}'
    connection.inlet.lane(LANE).add(line("test:1", body))
    [row] = connection.sync().succeeded().records[STREAM]
    assert row == {
        "record_id": "test:1",
        "received_at": "2026-11-26T22:01:00.000Z",
        "inlet": "prod",
        "_record_id": "mine",
        "_received_at": 1,
        "_inlet": 2,
        "_raw": 5,
        "__raw": 3,
        "_truncated": 4,
    }


# --- any body


NAMES = st.sampled_from(
    [
        *("event_id", "object_type", "metric", "timestamp", "data", "identifiers", "cio_id", "delivery_id", "link_id"),
        *("event", "uniqueId", "unique_id", "visitorId", "accountId", "userAgent", "app", "id", "campaign_id"),
        *("properties", "guideId", "guideStepId", "guideProperties", "name", "appId", "record_id", "_record_id", "raw"),
        *("inlet", "received_at", "truncated", "_raw", "Raw", "person", "trigger_id", "customer_id", "subscription"),
    ]
) | st.text(max_size=4)
VALUES = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.floats(), st.text(max_size=8), st.integers(-(2**65), 2**65)),
        st.sampled_from(["17", "-9223372036854775808", "9223372036854775808", "007", "2026-01-01", "1e3", "\x00"]),
        st.sampled_from([0, -1, 2**53, 2**63 - 1, 2**63, -(2**63), 253402300800, 1e18, 1.5, -0.0, "\ud800"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)
SAID = {"data.identifiers.id": "person", "properties.0.name": "first"}


@given(bodies=st.lists(OBJECTS | VALUES, min_size=1, max_size=4))
def test_any_body_becomes_rows_that_match_the_schema_and_no_field_is_lost(source: Any, bodies: list[Any]) -> None:
    options = {"type": "inlet", "url": "http://127.0.0.1:9", "token": TOKEN, "inlet": "prod"}
    said = [f"{path}={name}" for path, name in SAID.items()]
    config = {KEYS[source]: "not-a-real-key", "webhook_store": options, "webhook_columns": said}
    [stream] = [one for one in source().streams(config) if one.name == STREAM]
    validator = Draft7Validator(dict(stream.get_json_schema()), format_checker=FormatChecker())
    made = {*ADDED, *SAID.values(), *stream.form.lifted}
    maker = RecordMaker(stream.form, {name: Path.of(path) for path, name in SAID.items()})
    for body in bodies:
        part = SegmentPart(1, 0, line("test:1", json.dumps(body).encode()) + b"\n", (2, 0))
        rows = [json.loads(dumps(row)) for batch in maker.batches(part, LANE) for row in batch]
        assert [error.message for row in rows for error in validator.iter_errors(row)] == []
        assert [row for row in rows if not {"record_id", "received_at", "inlet"} <= set(row)] == []
        assert len(rows) in ((len(body), 1) if isinstance(body, list) else (1,))
        if isinstance(body, dict) and "raw" not in rows[0]:
            assert len(rows[0].keys() - made) == len(body)


@given(st.permutations(["event", "uniqueId", "visitorId", "userAgent", "timestamp", "properties", "app"]))
def test_the_names_of_a_body_may_come_in_any_order(names: list[str]) -> None:
    maker = RecordMaker(PendoEvents.form, {})
    body = json.dumps({name: {} if name in ("properties", "app") else 5 for name in names}).encode()
    [[row]] = maker.batches(SegmentPart(1, 0, line("test:1", body) + b"\n", (2, 0)), LANE)
    assert row == {
        **dict.fromkeys(("event", "unique_id", "visitor_id", "user_agent"), "5"),
        **{"timestamp": "1970-01-01T00:00:05.000Z", "properties": {}, "app": {}},
        **{"record_id": "test:1", "received_at": "2026-11-26T22:01:00.000Z", "inlet": "prod"},
    }


# --- options, check, the stream's existence


def discovered(connection: Connection, config: Row) -> dict[str, Row]:
    streams = connection.source().streams(config)
    return {stream.name: stream.as_airbyte_stream().json_schema for stream in streams}


def test_the_stream_exists_only_with_the_option(connection: Connection) -> None:
    config = connection.config()
    assert STREAM in discovered(connection, config)
    assert STREAM not in discovered(connection, {name: config[name] for name in config if name != "webhook_store"})


def test_columns_lift_what_lies_at_their_paths(connection: Connection) -> None:
    config = connection.config() | {"webhook_columns": ["a.b.1.c=deep_one", "a b.x=spaced", "number=own_number"]}
    body = b'{"number":7,"a":{"b":[0,{"c":{"d":1}}]},"a b":{"x":[1,"y"]},"deep_one":"taken"}'
    connection.inlet.lane(LANE).add(line("test:1", body), line("test:2", b'{"a":{"b":{"1":{"c":2}}}}'), event(3))
    first, second, third = connection.sync(config=config).succeeded().records[STREAM]
    assert (first["deep_one"], first["spaced"], first["own_number"]) == ({"d": 1}, [1, "y"], 7)
    assert (first["_deep_one"], first["number"]) == ("taken", 7)
    assert second["deep_one"] == 2
    assert "deep_one" not in third
    properties = discovered(connection, config)[STREAM]["properties"]
    assert set(properties["spaced"]["type"]) == {"null", "array", "boolean", "integer", "number", "object", "string"}
    assert properties["spaced"]["description"] == "a b.x of the body, as it was sent"


@pytest.mark.parametrize(
    "columns",
    [
        *(["no_name"], ["=name"], ["a..b=c"], ["a=Camel"], ["a=1st"], ["a="], [5], "a=b"),
        *(["a=record_id"], ["a=timestamp"], ["a=twice", "b=twice"]),
    ],
)
def test_wrong_columns_are_refused(connection: Connection, columns: Any) -> None:
    config = connection.config() | {"webhook_columns": columns}
    output = connection.sync(config=config)
    assert output.code == 1
    assert any("Option webhook_columns" in error["message"] for error in output.errors)


@pytest.fixture
def check(connection: Connection) -> Iterator[Callable[..., tuple[str, str]]]:
    """The check of the webhooks alone: the vendor is not asked."""

    def examine(**store: Any) -> tuple[str, str]:
        config = connection.config(**store)

        def probe(self: Any, logger: Any, options: Any) -> str:  # the vendor is asked in another test
            [stream] = [one for one in self.all_streams(options) if one.name == STREAM]
            return str(stream.examine(logger))

        with patch.object(connection.source, "probe", probe):
            output = run_here(lambda argv: launch(connection.source, argv), "check", config=config)
        assert TOKEN not in output.stdout.decode()
        status = output.connection_status
        return status["status"], status.get("message", "")

    return examine


def test_a_check_says_how_old_the_last_event_is(connection: Connection, check: Any) -> None:
    came = int(datetime.now(UTC).timestamp() * 1e6) - 5 * 60 * 1_000_000
    connection.inlet.lane(LANE).add(line("test:1", b"{}", came - 9), line("test:2", b'{"a":NaN}', came, embed=True))
    assert check() == ("SUCCEEDED", "Webhooks: the last event came 5 min ago.")


def test_a_check_of_a_silent_inlet_says_what_to_do(check: Any) -> None:
    status, message = check()
    assert status == "SUCCEEDED"
    assert "no event is in the log" in message
    assert "webhook-inlet url prod" in message


def test_a_check_counts_refused_signatures(connection: Connection, check: Any) -> None:
    posts = {"24h": {"bad_signature": 12, "stored": 0}}
    connection.inlet.status = {"inlets": [{"name": "other", "posts": {}}, {"name": "prod", "posts": posts}]}
    status, message = check()
    assert status == "SUCCEEDED"
    assert "refused 12 posts because of a wrong signature" in message


def test_an_inlet_of_another_sender_fails_the_check(connection: Connection, check: Any) -> None:
    posts = {"24h": {"bad_signature": 0}}
    connection.inlet.status = {"inlets": [{"name": "prod", "source": "standard", "posts": posts}]}
    status, message = check()
    assert status == "FAILED"
    assert "The inlet prod takes the posts of standard, not of " in message


@pytest.mark.parametrize("status", [None, [], {"inlets": "x"}, {"inlets": [{"name": "prod", "posts": None}]}])
def test_a_check_does_without_the_status_page(connection: Connection, check: Any, status: Any) -> None:
    connection.inlet.status = status
    assert check()[0] == "SUCCEEDED"


def test_a_wrong_token_fails_the_check(check: Any) -> None:
    status, message = check(token="another-token")
    assert status == "FAILED"
    assert "refuses the token" in message
    assert "another-token" not in message


def test_an_unknown_inlet_fails_the_check_with_its_name(check: Any) -> None:
    status, message = check(inlet="staging")
    assert (status, "has no inlet named staging" in message) == ("FAILED", True)


def test_an_inlet_that_cannot_be_reached_fails_the_check(check: Any) -> None:
    status, message = check(url="http://127.0.0.1:9")
    assert status == "FAILED"
    assert "The connection to webhook-inlet could not be made" in message
    assert "webhook_store.url" in message
    assert "api_url" not in message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, "text/html", b"<html>Sign on</html>"), "not JSON"),
        ((404, "text/html", b"<html>Not Found</html>"), "is not a webhook-inlet"),
        ((200, "application/json", b'{"ok": true}'), "is not a webhook-inlet"),
        ((200, "application/json", b"[]"), "is not a webhook-inlet"),
        ((200, "application/json", b'{"lanes": [{"lane": 5}]}'), "is not a webhook-inlet"),
        ((200, "application/x-ndjson", b""), "not JSON"),
        ((302, "text/html", b""), "redirected"),
        ((403, "text/html", b"<html>Forbidden</html>"), "in front of the webhook-inlet refuses this connector"),
        ((503, "text/plain", b"busy"), "failed with status 503"),
    ],
)
def test_what_is_no_inlet_fails_the_check_with_a_sentence(
    connection: Connection, check: Any, answer: tuple[int, str, bytes], words: str
) -> None:
    connection.inlet.answer = answer
    status, message = check()
    assert status == "FAILED"
    assert words in message
    assert "api_url" not in message


def test_a_segment_without_the_header_is_not_taken(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(event(1))

    def replace(path: str) -> None:
        if path.endswith("/1"):
            connection.inlet.answer = (200, "application/json", b"{}")

    connection.inlet.hooks.append(replace)
    assert "is not a webhook-inlet" in failure(connection.sync()).message


def test_the_inlet_learns_which_connector_reads_and_is_asked_for_usual_encodings_only(connection: Connection) -> None:
    connection.inlet.lane(LANE).add(event(1))
    connection.sync().succeeded()
    name = "pendo" if connection.source is SourcePendo else "customerio"
    assert {headers["user-agent"] for _, headers in connection.inlet.requests} == {f"airbyte-source-{name}"}
    assert {headers["accept-encoding"] for _, headers in connection.inlet.requests} == {"gzip, deflate"}


def test_an_inlet_that_is_down_fails_its_stream_alone(connection: Connection) -> None:
    """The other stream fails here for its own reason, and with its own sentence."""
    connection.inlet.answer = (503, "text/plain", b"down")
    output = connection.sync()
    assert set(output.failures) == {STREAM}
    assert "webhook-inlet failed with status 503" in failure(output).message


# --- a bucket


def test_the_log_in_a_bucket_is_read_like_that_of_an_inlet(connection: Connection) -> None:
    """As the inlet leaves it there: sealed segments of zstd."""
    keys = {"auth_type": "keys", "aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made-up-key"}
    with BucketServer("webhooks") as bucket:

        def have(number: int, *lines: bytes) -> None:
            key = f"inlet/prod/lanes/{LANE}/{number:012d}.ndjson.zst"
            bucket.put([StoredObject(key, compress(b"".join(one + b"\n" for one in lines)))])

        store = {"type": "bucket", "bucket": "webhooks", "prefix": "inlet/", "inlet": "prod", "credentials": keys}
        config = connection.config() | {"webhook_store": store | {"endpoint_url": bucket.url}}
        for number in range(1, 30):
            have(number, event(2 * number), event(2 * number + 1))
        first = connection.sync(config=config).succeeded()
        assert numbers(first) == list(range(2, 60))
        assert positions(first) == {LANE: [30, 0]}
        assert first.logged("the last event came")

        have(30, event(60))
        have(32, event(64))
        second = connection.sync(positions(first), config=config)
        assert f"Segment 31 of lane {LANE} of the webhook log is missing" in failure(second).message
        assert (numbers(second), positions(second)) == ([60], {LANE: [31, 0]})


def test_a_check_of_a_bucket_without_a_log_names_what_may_be_wrong(check: Any) -> None:
    keys = {"auth_type": "keys", "aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made-up-key"}
    with BucketServer("webhooks") as bucket:
        key = f"inlet/prod/lanes/{LANE}/{1:012d}.ndjson.zst"
        bucket.put([StoredObject(key, compress(event(1) + b"\n"))])
        store = {"type": "bucket", "bucket": "webhooks", "credentials": keys, "endpoint_url": bucket.url}
        status, message = check(**store, prefix="wrong/")
        assert (status, "no event is in the log" in message) == ("SUCCEEDED", True)
        assert "webhook_store.prefix or webhook_store.inlet are not those" in message
        assert "webhook_store.prefix" not in check(**store, prefix="inlet/")[1]
