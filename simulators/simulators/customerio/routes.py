"""The simulated paths of the App API, each with the function that answers it.

The templates are those of `openapi.json`; a test compares the two. A path is split before it is percent-decoded, so an
encoded slash stays inside its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from simulators.customerio import handlers_deliveries as deliveries
from simulators.customerio import handlers_lists as lists
from simulators.customerio import handlers_objects as objects
from simulators.customerio import handlers_people as people
from simulators.customerio import metrics
from simulators.customerio.options import Options
from simulators.customerio.wire import list_or_null
from simulators.customerio.workspace import YEAR, Workspace
from simulators.server import Request, Row

OPEN_PATHS = frozenset({"/info/ip_addresses"})
"""Answered without a key."""

QUOTA_PATH = "/messages/{message_id}/archived_message"
"""The only path with its own daily quota."""

_RAW = frozenset("+@ &")
_EMPTY_WHEN_RAW: Mapping[str, Row] = {
    "/messages/{message_id}": {"message": None},
    "/messages/{message_id}/archived_message": {"archived_message": None},
    "/esp/search_suppression/{email_address}": {"category": "", "suppressions": None},
    "/esp/domains/{domain}/suppression/{suppression_type}": {"category": "", "suppressions": None, "next": ""},
}
"""The answers, with status 200, to an id that was not percent-encoded (vendor's documentation)."""


@dataclass(frozen=True)
class Call:
    """A request for a route. `ids` are the values of the placeholders in its template, percent-decoded."""

    workspace: Workspace
    options: Options
    request: Request
    ids: tuple[str, ...]


Handler: TypeAlias = Callable[[Call], object]


@dataclass(frozen=True)
class Route:
    """A method and a path template with its handler."""

    method: str
    template: str
    handler: Handler

    @property
    def parts(self) -> list[str]:
        """The parts of the template."""
        return self.template.strip("/").split("/")

    def ids(self, parts: list[str]) -> tuple[str, ...] | None:
        """The values of the placeholders, not yet decoded; None if the path does not match."""
        if len(parts) != len(self.parts):
            return None
        found = []
        for mine, theirs in zip(self.parts, parts, strict=True):
            if mine.startswith("{"):
                found.append(theirs)
            elif mine != theirs:
                return None
        return tuple(found)


def match(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The route of a path without `/v1`, and its ids, not yet decoded."""
    parts = path.strip("/").split("/")
    for route in _BY_LENGTH.get((method, len(parts)), ()):
        ids = route.ids(parts)
        if ids is not None:
            return route, ids
    if method == "GET" and parts[0] == "messages" and len(parts) > 2:  # a message id with an unencoded slash
        return _RAW_MESSAGE, ("/".join(parts[1:]),)
    return None


def call(route: Route, workspace: Workspace, options: Options, request: Request, ids: tuple[str, ...]) -> object:
    """Run the handler of a route. Ids with unencoded characters get the vendor's empty answer with status 200."""
    if route.template in _EMPTY_WHEN_RAW and any(_RAW & set(text) or "/" in text for text in ids):
        return _EMPTY_WHEN_RAW[route.template]
    return route.handler(Call(workspace, options, request, tuple(unquote(text) for text in ids)))


def _whole(name: str, envelope: str | None = None) -> Handler:
    return lambda c: lists.whole_list(c.workspace, c.options, name, envelope or name)


def _detail(name: str, envelope: str) -> Handler:
    return lambda c: {envelope: lists.parent(c.workspace, name, c.ids[0])}


def _children(kind: str, parents: str, envelope: str, *, strict: bool = False) -> Handler:
    return lambda c: lists.children(c.workspace, c.options, kind, parents, envelope, c.ids[0], strict=strict)


def _messages(parents: str, key: str) -> Handler:
    def handler(c: Call) -> object:
        row = lists.parent(c.workspace, parents, c.ids[0])
        return deliveries.messages(c.workspace, c.options, c.request, {key: row["id"]}, YEAR)

    return handler


def _metrics(parents: str) -> Handler:
    def handler(c: Call) -> object:
        return metrics.metrics_v1(
            c.workspace, parents, lists.parent(c.workspace, parents, c.ids[0]), c.request, strict=False
        )

    return handler


def _both_metrics(c: Call) -> object:
    campaign = lists.parent(c.workspace, "campaigns", c.ids[0], strict=True)
    if c.request.param("version") == "2":
        return metrics.metrics_v2(c.workspace, c.options, "campaigns", campaign, c.request)
    return metrics.metrics_v1(c.workspace, "campaigns", campaign, c.request, strict=True)


def _child(kind: str, parents: str, c: Call) -> tuple[Row, Row]:
    """The two rows that a path names: a parent and a row under it."""
    row = lists.child(c.workspace, kind, parents, c.ids[0], c.ids[1])
    return lists.parent(c.workspace, parents, c.ids[0]), row


def _child_metrics(kind: str, parents: str) -> Handler:
    def handler(c: Call) -> object:
        row = metrics.below(*_child(kind, parents, c))
        return metrics.metrics_v1(c.workspace, kind, row, c.request, strict=parents != "newsletters")

    return handler


def _action_metrics(c: Call) -> object:
    if c.request.param("version") == "2":
        return metrics.action_metrics_v2(c.workspace, c.options, *_child("campaign_actions", "campaigns", c), c.request)
    return _child_metrics("campaign_actions", "campaigns")(c)


def _links(parents: str) -> Handler:
    return lambda c: metrics.links(c.workspace, parents, lists.parent(c.workspace, parents, c.ids[0]), c.request)


def _child_links(kind: str, parents: str) -> Handler:
    return lambda c: metrics.links(c.workspace, kind, metrics.below(*_child(kind, parents, c)), c.request)


def _journeys(c: Call) -> object:
    return metrics.journeys(c.workspace, lists.parent(c.workspace, "campaigns", c.ids[0], strict=True), c.request)


def _trigger(c: Call) -> object:
    return lists.child(c.workspace, "broadcast_triggers", "broadcasts", c.ids[0], c.ids[1])


def _ip_addresses(c: Call) -> object:
    return {"ip_addresses": list_or_null(c.workspace.ip_addresses, c.options)}


_GETS: Mapping[str, Handler] = {
    "/activities": lambda c: deliveries.activities(c.workspace, c.options, c.request),
    "/broadcasts": _whole("broadcasts"),
    "/broadcasts/{broadcast_id}": _detail("broadcasts", "broadcast"),
    "/broadcasts/{broadcast_id}/actions": _children("broadcast_actions", "broadcasts", "actions", strict=True),
    "/broadcasts/{broadcast_id}/actions/{action_id}": lambda c: {
        "action": _child("broadcast_actions", "broadcasts", c)[1]
    },
    "/broadcasts/{broadcast_id}/actions/{action_id}/metrics": _child_metrics("broadcast_actions", "broadcasts"),
    "/broadcasts/{broadcast_id}/actions/{action_id}/metrics/links": _child_links("broadcast_actions", "broadcasts"),
    "/broadcasts/{broadcast_id}/messages": _messages("broadcasts", "broadcast_id"),
    "/broadcasts/{broadcast_id}/metrics": _metrics("broadcasts"),
    "/broadcasts/{broadcast_id}/metrics/links": _links("broadcasts"),
    "/broadcasts/{broadcast_id}/triggers": _children("broadcast_triggers", "broadcasts", "triggers"),
    "/campaigns": _whole("campaigns"),
    "/campaigns/{campaign_id}": _detail("campaigns", "campaign"),
    "/campaigns/{campaign_id}/actions": lambda c: lists.campaign_actions(c.workspace, c.options, c.request, c.ids[0]),
    "/campaigns/{campaign_id}/actions/{action_id}": lambda c: {
        "action": lists.child(c.workspace, "campaign_actions", "campaigns", c.ids[0], c.ids[1])
    },
    "/campaigns/{campaign_id}/actions/{action_id}/metrics": _action_metrics,
    "/campaigns/{campaign_id}/actions/{action_id}/metrics/links": _child_links("campaign_actions", "campaigns"),
    "/campaigns/{campaign_id}/journey_metrics": _journeys,
    "/campaigns/{campaign_id}/messages": _messages("campaigns", "campaign_id"),
    "/campaigns/{campaign_id}/metrics": _both_metrics,
    "/campaigns/{campaign_id}/metrics/links": _links("campaigns"),
    "/campaigns/{broadcast_id}/triggers/{trigger_id}": _trigger,
    "/collections": _whole("collections"),
    "/customers": lambda c: people.by_email(c.workspace, c.request),
    "/customers/{customer_id}/relationships": lambda c: people.relationships(
        c.workspace, c.options, c.request, c.ids[0]
    ),
    "/esp/domains/{domain}/suppression/{suppression_type}": lambda c: people.domain_suppressions(
        c.workspace, c.options, c.request, c.ids[0], c.ids[1]
    ),
    "/esp/search_suppression/{email_address}": lambda c: people.search_suppression(c.workspace, c.ids[0]),
    "/esp/suppression/{suppression_type}": lambda c: people.suppressions(c.workspace, c.options, c.request, c.ids[0]),
    "/exports": lambda c: people.exports(c.workspace, c.options),
    "/exports/{export_id}": lambda c: {"export": people.export(c.workspace, c.ids[0])},
    "/exports/{export_id}/download": lambda c: people.download(c.workspace, c.ids[0]),
    "/info/ip_addresses": _ip_addresses,
    "/messages": lambda c: deliveries.messages(c.workspace, c.options, c.request),
    "/messages/{message_id}": lambda c: deliveries.message(c.workspace, c.ids[0]),
    QUOTA_PATH: lambda c: deliveries.archived_message(c.workspace, c.ids[0]),
    "/newsletters": lambda c: lists.by_last_id(c.workspace, c.options, c.request, "newsletters"),
    "/newsletters/{newsletter_id}": _detail("newsletters", "newsletter"),
    "/newsletters/{newsletter_id}/contents": _children("newsletter_variants", "newsletters", "contents"),
    "/newsletters/{newsletter_id}/contents/{content_id}": lambda c: {
        "content": _child("newsletter_variants", "newsletters", c)[1]
    },
    "/newsletters/{newsletter_id}/contents/{content_id}/metrics": _child_metrics("newsletter_variants", "newsletters"),
    "/newsletters/{newsletter_id}/contents/{content_id}/metrics/links": _child_links(
        "newsletter_variants", "newsletters"
    ),
    "/newsletters/{newsletter_id}/messages": _messages("newsletters", "newsletter_id"),
    "/newsletters/{newsletter_id}/metrics": _metrics("newsletters"),
    "/newsletters/{newsletter_id}/metrics/links": _links("newsletters"),
    "/newsletters/{newsletter_id}/test_groups": _children("newsletter_test_groups", "newsletters", "test_groups"),
    "/object_types": _whole("types"),
    "/objects/{object_type_id}/{object_id}/attributes": lambda c: objects.attributes(
        c.workspace, c.request, c.ids[0], c.ids[1]
    ),
    "/objects/{object_type_id}/{object_id}/relationships": lambda c: objects.relationships(
        c.workspace, c.options, c.request, c.ids[0], c.ids[1]
    ),
    "/optouts": lambda c: lists.optouts(c.workspace, c.options, c.request),
    "/reporting_webhooks": _whole("reporting_webhooks"),
    "/reporting_webhooks/{webhook_id}": lambda c: lists.parent(c.workspace, "reporting_webhooks", c.ids[0]),
    "/segments": _whole("segments"),
    "/segments/{segment_id}": _detail("segments", "segment"),
    "/segments/{segment_id}/customer_count": lambda c: lists.customer_count(c.workspace, c.ids[0]),
    "/segments/{segment_id}/membership": lambda c: lists.membership(c.workspace, c.options, c.request, c.ids[0]),
    "/segments/{segment_id}/used_by": lambda c: lists.used_by(c.workspace, c.ids[0]),
    "/sender_identities": lambda c: lists.by_last_id(c.workspace, c.options, c.request, "sender_identities"),
    "/sender_identities/{sender_id}": _detail("sender_identities", "sender_identity"),
    "/sender_identities/{sender_id}/used_by": lambda c: lists.sender_used_by(c.workspace, c.ids[0]),
    "/snippets": _whole("snippets"),
    "/subscription_channels": _whole("subscription_channels", "channels"),
    "/subscription_topics": _whole("topics"),
    "/transactional": _whole("transactional_messages", "messages"),
    "/transactional/{transactional_id}": _detail("transactional_messages", "message"),
    "/transactional/{transactional_id}/contents": _children(
        "transactional_variants", "transactional_messages", "contents"
    ),
    "/transactional/{transactional_id}/contents/{content_id}": lambda c: {
        "content": _child("transactional_variants", "transactional_messages", c)[1]
    },
    "/transactional/{transactional_id}/messages": _messages("transactional_messages", "transactional_message_id"),
    "/transactional/{transactional_id}/metrics": _metrics("transactional_messages"),
    "/transactional/{transactional_id}/metrics/links": _links("transactional_messages"),
    "/workspaces": _whole("workspaces"),
}
_POSTS: Mapping[str, Handler] = {
    "/customers": lambda c: people.search(c.workspace, c.options, c.request),
    "/customers/attributes": lambda c: people.hydrate(c.workspace, c.options, c.request),
    "/exports/customers": lambda c: people.start_export(c.workspace, c.options, c.request, "customers"),
    "/exports/deliveries": lambda c: people.start_export(c.workspace, c.options, c.request, "deliveries"),
    "/objects": lambda c: objects.search(c.workspace, c.options, c.request),
}
ROUTES = [
    Route(method, template, handler)
    for method, table in (("GET", _GETS), ("POST", _POSTS))
    for template, handler in table.items()
]
_BY_LENGTH: dict[tuple[str, int], list[Route]] = {}
for _route in ROUTES:
    _BY_LENGTH.setdefault((_route.method, len(_route.parts)), []).append(_route)
_RAW_MESSAGE = next(route for route in ROUTES if route.template == "/messages/{message_id}")
