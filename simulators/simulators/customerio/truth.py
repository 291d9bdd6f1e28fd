"""The rows that a complete warehouse holds now, by stream.

They have the vendor's field names, and the parent's id as a further column where the vendor's rows lack it. They are
computed from the data, not by the endpoints, so a bug of an endpoint is not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from simulators.customerio import metrics
from simulators.customerio.build_people import SUPPRESSION_TYPES
from simulators.customerio.workspace import DAY, Workspace
from simulators.server import Row

FLAT = (
    "broadcasts",
    "campaigns",
    "collections",
    "exports",
    "newsletters",
    "optouts",
    "segments",
    "sender_identities",
    "snippets",
    "subscription_channels",
    "topics",
    "transactional_messages",
    "types",
    "workspaces",
)
CHILDREN = {
    "campaign_actions": ("campaigns", "campaign_id"),
    "broadcast_actions": ("broadcasts", "broadcast_id"),
    "broadcast_triggers": ("broadcasts", "broadcast_id"),
    "newsletter_variants": ("newsletters", "newsletter_id"),
    "newsletter_test_groups": ("newsletters", "newsletter_id"),
    "transactional_variants": ("transactional_messages", "transactional_id"),
}
METRICS = {
    "campaign_metrics": ("campaigns", "campaign_id"),
    "broadcast_metrics": ("broadcasts", "broadcast_id"),
    "newsletter_metrics": ("newsletters", "newsletter_id"),
    "transactional_metrics": ("transactional_messages", "transactional_id"),
}
LINK_METRICS = {
    "broadcast_link_metrics": ("broadcasts", "broadcast_id"),
    "campaign_link_metrics": ("campaigns", "campaign_id"),
    "newsletter_link_metrics": ("newsletters", "newsletter_id"),
    "transactional_link_metrics": ("transactional_messages", "transactional_id"),
}


def rows_of(workspace: Workspace, stream: str, **options: str) -> list[Row]:
    """The rows of a stream. KeyError for an unknown stream. The functions below have the options."""
    if stream in FLAT:
        return list(workspace.lists[stream])
    if stream in CHILDREN:
        parents, key = CHILDREN[stream]
        return [
            row | {key: p["id"]}
            for p in _parents(workspace, parents)
            for row in workspace.children[stream].get(p["id"], [])
        ]
    if stream in METRICS:
        return list(_metrics(workspace, stream, **options))
    if stream in LINK_METRICS:
        return list(_link_metrics(workspace, stream, **options))
    return list(_SPECIAL[stream](workspace, **options))


def _parents(workspace: Workspace, name: str) -> list[Row]:
    return [row for row in workspace.lists[name] if (name, row["id"]) not in workspace.vanished]


def _messages(workspace: Workspace, drafts: str = "false") -> Iterator[Row]:
    yield from workspace.deliveries.rows()
    if drafts == "true":
        yield from workspace.drafts.rows()


def _activities(workspace: Workspace) -> list[Row]:
    return workspace.visible_activities()


def _customers(workspace: Workspace) -> Iterator[Row]:
    for cio_id, person in workspace.people.items():
        yield {"cio_id": cio_id, **person}


def _customer_topics(workspace: Workspace) -> Iterator[Row]:
    """One row for each topic that a person chose or that applies to the person."""
    for cio_id, found in workspace.preferences.items():
        for name in {**found.chosen, **found.computed} if cio_id in workspace.people else ():
            row: Row = {"cio_id": cio_id, "topic_id": int(name.removeprefix("topic_")), "identifier": name}
            row |= {"subscribed_set": found.chosen.get(name), "subscribed": found.computed.get(name)}
            yield row | {"changed_at": found.changed}


def _objects(workspace: Workspace) -> Iterator[Row]:
    for (_, cio_object_id), item in workspace.objects.items():
        yield {"cio_object_id": cio_object_id, "object_id": item["identifiers"]["object_id"], **item}


def _object_relationships(workspace: Workspace) -> Iterator[Row]:
    """Without the relationships' own attributes, which only the paths below a person have."""
    for one in workspace.relationships:
        item = workspace.objects.get((one.object_type_id, one.cio_object_id))
        if item is not None and one.cio_id in workspace.people:
            row: Row = {"object_type_id": one.object_type_id, "cio_object_id": one.cio_object_id}
            row |= {"object_type_disabled": item["object_type_disabled"]}
            yield row | workspace.people[one.cio_id]["identifiers"]


def _memberships(workspace: Workspace) -> Iterator[Row]:
    for segment in _parents(workspace, "segments"):
        for cio_id in workspace.members[segment["id"]]:
            if cio_id in workspace.people:
                yield {"segment_id": segment["id"], **workspace.people[cio_id]["identifiers"]}


def _usage(workspace: Workspace) -> Iterator[Row]:
    for segment in _parents(workspace, "segments"):
        if segment["id"] in workspace.usage:
            yield workspace.usage[segment["id"]]


def _counts(workspace: Workspace) -> Iterator[Row]:
    for segment in _parents(workspace, "segments"):
        members = [cio_id for cio_id in workspace.members[segment["id"]] if cio_id in workspace.people]
        yield {"segment_id": segment["id"], "count": len(members)}


def _webhooks(workspace: Workspace) -> Iterator[Row]:
    """The user and password of an endpoint are removed, because a warehouse must not hold them."""
    for row in workspace.lists["reporting_webhooks"]:
        authority = urlsplit(row["endpoint"]).netloc
        bare = authority.rpartition("@")[2]
        yield row | {"endpoint": row["endpoint"].replace(authority, bare, 1)}


def _ip_addresses(workspace: Workspace) -> Iterator[Row]:
    for address in workspace.ip_addresses:
        yield {"ip_address": address}


def _suppressions(workspace: Workspace, domains: str = "") -> Iterator[Row]:
    """`domains` are separated by commas. Without it the default list is read, whose domain is an empty string."""
    for domain in domains.split(","):
        for kind in SUPPRESSION_TYPES:
            for row in workspace.suppressions.get((kind, domain), []):
                yield {"suppression_type": kind, "domain": domain, **row}


def _metrics(
    workspace: Workspace, stream: str, resolution: str = "days", start: str = "", end: str = "", steps: str = ""
) -> Iterator[Row]:
    """One row for each bucket of each parent. A series that is `null` is not in `metrics`.

    Campaigns have version 2: buckets from `start` to `end` (seconds since 1970), named by `period_start`. With `steps`,
    and for all other parents, it is version 1: the last `steps` buckets, named by `steps_back` (0 is the current
    bucket), because version 1 has no dates.
    """
    parents, key = METRICS[stream]
    if stream == "campaign_metrics" and not steps:
        starts = metrics.buckets(resolution, *_dates(workspace, start, end))
        column, labels = "period_start", starts
    else:
        count = int(steps) if steps else metrics.default_steps(resolution)
        starts = metrics.last_buckets(resolution, workspace.now, count)
        column, labels = "steps_back", list(range(count))[::-1]
    for parent in _parents(workspace, parents):
        arrays = metrics.series(workspace, parents, parent, metrics.names_of(parent), resolution, starts)
        for index, label in enumerate(labels):
            row: Row = {key: parent["id"], "resolution": resolution, column: label}
            yield row | {"metrics": {name: counts[index] for name, counts in arrays.items()}}


def _link_metrics(
    workspace: Workspace, stream: str, resolution: str = "days", steps: str = "", unique: str = ""
) -> Iterator[Row]:
    parents, key = LINK_METRICS[stream]
    count = int(steps) if steps else metrics.default_steps(resolution)
    starts = metrics.last_buckets(resolution, workspace.now, count)
    for parent in _parents(workspace, parents):
        for item in metrics.link_rows(workspace, parents, parent, resolution, starts, unique=unique == "true"):
            for index in range(count):
                counts = {name: values[index] for name, values in item["metric"]["series"].items()}
                row: Row = {key: parent["id"], "link_id": item["link"]["id"], "href": item["link"]["href"]}
                yield row | {"resolution": resolution, "steps_back": count - 1 - index, "metrics": counts}


def _action_metrics(workspace: Workspace, resolution: str = "days", start: str = "", end: str = "") -> Iterator[Row]:
    """Version 2 for each action, and for each further language of a branch under the branch's id.

    Actions are named by texts, as their list does. `language_action_id` is an empty text for the action itself.
    """
    starts = metrics.buckets(resolution, *_dates(workspace, start, end))
    for campaign in _parents(workspace, "campaigns"):
        actions = workspace.children["campaign_actions"].get(campaign["id"], [])
        for action in actions:
            for counted in (action, *metrics.languages_of(actions, action)):
                row = metrics.below(campaign, counted)
                key: Row = {"campaign_id": campaign["id"], "action_id": str(action["id"])}
                key |= {"language_action_id": "" if counted is action else str(counted["id"]), "resolution": resolution}
                for moment, counts in _columns(workspace, "campaign_actions", row, resolution, starts):
                    yield key | {"period_start": moment, "metrics": counts}


def _variant_metrics(workspace: Workspace, resolution: str = "days", steps: str = "") -> Iterator[Row]:
    """Version 1 for each variant of a newsletter: the last `steps` buckets, named by `steps_back`."""
    count = int(steps) if steps else metrics.default_steps(resolution)
    starts = metrics.last_buckets(resolution, workspace.now, count)
    for newsletter in _parents(workspace, "newsletters"):
        for variant in workspace.children["newsletter_variants"].get(newsletter["id"], []):
            row = metrics.below(newsletter, variant)
            key: Row = {"newsletter_id": newsletter["id"], "content_id": variant["id"], "resolution": resolution}
            columns = _columns(workspace, "newsletter_variants", row, resolution, starts)
            for index, (_, counts) in enumerate(columns):
                yield key | {"steps_back": count - 1 - index, "metrics": counts}


def _columns(
    workspace: Workspace, kind: str, row: Row, resolution: str, starts: list[int]
) -> Iterator[tuple[int, dict[str, int]]]:
    """Each bucket's start with its numbers by series."""
    arrays = metrics.series(workspace, kind, row, metrics.names_of(row), resolution, starts)
    for index, moment in enumerate(starts):
        yield moment, {name: counts[index] for name, counts in arrays.items()}


def _sender_usage(workspace: Workspace) -> Iterator[Row]:
    for sender in _parents(workspace, "sender_identities"):
        yield {"sender_identity_id": sender["id"], **workspace.sender_usage[sender["id"]]}


def _journeys(workspace: Workspace, resolution: str = "days", start: str = "", end: str = "") -> Iterator[Row]:
    starts = metrics.buckets(resolution, *_dates(workspace, start, end))
    for parent in _parents(workspace, "campaigns"):
        arrays = metrics.series(workspace, "journey", parent, metrics.JOURNEY_SERIES, resolution, starts)
        for index, moment in enumerate(starts):
            row: Row = {"campaign_id": parent["id"], "resolution": resolution, "period_start": moment}
            yield row | {"metrics": {name: counts[index] for name, counts in arrays.items()}}


def _dates(workspace: Workspace, start: str, end: str) -> tuple[int, int]:
    last = int(end) if end else workspace.now
    return (int(start) if start else last - 45 * DAY), last


_SPECIAL: dict[str, Callable[..., Any]] = {
    "activities": _activities,
    "campaign_action_metrics": _action_metrics,
    "campaign_journey_metrics": _journeys,
    "customer_topics": _customer_topics,
    "customers": _customers,
    "esp_suppressions": _suppressions,
    "ip_addresses": _ip_addresses,
    "messages": _messages,
    "newsletter_variant_metrics": _variant_metrics,
    "object_relationships": _object_relationships,
    "objects": _objects,
    "reporting_webhooks": _webhooks,
    "segment_customer_counts": _counts,
    "segment_memberships": _memberships,
    "segment_usage": _usage,
    "sender_identity_usage": _sender_usage,
}
STREAMS = tuple(sorted((*FLAT, *CHILDREN, *METRICS, *LINK_METRICS, *_SPECIAL)))
