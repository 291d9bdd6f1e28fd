"""Rows of `webhook_events` as the connectors emit them, made from what the vendors publish about their webhooks.

Every pair of `object_type` and `metric` that Customer.io's specification lists comes once for each kind of parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulators.webhooks.customerio_events import METRICS

#: A message names its parent by which ids are there
PARENTS: dict[str, dict[str, Any]] = {
    "campaign": {
        "campaign_id": 4, "action_id": 96, "journey_id": "01G6A8", "parent_action_id": 95, "trigger_event_id": None,
    },
    "broadcast": {"broadcast_id": 9, "trigger_id": 2, "action_id": 99, "journey_id": "01G6A9", "parent_action_id": 98},
    "newsletter": {"newsletter_id": 736, "content_id": 1278},
    "transactional": {"transactional_message_id": 3},
}  # fmt: skip
_PERSON = {"customer_id": "0200102", "identifiers": {"id": "0200102", "email": "ada@example.com", "cio_id": "d9c1"}}
#: What the connector makes columns of, beside `data`
LIFTED = (
    "delivery_id", "journey_id", "trigger_event_id", "inbound_event_id", "campaign_id", "broadcast_id", "newsletter_id",
    "transactional_message_id", "action_id", "parent_action_id", "content_id", "trigger_id", "link_id",
)  # fmt: skip
_FAILED = ("bounced", "dropped", "failed", "attempted", "undeliverable")
_BEFORE_SENT = ("drafted", "attempted", "failed")


def customerio_rows() -> Iterator[dict[str, Any]]:
    """One row for each kind, metric and parent, a kind that nobody knows yet, and a body that is no JSON."""
    number = 0
    for kind, metrics in METRICS.items():
        for metric in metrics:
            for parent in ("customer",) if kind == "customer" else PARENTS:
                number += 1
                yield _customerio_row(number, kind, metric, _data(kind, metric, parent, number))
    yield _customerio_row(number + 1, "carrier_pigeon", "sent", _data("slack", "sent", "campaign", number + 1))
    yield {
        "record_id": "customerio:sha256:00ff",
        "received_at": "2026-03-01T04:00:09.000000Z",
        "inlet": "prod",
        "raw": "no JSON",
    }


def _customerio_row(number: int, kind: str, metric: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "record_id": f"customerio:01E4C4CT6YDC7Y5M7FE{number:07d}",
        "received_at": f"2026-03-01T04:{number // 60:02d}:{number % 60:02d}.250000Z",
        "inlet": "prod",
        "event_id": f"01E4C4CT6YDC7Y5M7FE{number:07d}",
        "object_type": kind,
        "metric": metric,
        "timestamp": 1_772_337_600 + number,
        "cio_id": data["identifiers"]["cio_id"],
        **{name: data[name] for name in LIFTED if name in data},
        "data": data,
    }


def _data(kind: str, metric: str, parent: str, number: int) -> dict[str, Any]:
    if kind == "customer":
        preferences = {"object_type_type": "email", "content": '{"topics":{"topic_1":false}}'}
        return {
            **_PERSON,
            "email_address": "ada@example.com",
            **(preferences if metric == "cio_subscription_preferences_changed" else {}),
        }
    data = {**_PERSON, **PARENTS[parent], "delivery_id": f"RPILAgUBcRhIBqSfeiIwdIYJKxTY={number}"}
    if kind == "email":
        data["subject"] = "Thanks, “Ada”"
    if kind == "push" and metric not in _BEFORE_SENT:
        data["recipients"] = [{"device_id": "a1", "device_platform": "ios"}]
    elif metric not in _BEFORE_SENT:
        data["recipient"] = "ada@example.com" if kind == "email" else "+15550100"
    if metric in _FAILED:
        data["failure_message"] = "550 no such mailbox"
    if metric == "sent":
        data["content"] = "<p>Hello</p>"
        data |= {"headers": {"X-Test": ["1", "2"]}} if kind == "email" else {}
    if metric == "opened" and kind == "email":
        data |= {"proxied": True, "prefetched": False, "synthetic": False}
    if metric == "clicked":
        data |= {"href": "https://example.com/?a=1&b=2", "link_id": 1}
        data |= {"machine": False} if kind == "email" else {}
        data |= {"tracked_response": "yes"} if kind == "in_app" else {}
    if metric == "replied":
        data |= {"inbound_event_id": "01HREPLY", "to": "+15550199"}
    return data


def pendo_rows() -> Iterator[dict[str, Any]]:
    """One row for each event of Pendo's published examples, one without a guide, and a body that is no JSON."""
    events = ("guideDisplayed", "pollDisplayed", "pollSubmitted", "npsDisplayed", "npsSubmitted")
    for number, event in enumerate(events, start=1):
        yield {
            **_pendo_envelope(number, event),
            "guide_id": "g-abc",
            "guide_step_id": "s-1",
            "guide_name": "Welcome",
            "properties": {
                "guideId": "g-abc",
                "guideStepId": "s-1",
                "language": "en",
                "guideProperties": {"name": "W"},
            },
        }
    yield {**_pendo_envelope(6, "trackEventReceived"), "properties": {"plan": "pro"}}
    yield {
        "record_id": "pendo:sha256:00ff",
        "received_at": "2026-03-01T04:00:09.000000Z",
        "inlet": "prod",
        "raw": "no JSON",
    }


def _pendo_envelope(number: int, event: str) -> dict[str, Any]:
    unique = f"{number:040x}"
    return {
        "record_id": f"pendo:{event}:{unique}",
        "received_at": f"2026-03-01T04:00:0{number}.500000Z",
        "inlet": "prod",
        "event": event,
        "unique_id": unique,
        "timestamp": f"2026-03-01T04:00:0{number}.000Z",
        "visitor_id": "v-1",
        "account_id": "a-1",
        "app_id": -323232,
    }
