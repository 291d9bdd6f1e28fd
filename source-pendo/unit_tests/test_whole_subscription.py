"""All streams of one subscription at a time, as Pendo's documentation has it and as clients in production see it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from event_rows import SINCE
from pendo_reader import PENDO_STREAMS, STREAM_NAMES, Row, instant
from simulators.pendo.directory import EXCLUDED_VISITOR
from whole_truth import ACTIVITY, difference_of, expected, held

if TYPE_CHECKING:
    from pendo_reader import Subscription
    from test_kit.messages import Output


GROUPED_SOURCES = ("events", "pageEvents", "featureEvents", "trackEvents")
SINGLE_SOURCES = ("guideEvents", "pollEvents", "emailEvents")


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
        if name == "guide_versions":
            changed = {guide["id"]: instant(guide["lastUpdatedAt"]) for guide in pendo.truth("guides")}
            wanted = [row | {"last_updated_at": changed[row["guide_id"]]} for row in wanted]
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
    for kind in ("pages", "features", "trackTypes"):  # a deleted guide leaves its versions and answers
        mutate("delete_definition", kind=kind)
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
    syncs = [pendo.read(*STREAM_NAMES, period=period, detect_deletions=True)]
    assert_equal_to_the_truth(pendo, syncs, period)
    for change, days in ((change_everything, 1), (comment, 6)):
        change(pendo)
        pendo.sim.mutate("advance", days=days)
        states = syncs[-1].last_states()
        syncs.append(pendo.read(*STREAM_NAMES, period=period, detect_deletions=True, state=states))
        assert_equal_to_the_truth(pendo, syncs, period)
    assert [sync.failures for sync in syncs] == [{}, {}, {}]


OLD_STREAMS = [stream.name for stream in PENDO_STREAMS if not stream.documented_only]
LACKED = {
    "apps": ["apps"],
    "groups": ["product_areas", "guide_categories"],
    "emailEvents": ["email_events"],
    "bulkDeletions": ["bulk_deletions"],
    "doNotProcessVisitors": ["do_not_process_visitors"],
    "doNotProcessAccounts": ["do_not_process_accounts"],
    "pollsSeenEver": ["poll_responses"],
    "guidesSeenEver": ["guides_seen"],
    "vocItems": ["feedback_items"],
    "votes": ["feedback_votes"],
    "guideHistory": ["guide_versions"],
}


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_stream_that_the_subscription_lacks_is_named_and_fails_alone(pendo: Subscription, status: int) -> None:
    """`check` names it, `discover` goes without it, and in `read` the others are complete."""
    for kind, lacking in LACKED.items():
        pendo.sim.mutate("forbid", kinds=[kind], status=status)
        succeeded, sentence = pendo.check()
        assert succeeded
        assert f"Pendo refuses {', '.join(lacking)}, which not every subscription has" in sentence
        assert [stream.name for stream in pendo.discover().streams] == [
            name for name in STREAM_NAMES if name not in lacking
        ]
        out = pendo.read("segments", *lacking, "reports", start_date="2026-03-20T00:00:00Z")
        assert set(out.failures) == set(lacking)
        assert [out.statuses[name][-1] for name in ("segments", "reports")] == ["COMPLETE", "COMPLETE"]
        pendo.sim.mutate("allow", kinds=[kind])
    pendo.sim.mutate("forbid", kinds=list(LACKED), status=status)
    out = pendo.read(*STREAM_NAMES, start_date="2026-03-20T00:00:00Z")
    assert {name for name in STREAM_NAMES if out.statuses[name][-1] == "COMPLETE"} == set(OLD_STREAMS)


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["documented", "observed"])
def test_a_daily_sync_of_the_streams_of_every_subscription_costs_no_more_than_before(
    pendo: Subscription, rules: str
) -> None:
    """Two requests more than in the release before, which took 219: how far guide and poll events are processed."""
    pendo.sim.mutate("switch", rules=rules)
    first = pendo.read(*OLD_STREAMS)
    pendo.sim.mutate("advance", days=1)
    pendo.sim.requests.clear()
    assert pendo.read(*OLD_STREAMS, state=first.last_states()).failures == {}
    assert len(pendo.sim.requests) == 221


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_a_period_in_parts_holds_what_the_whole_holds(pendo: Subscription, period: str) -> None:
    """`end_date` is exclusive, so that parts neither overlap nor leave a gap; the state of the last part goes on."""
    bounds = ["2026-03-01", "2026-03-07", "2026-03-08", "2026-03-09", "2026-03-18", None]
    whole = pendo.read(*ACTIVITY, period=period)
    parts = [
        pendo.read(
            *ACTIVITY,
            period=period,
            start_date=f"{first}T00:00:00Z",
            end_date=None if last is None else f"{last}T00:00:00Z",
        )
        for first, last in pairwise(bounds)
    ]
    assert [part.failures for part in parts] == [{}] * len(parts)
    for stream in ACTIVITY:
        rows = [row for part in parts for row in part.records[stream]]
        assert sorted(row["record_id"] for row in rows) == sorted(whole.column(stream, "record_id"))
        assert difference_of(whole.records[stream], rows) == ([], [])
    assert parts[-1].last_states() == whole.last_states()
    pendo.sim.mutate("advance", days=3)
    after = pendo.read(*ACTIVITY, period=period, state=parts[-1].last_states())
    for stream in ACTIVITY:
        truth = pendo.truth(stream, since=SINCE, period=period)
        rows = held(stream, ["record_id"], True, [*parts, after])
        assert difference_of((expected(stream, row, {}) for row in truth), rows) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_rows_that_pendo_processes_late_arrive_without_any_lookback(pendo: Subscription, period: str) -> None:
    """An application is two days behind the others, and then catches up."""
    app = pendo.truth("apps")[0]["id"]
    pendo.sim.mutate("lag", app_id=app, days=2)
    syncs = [pendo.read(*ACTIVITY, period=period, lookback_window=0)]
    for stream in ACTIVITY:
        (cursor,) = set(syncs[0].state(stream)) - {"period", "synced", "version", "midnight"}
        assert syncs[0].state(stream)[cursor] == "2026-03-17T00:00:00.000Z", stream
    pendo.sim.mutate("advance", hours=5)
    syncs.append(pendo.read(*ACTIVITY, period=period, lookback_window=0, state=syncs[-1].last_states()))
    pendo.sim.mutate("lag", app_id=app)
    syncs.append(pendo.read(*ACTIVITY, period=period, lookback_window=0, state=syncs[-1].last_states()))
    for stream in ACTIVITY:
        truth = [expected(stream, row, {}) for row in pendo.truth(stream, since="2026-03-18", period=period)]
        first, last = (
            [row for row in held(stream, ["record_id"], True, some) if row["read_day"] >= "2026-03-18"]
            for some in (syncs[:1], syncs)
        )
        assert difference_of(truth, first)[0], stream
        assert difference_of(truth, last) == ([], []), stream


@pytest.mark.slow
def test_who_is_on_the_exclude_list_is_in_no_stream(pendo: Subscription) -> None:
    """Pendo leaves them out unless a query says otherwise, and no query does."""
    out = pendo.read(*STREAM_NAMES, include_anonymous_visitors=True)
    assert out.failures == {}
    assert [name for name in STREAM_NAMES if EXCLUDED_VISITOR in json.dumps(out.records[name])] == []
    assert "ann@example.com" in json.dumps(out.records["page_events"])


@pytest.mark.slow
def test_chosen_applications_are_read_whatever_rules_pendo_enforces(pendo: Subscription) -> None:
    """No stream asks for applications in a way that the documentation does not name."""
    apps = [str(app["id"]) for app in pendo.truth("apps")[:2]]
    read = []
    for rules in ("observed", "documented"):
        pendo.sim.mutate("switch", rules=rules, late_tracks_wait=False)
        out = pendo.read(*STREAM_NAMES, app_ids=apps)
        assert out.failures == {}
        read.append({name: out.records[name] for name in STREAM_NAMES})
    for name in STREAM_NAMES:
        assert difference_of(read[0][name], read[1][name]) == ([], []), name


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_parent_accounts_and_every_documented_shape_end_equal_to_the_truth(pendo: Subscription, period: str) -> None:
    """Ids of accounts are `Parent::Child`; guides, reports and visitors have values of the other documented types."""
    pendo.sim.mutate("switch", rules="documented")
    first = pendo.read(*STREAM_NAMES, period=period)
    pendo.sim.mutate("odd_shapes")
    pendo.sim.mutate("parent_accounts")
    assert all("::" in row["accountId"] for row in pendo.truth("accounts") if row["accountId"])
    second = pendo.read(*STREAM_NAMES, period=period, full_refresh=True)
    assert (first.failures, second.failures) == ({}, {})
    assert_equal_to_the_truth(pendo, [second], period)
