"""All streams of one subscription at a time, as Pendo's documentation has it and as clients in production see it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from event_rows import SINCE
from pendo_reader import PENDO_STREAMS, STREAM_NAMES, Row, instant
from simulators.faults import Fault
from whole_truth import ACTIVITY, difference_of, expected, held

if TYPE_CHECKING:
    from pendo_reader import Subscription
    from test_kit.messages import Output


GROUPED_SOURCES = ("events", "pageEvents", "featureEvents", "trackEvents")
SINGLE_SOURCES = ("guideEvents", "pollEvents")


def assert_equal_to_the_truth(pendo: Subscription, syncs: list[Output], period: str, since: str = SINCE) -> None:
    """Every column and every value of every stream is the truth's, under keys that are all different."""
    catalog = {stream.name: stream for stream in pendo.discover(period=period).streams}
    assert list(catalog) == STREAM_NAMES
    for name, stream in catalog.items():
        key = [path[0] for path in stream.source_defined_primary_key or []]
        incremental = bool(stream.default_cursor_field)
        options = {"since": since} if name in ACTIVITY else {}
        truth = pendo.truth(name, **options, **({"period": period} if name in ACTIVITY else {}))
        if name == "visitor_history":
            truth = [row for row in truth if instant(row["ts"]) >= since]
        wanted = [expected(name, row, stream.json_schema) for row in truth]
        rows = held(name, key, incremental, syncs)
        unseen = UNSEEN_BY_CHANGES.get(name) if len(syncs) > 1 else None
        difference = difference_of(*([map(unseen, wanted), map(unseen, rows)] if unseen else [wanted, rows]))
        assert difference == ([], []), name
        assert len(rows) == len(truth) > 0, name
        if rows[0].get("raw") is not None:
            assert difference_of((row["raw"] for row in rows), truth) == ([], []), name


def without_last_visit(row: Row) -> Row:
    """A visit of a later day moves `lastvisit` and not `lastupdated`, so no sync of changes can see it."""
    return {
        name: without_last_visit(value) if isinstance(value, dict) else value
        for name, value in row.items()
        if name != "lastvisit"
    }


def without_late_ends(row: Row) -> Row:
    """Pendo answers a view only while it lies in the window, so how an older one went on reaches no sync of changes."""
    is_recent = row["last_seen_at"] >= "2026-03-10"
    return row if is_recent else {name: row[name] for name in row if name == "last_seen_at" or name[:5] != "last_"}


UNSEEN_BY_CHANGES = {
    "accounts": without_last_visit,
    "visitors": without_last_visit,
    "guides_seen": without_late_ends,
}


def change_everything(pendo: Subscription) -> None:
    """Something changes in every stream: rows that come late or grow, new and changed objects, answers, flags."""
    mutate, truth = pendo.sim.mutate, pendo.truth
    for source in (*GROUPED_SOURCES, *SINGLE_SOURCES):
        assert mutate("late", source=source, day="2026-03-13", rows=3)
    for source in GROUPED_SOURCES:
        assert mutate("grow", source=source, day="2026-03-14", rows=4)
    for kind in ("pages", "features", "guides", "trackTypes", "reports", "segments"):
        mutate("touch_definition", kind=kind)
    for kind in ("reports", "segments"):
        mutate("share", kind=kind)
    mutate("touch_account", account_id=truth("accounts")[3]["accountId"])
    ann, bo, cy = (row["visitorId"] for row in truth("visitors")[4:7])
    mutate("touch_visitor", visitor_id=ann)
    mutate("visit", visitor_id=ann)
    mutate("do_not_process", kind="visitor", object_id=bo)
    mutate("bulk_delete", kind="account", ids=[truth("accounts")[5]["accountId"]])
    mutate("move_to_group", item_id=truth("pages")[0]["id"], group_id=truth("product_areas")[0]["id"])
    mutate("move_to_group", item_id=truth("guides")[0]["id"], group_id=truth("guide_categories")[0]["id"])
    mutate("touch_feedback")
    mutate("see_guide", visitor_id=ann)
    mutate("answer_poll", visitor_id=cy, response=9)


def comment(pendo: Subscription) -> None:
    """The reason of an answer comes days after its score; the other streams change again, too."""
    pendo.sim.mutate("answer_poll", visitor_id=pendo.truth("visitors")[6]["visitorId"], response="I like it")
    pendo.sim.mutate("touch_definition", kind="guides")


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
@pytest.mark.parametrize("rules", ["documented", "observed"])
def test_a_warehouse_of_all_streams_ends_equal_to_the_truth(pendo: Subscription, rules: str, period: str) -> None:
    """After a first sync, and after two more that follow changes and days."""
    pendo.sim.mutate("switch", rules=rules)
    syncs = [pendo.read(*STREAM_NAMES, period=period)]
    assert_equal_to_the_truth(pendo, syncs, period)
    for change, days in ((change_everything, 1), (comment, 6)):
        change(pendo)
        pendo.sim.mutate("advance", days=days)
        syncs.append(pendo.read(*STREAM_NAMES, period=period, state=syncs[-1].last_states()))
        assert_equal_to_the_truth(pendo, syncs, period)
    assert [sync.failures for sync in syncs] == [{}, {}, {}]
