"""The protocol that pages through an aggregation: nothing is lost, nothing comes twice, and it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from event_rows import SINCE, counted, keys, truth_of
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators.faults import Fault
from simulators.pendo.expressions import compile_expression
from simulators.pendo.periods import Calendar
from source_pendo.aggregation import Bound, quote
from source_pendo.paging import KeyPager, KeyTooLarge

if TYPE_CHECKING:
    from pendo_reader import Subscription

Row = dict[str, Any]
Collation = Callable[[str], Any]

#: The server's collation is unknown; what matters is that its `sort` and its comparison agree.
COLLATIONS: dict[str, Collation] = {
    "by bytes": str.encode,
    "by UTF-16": lambda text: text.encode("utf-16-be", "surrogatepass"),
    "ignoring case first": lambda text: (text.lower(), text),
    "ignoring case": str.casefold,
    "backwards": lambda text: [-byte for byte in text.encode()] + [1],
}
ids = st.one_of(
    st.sampled_from(["", "a", "A", "b", "B", 'b"', '"', "\\", "b\\", "é", "😀", "_PENDO_T_1", "~", "a\ufffd", "a\x07"]),
    st.text(max_size=3),
)


class Server:
    """Sorted rows and a comparison that agrees with the sort."""

    def __init__(self, keys: list[str], order: Collation) -> None:
        self._order = order
        self._rows = [{"key": key, "n": n} for n, key in enumerate(sorted(keys, key=order))]
        self.asked = 0

    def page(self, bound: Bound | None, limit: int) -> list[Row]:
        """The rows from a bound on."""
        self.asked += 1
        rows = self._rows
        if bound is not None:
            at = self._order(bound.key)
            rows = [
                row
                for row in rows
                if (bound.operator != "==" and self._order(row["key"]) > at)
                or (bound.operator != ">" and self._order(row["key"]) == at)
            ]
        return rows[:limit]


def read_all(server: Server, pager: KeyPager, chunk: int, breaks: Callable[[], bool] = lambda: False) -> list[Row]:
    """Page to the end, in pieces of `chunk` rows; a page that breaks is asked for again from its last key on."""
    got: list[Row] = []
    while not pager.done:
        rows = server.page(pager.bound, pager.limit)
        pieces = [rows[start : start + chunk] for start in range(0, len(rows), chunk)]
        broken = breaks()
        for piece in pieces[: len(pieces) // 2] if broken else pieces:
            got += pager.add(piece)
        if broken:
            pager.broken_off()
            continue
        try:
            got += pager.end_page()
        except KeyTooLarge as error:
            got += server.page(Bound(">=", error.key), 10**6)[: server_count(server, error.key)]
            pager.skip(error.key)
    return got


def server_count(server: Server, key: str) -> int:
    """Rows whose keys are equal for the server."""
    return len(server.page(Bound("==", key), 10**6))


@settings(max_examples=250, deadline=None)
@given(
    st.lists(ids.filter(lambda text: text < "\ud800" or text > "\udfff"), max_size=60),
    st.integers(1, 9),
    st.integers(1, 12),
    st.integers(1, 20),
    st.sampled_from(sorted(COLLATIONS)),
    st.lists(st.booleans(), max_size=6),
)
@pytest.mark.slow
def test_every_row_comes_once_whatever_the_ties_the_pages_and_the_collation(
    keys: list[str], limit: int, chunk: int, largest: int, collation: str, breaks: list[bool]
) -> None:
    """Ties of any size, pages of any size, pages that break."""
    server = Server(keys, COLLATIONS[collation])
    left = list(breaks)
    got = read_all(server, KeyPager("key", limit, largest), chunk, lambda: left.pop() if left else False)
    assert [row["n"] for row in got] == list(range(len(keys)))
    assert server.asked <= 8 * len(keys) + 10 + len(breaks)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(ids, min_size=1, max_size=60),
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from(["by UTF-16", "ignoring case", "ignoring case first"]),
)
def test_all_rows_of_a_key_come_in_one_piece(keys: list[str], limit: int, chunk: int, collation: str) -> None:
    """The ordinals of equal identities are counted in it."""
    server = Server(keys, COLLATIONS[collation])
    pager = KeyPager("key", limit, 1000)
    seen: set[str] = set()
    while not pager.done:
        rows = server.page(pager.bound, pager.limit)
        pieces = [pager.add(rows[start : start + chunk]) for start in range(0, len(rows), chunk)]
        for piece in [*pieces, pager.end_page()]:
            found = {row["key"] for row in piece}
            assert not found & seen
            seen |= found


@settings(max_examples=100, deadline=None)
@given(st.lists(ids, max_size=60), st.integers(1, 9), st.integers(1, 12))
def test_no_page_begins_at_an_id_that_needs_escapes(keys: list[str], limit: int, chunk: int) -> None:
    """Pendo may refuse it even so. One that was cut in the middle of a letter skips rows."""
    server = Server(keys, COLLATIONS["by UTF-16"])
    pager = KeyPager("key", limit, 1000)
    while not pager.done:
        rows = server.page(pager.bound, pager.limit)
        for start in range(0, len(rows), chunk):
            pager.add(rows[start : start + chunk])
        pager.end_page()
        assert pager.bound is None or not set("\"'`\\\ufffd\x07\x00\n\x7f") & set(pager.bound.key)


def test_more_ids_with_escapes_than_the_largest_page_holds_are_read_nevertheless() -> None:
    """Their literals are right; what Pendo makes of them is not known."""
    server = Server([f'"{number:02d}' for number in range(50)], COLLATIONS["by bytes"])
    assert [row["n"] for row in read_all(server, KeyPager("key", 2, 8), chunk=3)] == list(range(50))


def test_a_page_that_had_to_be_larger_and_is_too_much_goes_back_to_its_size() -> None:
    server = Server([f'"{number:02d}' for number in range(50)], COLLATIONS["by bytes"])
    pager, found = KeyPager("key", 4, 64), []
    while not pager.done and server.asked < 100:
        if pager.grown:
            pager.shrink()
            continue
        found += pager.add(server.page(pager.bound, pager.limit))
        found += pager.end_page()
    assert [row["n"] for row in found] == list(range(50))


@pytest.mark.slow
@pytest.mark.parametrize("record_limit", [2, 3])
def test_larger_pages_that_pendo_cannot_answer_do_not_keep_a_list_from_its_end(
    pendo: Subscription, record_limit: int
) -> None:
    """A page that begins at no id with quotes or backslashes may have to be larger; the days of events stay whole."""
    streams = ["visitors", "accounts", "guide_events"]
    options = {"start_date": "2026-03-19T00:00:00Z"}
    whole = pendo.read(*streams, **options)
    too_large = rf'"sort": \["(visitor|account)Id"\]\}}, \{{"limit": (?!{record_limit}\}})'
    pendo.sim.faults.add(Fault("status", body=too_large, status=400, answer="Query exceeded memory limit", times=-1))
    synced = pendo.read(*streams, record_limit=record_limit, **options)
    assert synced.failures == {}
    for stream in streams:
        assert counted(synced.records[stream], ()) == counted(whole.records[stream], ())


@pytest.mark.slow
@pytest.mark.parametrize("state", [None, {"lastupdated": "2026-01-01T00:00:00.000Z"}])
def test_a_pendo_that_refuses_ids_with_escapes_is_read_to_the_end(
    pendo: Subscription, state: dict[str, Any] | None
) -> None:
    """Pendo asks customers not to use such ids, and some do."""
    pendo.sim.faults.add(
        Fault("status", body=r'"filter"[^}]*\\\\', status=400, answer="Cannot parse filter expression", times=-1)
    )
    streams = ["page_events", "guide_events", "visitors", "accounts"]
    given_states = {name: state for name in ("visitors", "accounts") if state}
    options = {"start_date": "2026-03-14T00:00:00Z"}
    whole = pendo.read(*streams, state=given_states, **options)
    for record_limit in (1, 2, 3):
        synced = pendo.read(*streams, state=given_states, record_limit=record_limit, **options)
        assert synced.failures == {}
        for stream in streams:
            assert counted(synced.records[stream], ()) == counted(whole.records[stream], ())


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=20).filter(lambda text: text.isprintable()))
@pytest.mark.slow
def test_any_id_can_be_compared_with(text: str) -> None:
    """A quote or a backslash in an id ends no literal."""
    expression = compile_expression(f"visitorId == {quote(text)}", Calendar("America/New_York"), 0)
    assert expression.evaluate({"visitorId": text}) is True
    assert expression.evaluate({"visitorId": text + "x"}) is False


@pytest.mark.slow
def test_pages_of_three_rows_give_what_one_page_gives(pendo: Subscription) -> None:
    """Visitors with more rows than a page, ids with quotes, backslashes, slashes and percent signs."""
    options = {"start_date": "2026-03-03T00:00:00Z"}
    synced = pendo.read("page_events", "guide_events", record_limit=3, **options)
    for stream in ("page_events", "guide_events"):
        truth = pendo.truth(stream, since="2026-03-03")
        assert counted(synced.records[stream]) == truth_of(truth)
    visitors = "".join(synced.column("page_events", "visitor_id"))
    assert {'"', "\\", "%", "/", "#", "?"} <= set(visitors)
    limits = [pipeline[-1]["limit"] for pipeline in pendo.pipelines("guideEvents")]
    assert {3, 6, 12, 24, 48, 96} <= set(limits) <= {3, 6, 12, 24, 48, 96, 192}


def test_every_page_asks_for_one_day_only(pendo: Subscription) -> None:
    """A page of ties must not scan the whole range."""
    pendo.read("page_events", record_limit=20)
    pipelines = pendo.pipelines("pageEvents")
    assert len(pipelines) > 25
    for pipeline in pipelines:
        assert pipeline[0]["source"]["timeSeries"]["count"] == 1
        filters = [stage["filter"] for stage in pipeline if "filter" in stage]
        assert all(text.startswith("visitorId >= ") for text in filters)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut", "cut_chunked", "cut_silent", "reset"])
def test_a_page_that_is_cut_in_the_middle_is_read_again(pendo: Subscription, kind: str) -> None:
    """Half an answer is never taken for a whole one; nothing comes twice either."""
    pendo.sim.faults.add(Fault(kind, path="aggregation", body="pageEvents", skip=3, times=3, at=3000))
    synced = pendo.read("page_events", record_limit=50)
    assert synced.failures == {}
    assert counted(synced.records["page_events"]) == truth_of(pendo.truth("page_events", since=SINCE))


def test_a_page_that_ends_like_json_but_is_none_costs_only_what_came_after_its_last_whole_visitor(
    pendo: Subscription,
) -> None:
    """Rows of the page that were emitted by then do not come again."""
    row = {"day": 1773633600000, "pageId": "p", "numEvents": 1, "url": "x" * 2000}
    visitors = [{"visitorId": f"visitor{number:04}", **row} for number in range(300)]
    text = json.dumps({"results": visitors}, separators=(",", ":"))
    day = r"pageEvents.*date\(2026,3,17\)"
    pendo.sim.faults.add(Fault("status", body=day, status=200, answer=text[:-3] + '"}'))
    pendo.sim.faults.add(Fault("status", body=day, status=200, answer=text))
    synced = pendo.read("page_events", start_date="2026-03-17T00:00:00Z")
    assert synced.failures == {}
    again = [pipeline for pipeline in pendo.pipelines("pageEvents") if "date(2026,3,17)" in str(pipeline)]
    assert "filter" not in again[0][1]
    assert again[1][1]["filter"] > 'visitorId >= "visitor0100"'
    assert synced.column("page_events", "visitor_id").count("visitor0000") == 2  # this server ignores the filter
    assert len(set(keys(synced.records["page_events"]))) == len(pendo.truth("page_events", since="2026-03-18")) + 300


def test_a_page_that_stays_broken_fails_the_stream(pendo: Subscription) -> None:
    pendo.sim.faults.add(Fault("status", body="pageEvents", status=200, answer='{"results":[{"a":1},{]}', times=-1))
    synced = pendo.read("page_events")
    assert synced.failures["page_events"].failure_type == "transient_error"
    assert synced.states["page_events"] == []


def test_a_server_that_gives_the_same_page_again_and_again_ends_the_stream(pendo: Subscription) -> None:
    """PROGRESS: an endless loop is an error, and so is taking the first page for all pages."""
    rows = [{"visitorId": f"v{n % 4}", "day": 1773633600000, "pageId": str(n)} for n in (0, 4, 1, 5, 2, 6, 3, 7, 11)]
    answer = json.dumps({"results": rows})
    pendo.sim.faults.add(Fault("status", body="pageEvents", status=200, answer=answer, times=-1))
    synced = pendo.read("page_events", record_limit=9)
    assert synced.failures["page_events"].message.startswith("Pendo's pages do not move forward")
    assert synced.failures["page_events"].failure_type == "system_error"
    assert synced.statuses["page_events"][-1] == "INCOMPLETE"


def test_a_full_page_without_the_key_of_the_next_fails_rather_than_ends() -> None:
    pager = KeyPager("visitorId", 2, 8)
    pager.add([{"visitorId": "a"}, {"pageId": "p"}])
    with pytest.raises(AirbyteTracedException, match="do not move forward"):
        pager.end_page()
