"""The rows that a complete warehouse holds at the simulated present, by stream, with the vendor's field names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeAlias

from simulators.pendo import reports
from simulators.pendo.mutations import app_ids
from simulators.pendo.seen import with_nps
from simulators.pendo.segments import members
from simulators.pendo.subscription import EventQuery, Subscription
from simulators.pendo.switches import Switches
from simulators.pendo.tables import as_answered
from simulators.server import Row

_OPTIONS = {"period", "since", "apps", "anonymous"}
_EVENT_STREAMS = {
    "events": "events",
    "page_events": "pageEvents",
    "feature_events": "featureEvents",
    "track_events": "trackEvents",
    "guide_events": "guideEvents",
    "poll_events": "pollEvents",
    "email_events": "emailEvents",
}
_DEFINITION_STREAMS = {"track_types": "trackTypes"} | {
    kind: kind for kind in ("pages", "features", "guides", "reports", "segments")
}
Apps: TypeAlias = frozenset[int] | None


def truth(stream: str, subscription: Subscription, switches: Switches, options: Mapping[str, str]) -> list[Row]:
    """The rows of one stream. KeyError for an unknown stream, ValueError for an unknown option."""
    if set(options) - _OPTIONS:
        message = f"unknown options: {sorted(set(options) - _OPTIONS)}"
        raise ValueError(message)
    return [row if _is_text(row) else as_answered(row) for row in _rows(stream, subscription, switches, options)]


def _is_text(row: Row) -> bool:
    """Whether the visitor id of a row, if there is one, has no incomplete character (`Mutations.cut_id`)."""
    visitor_id = row.get("visitorId")
    return not isinstance(visitor_id, str) or visitor_id.isascii() or as_answered(visitor_id) == visitor_id


def _rows(stream: str, subscription: Subscription, switches: Switches, options: Mapping[str, str]) -> list[Row]:
    apps = app_ids(options.get("apps"))
    anonymous = options.get("anonymous") == "true"
    if stream in _EVENT_STREAMS:
        since = subscription.calendar.midnight(date.fromisoformat(options.get("since", "2000-01-01")))
        return subscription.all_rows(_EVENT_STREAMS[stream], options.get("period", "day"), apps, since)
    if stream in _DEFINITION_STREAMS:
        return subscription.definition_rows(_DEFINITION_STREAMS[stream], apps)
    if stream == "visitors":
        return subscription.visitor_rows(anonymous=anonymous)
    if stream == "visitor_history":
        return _all_history(subscription, anonymous=anonymous)
    if stream == "guide_versions":
        return _guide_versions(subscription, apps, switches.own_version_ids)
    if stream == "feedback_items":
        return subscription.feedback.item_rows(None if switches.ideas else "feedback", apps)
    return _SIMPLE[stream](subscription, apps)


def _guide_versions(subscription: Subscription, apps: Apps, own_ids: str) -> list[Row]:
    return [
        {"guideId": guide["id"], **version}
        for guide in subscription.definition_rows("guides", apps)
        for version in subscription.versions.newest_first(guide, own_ids)
    ]


def _all_history(subscription: Subscription, *, anonymous: bool) -> list[Row]:
    return [
        {"visitorId": visitor["visitorId"], **row}
        for visitor in subscription.visitor_rows(anonymous=anonymous)
        if visitor["visitorId"] not in subscription.deleted_visitors
        for row in subscription.history(visitor["visitorId"])
    ]


def _metadata(subscription: Subscription, kind: str) -> list[Row]:
    schema = subscription.metadata(kind)
    return [
        {"group": group, "field": name, **descriptor}
        for group, fields in schema.items()
        for name, descriptor in fields.items()
    ]


def _seen_ever(source: str, subscription: Subscription, apps: Apps) -> list[Row]:
    query = EventQuery("day", 0, subscription.now + 1, apps)
    return list(subscription.event_table(source, query)[0].rows())


def _poll_responses(subscription: Subscription, apps: Apps) -> list[Row]:
    return with_nps(_seen_ever("pollsSeenEver", subscription, apps), subscription.definition_rows("guides", None))


def _report_results(subscription: Subscription, apps: Apps) -> list[Row]:
    return [
        {"reportId": report["id"], **row}
        for report in subscription.definition_rows("reports", apps)
        if reports.has_results(report)
        for row in subscription.report_results(report)
    ]


def _segment_memberships(subscription: Subscription, apps: Apps) -> list[Row]:
    segments = subscription.definition_rows("segments", apps)
    return [member for segment in segments for member in members(subscription, segment)]


_SIMPLE: Mapping[str, Callable[[Subscription, Apps], list[Row]]] = {
    "accounts": lambda subscription, apps: list(subscription.accounts),
    "metadata_accounts": lambda subscription, apps: _metadata(subscription, "account"),
    "metadata_visitors": lambda subscription, apps: _metadata(subscription, "visitor"),
    "apps": lambda subscription, apps: subscription.app_rows(),
    "product_areas": lambda subscription, apps: subscription.group_rows("group", with_items=True),
    "guide_categories": lambda subscription, apps: subscription.group_rows("guideCategory", with_items=True),
    "bulk_deletions": lambda subscription, apps: subscription.erasures.outstanding(),
    "do_not_process_visitors": lambda subscription, apps: subscription.do_not_process_rows("visitor"),
    "do_not_process_accounts": lambda subscription, apps: subscription.do_not_process_rows("account"),
    "poll_responses": _poll_responses,
    "guides_seen": lambda subscription, apps: _seen_ever("guidesSeenEver", subscription, apps),
    "feedback_votes": lambda subscription, apps: list(subscription.feedback.votes),
    "report_results": _report_results,
    "segment_memberships": _segment_memberships,
}
