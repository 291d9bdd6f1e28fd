"""Days that are too much for Pendo: split into applications and hours, and merged again."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from event_rows import SINCE, answer, answer_of, answered_by, counted, keys, truth_of
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators.faults import Fault
from simulators.pendo.periods import Calendar
from source_kit.http.client import Answer
from source_kit.stream import RecordLines
from source_pendo.aggregation import EventSource, Objects, spans_of_a_day
from source_pendo.client import BadRequest, NoAnswerInTime, QueryTooBig, connect
from source_pendo.config import Config
from source_pendo.day_reader import DayReader
from source_pendo.event_rows import decoded
from source_pendo.hour_merge import SUMMED, HourMerger
from source_pendo.streams.event_days import Reading
from source_pendo.streams.grouped_events import PageEvents

if TYPE_CHECKING:
    from pendo_reader import Subscription

Row = dict[str, Any]

#: Columns that an answer by hours lacks
_OF_DAYS_ONLY = ("record_id", "week", "month", "quarter")
_HOUR = 3_600_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("switch", "period", "apps", "rules"),
    [
        ("memory_rows", "day", [], False),
        ("timeout_rows", "hour", [], False),
        ("timeout_rows", "day", ["-323232", "6304859583021056", "5720146138021888"], True),
        ("sort_rows", "hour", [], True),
        ("sort_rows", "day", [], True),
    ],
)
def test_a_day_that_was_split_has_the_rows_and_the_keys_of_the_whole_day(
    pendo: Subscription, switch: str, period: str, apps: list[str], rules: bool
) -> None:
    """Status 400 with "Query exceeded memory limit", and status 408; by applications, ids and hours.

    With the rules that Pendo documents, and without them. With `sort_rows` Pendo answers which applications and objects
    have rows.
    """
    streams = ["page_events", "track_events", "guide_events"]
    options = {"start_date": "2026-03-11T00:00:00Z", "period": period, "record_limit": 40, "app_ids": apps}
    whole = pendo.read(*streams, **options)
    pendo.sim.requests.clear()
    pendo.sim.mutate("switch", **{switch: 35}, hours_need_ids=rules, ids_without_app=rules, app_ids_are_numbers=rules)
    split = pendo.read(*streams, **options)
    assert split.failures == {}
    refused = [request for request in pendo.asked("aggregation") if request.status != 200]
    assert len(refused) >= 6
    for stream in streams:
        assert set(keys(split.records[stream])) == set(keys(whole.records[stream]))
        assert counted(split.records[stream], _OF_DAYS_ONLY) == counted(whole.records[stream], _OF_DAYS_ONLY)


@pytest.mark.slow
def test_rows_that_differ_in_no_column_keep_their_number_and_their_sums(pendo: Subscription) -> None:
    """Such rows of `events` may be paired differently than Pendo does it, but none is lost or counted twice."""
    options = {"start_date": "2026-03-10T00:00:00Z"}
    whole = pendo.read("events", **options).records["events"]
    pendo.sim.mutate("switch", memory_rows=20)
    split = pendo.read("events", **options).records["events"]
    assert set(keys(split)) == set(keys(whole))
    for name in ("num_events", "num_minutes", "dead_click_count"):
        assert sum(row[name] for row in split) == sum(row[name] for row in whole)


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["timeout_rows", "sort_rows"])
def test_what_was_learned_about_one_day_is_kept_for_the_next(pendo: Subscription, switch: str) -> None:
    """A refusal takes Pendo up to five minutes. What is learned are groups of applications, of ids, and hours."""
    pendo.sim.mutate("switch", **{switch: 9})
    pendo.read("page_events", start_date=f"{SINCE}T00:00:00Z", num_workers=1)
    refused = [request.started for request in pendo.asked("aggregation") if request.status != 200]
    answered = [request.started for request in pendo.asked("aggregation") if request.status == 200]
    assert len(refused) < len(answered) / 2


def test_a_day_that_needs_smaller_groups_of_applications_than_the_day_before_is_read_whole() -> None:
    """The size of the groups shrinks while the day is read by groups: none of the later ones is cut."""
    apps = tuple(range(1, 9))
    server = Server(date(2026, 3, 5), rows_at_once=4 * 24, apps=apps)
    busy = Server(date(2026, 3, 6), rows_at_once=0, apps=2 * apps)
    server.rows += busy.rows
    server.groups_are_cheap = True
    reader = server.reader("day")
    for day, rows in ((server.day, 8 * 24), (busy.day, 16 * 24)):
        read = [row for part in reader.read(day) for row in part]
        assert len(read) == rows
        assert {row["appId"] for row in read} == set(apps)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-03-10", 24), ("2025-11-02", 25)])
def test_the_hours_of_a_day_are_all_asked_for_once_whatever_the_clocks_do(day: str, hours: int) -> None:
    """No query that ends before it begins, no hour twice, none of the next day.

    The day before has taught the reader to ask for one hour at a time.
    """
    server = Server(date.fromisoformat(day), rows_at_once=1)
    server.rows += Server(server.day - timedelta(days=1), rows_at_once=1).rows
    reader = server.reader("hour")
    assert len([row for part in reader.read(server.day - timedelta(days=1)) for row in part]) == 24
    rows = [row for part in reader.read(server.day) for row in part]
    assert [row["hour"] for row in rows] == [server.begin + number * _HOUR for number in range(hours)]
    assert server.inverted == 0


def test_an_hour_that_is_too_much_fails_the_stream_and_names_the_way_out(pendo: Subscription) -> None:
    """With an error, and with the state before that day, so nothing is skipped; the other streams go on."""
    pendo.sim.mutate("switch", memory_rows=0)
    synced = pendo.read("page_events", "segments", start_date="2026-03-15T00:00:00Z")
    failure = synced.failures["page_events"]
    assert failure.message.startswith("Even one hour is too much for Pendo (pageEvents, 2026-03-1")
    assert "Name the applications in app_ids" in failure.message
    assert failure.failure_type == "config_error"
    assert synced.statuses["page_events"][-1] == "INCOMPLETE"
    assert synced.statuses["segments"][-1] == "COMPLETE"


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["page_events", "guide_events"])
def test_a_visitor_with_more_rows_than_the_largest_page_is_read_by_hours(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """On 2026-03-16 one visitor has 60 rows, more than any page here."""
    monkeypatch.setattr("source_pendo.day_reader.LARGEST_RECORD_LIMIT", 35)
    options = {"start_date": "2026-03-15T00:00:00Z"}
    synced = pendo.read(stream, record_limit=10, **options)
    assert synced.failures == {}
    truth = pendo.truth(stream, since="2026-03-15")
    assert counted(synced.records[stream], _OF_DAYS_ONLY) == truth_of(truth, _OF_DAYS_ONLY)
    assert len(set(keys(synced.records[stream]))) == len(truth)
    assert set(keys(synced.records[stream])) == set(keys(pendo.read(stream, **options).records[stream]))


def test_one_visitor_with_more_rows_in_an_hour_than_a_page_can_hold_fails_the_stream(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protocol cannot go on there, and must say so; the visitor's id stays out of the message."""
    monkeypatch.setattr("source_pendo.day_reader.LARGEST_RECORD_LIMIT", 2)
    synced = pendo.read("guide_events", record_limit=1, start_date="2026-03-15T00:00:00Z", num_workers=1)
    failure = synced.failures["guide_events"]
    assert "more rows of one visitor than a page can hold" in failure.message
    assert "@example.com" not in failure.message
    assert "visitor" in failure.internal_message


@pytest.mark.slow
def test_a_query_that_is_not_answered_in_time_is_split(pendo: Subscription) -> None:
    """Pendo gives up after five minutes, a connector's time-out may be shorter."""
    pendo.sim.faults.add(Fault("delay", body=r"dayRange.*date\(2026,3,17\)", times=1, seconds=1.5))
    synced = pendo.read("page_events", start_date="2026-03-17T00:00:00Z", request_timeout=1)
    assert synced.failures == {}
    truth = truth_of(pendo.truth("page_events", since="2026-03-17"), _OF_DAYS_ONLY)
    assert counted(synced.records["page_events"], _OF_DAYS_ONLY) == truth


@pytest.mark.parametrize("limit", [1, 4, 5])
def test_visitors_whom_the_server_takes_for_one_come_once_and_with_keys_of_their_own(limit: int) -> None:
    """The server ignores case when it sorts and compares, so their rows are mixed."""
    server = Server(date(2026, 3, 5), rows_at_once=1000)
    server.collation = str.lower
    server.rows = [
        {"visitorId": visitor, "hour": server.begin, "pageId": "p", "numEvents": number, "firstTime": number}
        for number in range(3)
        for visitor in ("ann", "Ann", "bob", "ANN", "Bob", "carol")
    ]
    stream = _page_events("hour")
    reading = Reading("2026-03-05", "2026-03-20T00:00:00.000Z")
    read = [records_of(stream, rows, reading) for rows in server.reader("hour", limit).read(server.day) if rows]
    records = [record for part in read for record in part]
    assert Counter(row["visitor_id"] for row in records) == dict.fromkeys(
        ("ann", "Ann", "bob", "ANN", "Bob", "carol"), 3
    )
    assert set(keys(records)) == set(keys(records_of(stream, server.rows, reading)))
    assert len(set(keys(records))) == 18


def test_a_pendo_that_never_answers_is_reported_as_such_and_not_as_a_day_that_is_too_much() -> None:
    def ask(label: str, pipeline: Sequence[Row]) -> Answer:
        raise NoAnswerInTime(message="no answer", failure_type=FailureType.transient_error)

    with pytest.raises(NoAnswerInTime):
        list(DayReader(_source("day"), answered_by(ask), 10).read(date(2026, 3, 1)))


def test_rows_without_an_application_are_split_by_hours_so_that_none_is_lost() -> None:
    server = Server(date(2026, 3, 5), rows_at_once=6, apps=(None, 7, 8))
    rows = [row for part in server.reader("hour").read(server.day) for row in part]
    assert len(rows) == 72
    asked = [pipeline[0]["source"]["pageEvents"] for pipeline in server.asked]
    assert not any(parameters.get("appId", 'expandAppIds("*")') != 'expandAppIds("*")' for parameters in asked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "bad pipeline: unknown stage group"),
        (400, "no"),
        (422, "no"),
        (402, "no"),
        (403, "no"),
        (500, ""),
        (408, ""),
    ],
)
def test_a_pendo_that_does_not_group_is_asked_by_hours(pendo: Subscription, status: int, text: str) -> None:
    """If the query for the applications is refused, the day can still be read by hours."""
    pendo.sim.faults.add(Fault("status", body='pageEvents.*"group"', status=status, answer=text, times=-1))
    pendo.sim.mutate("switch", timeout_rows=35)
    synced = pendo.read("page_events", start_date="2026-03-15T00:00:00Z")
    assert synced.failures == {}
    truth = truth_of(pendo.truth("page_events", since="2026-03-15"), _OF_DAYS_ONLY)
    assert counted(synced.records["page_events"], _OF_DAYS_ONLY) == truth


@pytest.mark.slow
def test_the_applications_are_not_answered_in_time_either(pendo: Subscription) -> None:
    """Then the day is read by hours, too."""
    pendo.sim.faults.add(Fault("delay", body=r"dayRange.*date\(2026,3,20\)", times=2, seconds=1.5))
    synced = pendo.read("page_events", start_date="2026-03-20T00:00:00Z", request_timeout=1)
    assert synced.failures == {}
    truth = truth_of(pendo.truth("page_events", since="2026-03-20"), _OF_DAYS_ONLY)
    assert counted(synced.records["page_events"], _OF_DAYS_ONLY) == truth


def test_an_application_that_is_named_by_a_float_is_asked_for_by_its_number() -> None:
    server = Server(date(2026, 3, 5), rows_at_once=24, apps=(-323232, 6304859583021056))
    server.groups_are_cheap = True
    server.floats = True
    rows = [row for part in server.reader("hour").read(server.day) for row in part]
    assert len(rows) == 48


@pytest.mark.parametrize("day", ["2026-03-08", "2026-03-10", "2025-11-02"])
@pytest.mark.parametrize("busy", [0, 9, 22])
def test_the_beginning_of_a_day_is_found_by_any_of_its_hours(day: str, busy: int) -> None:
    """There were no events at midnight, and the answers do not say when their hours began."""
    server = Server(date.fromisoformat(day), rows_at_once=1, apps=(5,))
    server.start_time = False
    server.whole_days = False
    server.rows = [row for row in server.rows if row["hour"] == server.begin + busy * _HOUR]
    rows = [row for part in server.reader("day").read(server.day) for row in part]
    assert [row["day"] for row in rows] == [server.begin]


def test_a_pendo_that_does_not_say_when_the_day_began_fails_a_day_that_must_be_put_together() -> None:
    server = Server(date(2026, 3, 5), rows_at_once=14, apps=(5,))
    server.start_time = False
    server.says_hours = False
    with pytest.raises(AirbyteTracedException, match="do not say when a day began"):
        list(server.reader("day").read(server.day))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", 'b"', "c\\", "d"]), st.integers(1, 3), st.integers(1, 2), st.integers(0, 22)),
        max_size=30,
    ),
    st.integers(1, 20),
    st.integers(2, 9),
    st.sampled_from(["2026-03-08", "2026-03-09", "2025-11-02"]),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_too_much_or_refused_every_hourly_row_comes_once_or_the_stream_fails(
    drawn: list[tuple[str, int, int, int]],
    rows_at_once: int,
    limit: int,
    day: str,
    groups_are_cheap: bool,
    rules: bool,
) -> None:
    """It fails only if an hour of one page is too much.

    Where Pendo cannot even say which applications and pages have rows in a day, the hour itself must not be too much.
    If it does not answer hours without ids either, the ids come from the list of pages.
    """
    server = Server(date.fromisoformat(day), rows_at_once=rows_at_once)
    server.groups_are_cheap = groups_are_cheap
    server.rules = rules
    server.ids_at_most = 3
    server.rows = [
        {
            "visitorId": visitor,
            "appId": app,
            "hour": server.begin + hour * _HOUR,
            "pageId": f"{app}-{page}",
            "n": number,
        }
        for number, (visitor, app, page, hour) in enumerate(drawn)
    ]
    server.lists["/page"] = [{"id": row["pageId"]} for row in server.rows]
    together = Counter(((app, page) if groups_are_cheap or rules else 0, hour) for _, app, page, hour in drawn)
    read = server.reader("hour", limit).read(server.day)
    if max(together.values(), default=0) > rows_at_once:
        with pytest.raises(AirbyteTracedException) as caught:
            list(read)
        assert "Even one hour" in str(caught.value.message)
        return
    assert sorted(int(row["n"]) for part in read for row in part) == list(range(len(drawn)))
    assert server.inverted == 0


@pytest.mark.parametrize("period", ["day", "hour"])
def test_the_ids_of_a_list_leave_the_day_in_doubt_because_deleted_objects_are_missing(period: str) -> None:
    server = Server(date(2026, 3, 5), rows_at_once=24, apps=(1, 2))
    server.rows = [{**row, "pageId": f"p{row['appId']}"} for row in server.rows]
    server.rules = True
    server.answers_groups = False
    server.lists["/page"] = [{"id": "p1"}, {"id": "p2"}, {"id": "p3"}]
    reader = server.reader(period)
    rows = [row for part in reader.read(server.day) for row in part]
    assert {row["pageId"] for row in rows} == {"p1", "p2"}
    assert not reader.note_of(server.day).complete


def test_the_refusal_of_hours_is_raised_if_ids_are_refused_too() -> None:
    server = Server(date(2026, 3, 5), rows_at_once=24, apps=(1,))
    server.rules = True
    server.ids_at_most = 0
    with pytest.raises(BadRequest) as caught:
        list(server.reader("hour").read(server.day))
    assert caught.value.internal_message == "pageId must be specified with hourRange"


def test_a_day_is_read_by_hours_where_ids_are_refused_and_hours_are_not() -> None:
    server = Server(date(2026, 3, 5), rows_at_once=12, apps=(1,))
    server.ids_at_most = 0
    server.groups_are_cheap = True
    server.rows = [{**row, "pageId": f"p{number % 2}"} for number, row in enumerate(server.rows)]
    reader = server.reader("day")
    assert sorted(row["pageId"] for part in reader.read(server.day) for row in part) == ["p0", "p1"]
    assert reader.note_of(server.day).complete


@pytest.mark.parametrize(("rules", "ids_at_most"), [((False, True), (1_000, 1_000)), ((False, False), (1_000, 0))])
def test_a_way_to_divide_that_pendo_refuses_from_a_later_day_on_is_replaced_by_the_other(
    rules: tuple[bool, bool], ids_at_most: tuple[int, int]
) -> None:
    """Hours of all pages, then pages by their ids. Another thread may learn the refusal between two requests, too."""
    server = Server(date(2026, 3, 5), rows_at_once=12, apps=(1,))
    server.rows += Server(date(2026, 3, 6), rows_at_once=0, apps=(1,)).rows
    server.rows = [{**row, "pageId": f"p{number % 2}"} for number, row in enumerate(server.rows)]
    server.groups_are_cheap = True
    server.answers_groups = not rules[1]
    server.lists["/page"] = [{"id": "p0"}, {"id": "p1"}]
    reader = server.reader("day")
    for number, day in enumerate((date(2026, 3, 5), date(2026, 3, 6))):
        server.rules, server.ids_at_most = rules[number], ids_at_most[number]
        assert {row["pageId"] for part in reader.read(day) for row in part} == {"p0", "p1"}


@pytest.mark.parametrize(
    ("period", "apps", "hours", "rows_at_once"),
    [("hour", (1, 2), 6, 48), ("hour", (1, 2), 6, 1), ("day", (1, 2), 6, 2), ("day", (2,), 6, 2)],
)
def test_a_day_whose_ids_answer_fewer_rows_than_were_counted_is_in_doubt(
    period: str, apps: tuple[int, ...], hours: int, rows_at_once: int
) -> None:
    """As if a query by ids answered for the default application only; a page may be read by hours, too."""
    server = Server(date(2026, 3, 5), rows_at_once, apps)
    server.rules = True
    server.groups_are_cheap = True
    rows = [row for row in server.rows if row["hour"] < server.begin + hours * _HOUR]
    server.rows = [{**row, "pageId": f"p{row['appId']}"} for row in rows]
    for only, complete in ((None, True), (1, False)):
        server.only_app = only
        reader = server.reader(period)
        list(reader.read(server.day))
        assert reader.note_of(server.day).complete is complete


def test_ids_are_asked_for_in_groups_of_two_hundred_and_never_with_applications() -> None:
    server = Server(date(2026, 3, 5), rows_at_once=10_000, apps=(1, 2))
    server.rules = True
    server.rows = [{**row, "pageId": f"p{number % 450}"} for number, row in enumerate(server.rows * 10)]
    reader = server.reader("hour")
    for _ in range(2):
        assert sum(map(len, reader.read(server.day))) == len(server.rows)
    asked = [pipeline[0]["source"]["pageEvents"] for pipeline in server.asked]
    first, again = [0, 0, 200, 200, 200, 200, 50, 50], [0, 200, 200, 50]  # the rows of ids are counted once by ids
    assert [len(parameters.get("pageIds", ())) for parameters in asked] == first + again


@pytest.mark.slow
def test_by_hour_the_rows_and_keys_are_the_same_whether_pendo_wants_ids_or_not(pendo: Subscription) -> None:
    """A refusal is met once in a sync and stream."""
    streams = ["page_events", "feature_events", "track_events", "events"]
    apps = ["-323232", "6304859583021056"]
    for chosen in ([], apps):
        options: dict[str, Any] = {"start_date": "2026-03-15T00:00:00Z", "period": "hour", "app_ids": chosen}
        free = pendo.read(*streams, **options)
        pendo.sim.mutate("switch", hours_need_ids=True, ids_without_app=True, app_ids_are_numbers=True)
        pendo.sim.requests.clear()
        bound = pendo.read(*streams, num_workers=1, **options)
        pendo.sim.mutate("switch", hours_need_ids=False, ids_without_app=False, app_ids_are_numbers=False)
        assert bound.failures == {}
        assert len([request for request in pendo.asked("aggregation") if request.status != 200]) == 3
        for stream in streams:
            assert counted(bound.records[stream], ()) == counted(free.records[stream], ())
            assert bound.state(stream) == free.state(stream)


@given(st.integers(1, 24))
def test_spans_of_a_day_touch_and_do_not_overlap(hours: int) -> None:
    spans = spans_of_a_day(hours)
    assert spans[0].first == 0
    assert spans[-1].end is None
    assert [span.end for span in spans[:-1]] == [span.first for span in spans[1:]]


cells = st.fixed_dictionaries(
    {
        "visitorId": st.sampled_from(["a", "b"]),
        "pageId": st.sampled_from(["p", "q"]),
        "server": st.sampled_from([None, "", "s"]),
        "hour": st.integers(0, 3).map(lambda hour: hour * _HOUR),
        "firstTime": st.integers(0, 9),
        "lastTime": st.integers(10, 19),
        "numEvents": st.integers(0, 5),
        "rageClickCount": st.sampled_from([None, 0, 1]),
    }
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(cells, max_size=25))
def test_hours_put_together_keep_every_sum_and_the_span_of_times(hours: list[Row]) -> None:
    with HourMerger() as merger:
        for row in hours:
            merger.add([row])
        days = [row for part in merger.merged(5) for row in part]
    for name in SUMMED:
        assert sum(row.get(name) or 0 for row in days) == sum(row.get(name) or 0 for row in hours)
    assert {row["day"] for row in days} <= {5}
    assert not any("hour" in row for row in days)
    for row in days:
        alike = [hour for hour in hours if all(hour[n] == row[n] for n in ("visitorId", "pageId"))]
        assert min(hour["firstTime"] for hour in alike) <= row["firstTime"] <= row["lastTime"]


@pytest.mark.slow
def test_memory_is_bounded_by_a_chunk_of_the_page_and_not_by_the_page() -> None:
    """A page of 20,000 rows, 15 MB, is decoded, converted and freed in chunks."""
    text = json.dumps({"visitorId": "v%06d", "day": 1772341200000, "userAgent": "x" * 600, "numEvents": 1})
    body = b'{"results":[' + ",".join(text % number for number in range(20_000)).encode() + b"]}"
    stream = _page_events("day")
    page = answer_of(body)
    reader = DayReader(_source("day"), answered_by(lambda label, pipeline: page), 50_000)
    tracemalloc.start()
    try:
        reading = Reading("2026-03-01", "2026-03-20T00:00:00.000Z")
        items = (stream.items(rows, reading) for rows in reader.read(date(2026, 3, 1)))
        count = sum(item.count if isinstance(item, RecordLines) else len(item) for item in items)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 8_000_000


def records_of(stream: PageEvents, rows: list[Row], reading: Reading) -> list[Row]:
    """The records of decoded rows."""
    return stream.records(rows, stream.ids(rows, reading), reading)


class DecodingReader:
    """A reader whose rows are decoded."""

    def __init__(self, reader: DayReader) -> None:
        self.note_of = reader.note_of
        self._reader = reader

    def read(self, day: date) -> Iterator[list[Row]]:
        """As the reader's."""
        return (list(map(decoded, rows)) for rows in self._reader.read(day))


def _page_events(period: Any) -> PageEvents:
    config = Config(api_key="any", api_url="https://example.com", period=period)
    return PageEvents(config, connect(config))


def _source(period: Any) -> EventSource:
    return EventSource("pageEvents", period, ("pageId",), merge_hours=True, objects=Objects("pageId", "/page"))


class Server:
    """A Pendo in memory: hourly rows of one day in New York, and no more than some of them scanned at once.

    Object ids exclude `appId`, as Pendo documents it. With `rules` hours need ids, too.
    """

    def __init__(self, day: date, rows_at_once: int, apps: tuple[int | None, ...] = (1,)) -> None:
        self.day = day
        self.calendar = Calendar("America/New_York")
        self.begin = self.calendar.midnight(day)
        self.hours = (self.calendar.midnight(day + timedelta(days=1)) - self.begin) // _HOUR
        self.rows: list[Row] = [
            {"visitorId": "ann", "appId": app, "pageId": "p", "hour": self.begin + hour * _HOUR}
            for hour in range(self.hours)
            for app in apps
        ]
        self.rows_at_once = rows_at_once
        self.asked: list[Sequence[Row]] = []
        self.inverted = 0
        self.floats = False
        self.groups_are_cheap = False
        self.start_time = True
        self.whole_days = True
        self.collation: Callable[[str], str] = str
        self.says_hours = True
        self.rules = False
        self.ids_at_most = 1_000
        self.answers_groups = True
        self.only_app: int | None = None
        self.lists: dict[str, list[Row]] = {}

    def reader(self, period: str, limit: int = 1000) -> DecodingReader:
        """A reader of this server."""
        return DecodingReader(DayReader(_source(period), answered_by(self.ask, self.lists), limit))

    def ask(self, label: str, pipeline: Sequence[Row]) -> Answer:
        """Answer an aggregation as Pendo would."""
        self.asked.append(pipeline)
        source = pipeline[0]["source"]
        start, end = self._window(source["timeSeries"])
        self.inverted += start >= end
        ids = self._ids(source)
        apps = source["pageEvents"].get("appId", "")
        rows = [
            row
            for row in self.rows
            if start <= row["hour"] < end
            and (isinstance(apps, str) or row["appId"] in apps)
            and (not ids or (row["pageId"] in ids and self.only_app in (None, row["appId"])))
        ]
        if "group" in pipeline[-1] and not self.answers_groups:
            raise _refused("unknown stage group")
        cheap = self.groups_are_cheap and "group" in pipeline[-1]
        too_long = not self.whole_days and source["timeSeries"]["period"] == "dayRange"
        if too_long or (len(rows) > self.rows_at_once and not cheap):
            raise QueryTooBig(message="too big", failure_type=FailureType.transient_error)
        for stage in pipeline[1:]:
            rows = list(self._staged(stage, rows))
        if not self.says_hours:
            rows = [{name: value for name, value in row.items() if name != "hour"} for row in rows]
        return answer(rows, **({"startTime": start} if self.start_time else {}))

    def _staged(self, stage: Row, rows: list[Row]) -> Iterator[Row]:
        match stage:
            case {"filter": str(text)} if text.startswith("appId"):
                apps = [int(number) for number in re.findall(r"appId == (-?\d+)", text)]
                yield from (row for row in rows if row["appId"] in apps)
            case {"filter": str(text)}:
                operator, literal = re.fullmatch(r"visitorId (\S+) (.*)", text).groups()  # type: ignore[union-attr]
                key = json.loads(literal)
                compare = {">=": str.__ge__, ">": str.__gt__, "==": str.__eq__}[operator]
                yield from (row for row in rows if compare(self.collation(row["visitorId"]), self.collation(key)))
            case {"sort": _}:
                yield from sorted(rows, key=lambda row: self.collation(row["visitorId"]))
            case {"limit": int(limit)}:
                yield from rows[:limit]
            case {"group": {"group": ["appId"]}}:
                for app in {row["appId"] for row in rows}:
                    yield {"appId": float(app) if self.floats and app else app, "rows": 1}
            case {"group": {"group": ["pageId"]}}:
                whole_days = {(row["visitorId"], row["appId"], row["pageId"], row.get("more")) for row in rows}
                for page, number in Counter(page for _, _, page, _ in whole_days).items():
                    yield {"pageId": page, "rows": number}

    def _ids(self, source: Row) -> list[str]:
        """The ids that a query names. Raises where a rule forbids the query."""
        parameters = source["pageEvents"]
        ids = parameters.get("pageIds", [parameters["pageId"]] if "pageId" in parameters else [])
        if ("appId" in parameters) == bool(ids) or len(ids) > self.ids_at_most:
            raise _refused("bad ids")
        if self.rules and source["timeSeries"]["period"] == "hourRange" and not ids:
            raise _refused("pageId must be specified with hourRange")
        return list(ids)

    def _window(self, series: Row) -> tuple[int, int]:
        first = _instant(series["first"])
        if "last" in series:
            return first, self.calendar.start_of("hour", _instant(series["last"])) + _HOUR
        if series["period"] == "dayRange":
            return first, self.calendar.add("day", first, series["count"])
        return first, first + series["count"] * _HOUR


def _refused(text: str) -> BadRequest:
    return BadRequest(message="refused", internal_message=text, failure_type=FailureType.system_error)


@cache
def _instant(expression: str) -> int:
    found = re.fullmatch(r"date\((\d+),(\d+),(\d+)\)( [+-] \d+)?", expression)
    assert found
    year, month, day, more = found.groups()
    at = datetime(int(year), int(month), int(day), tzinfo=ZoneInfo("America/New_York"))
    return int(at.astimezone(UTC).timestamp()) * 1000 + int((more or "0").replace(" ", ""))
