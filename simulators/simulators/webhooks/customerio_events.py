"""Events of Customer.io's reporting webhooks, about the people and deliveries that its simulated API shows.

Every row of the vendor's tables of metrics and of fields comes in turn. All of it is certain (reporting-webhooks
specification 1.0.0) but for the odd events, which the open enums and the older pages allow.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator

from simulators.customerio.workspace import Workspace
from simulators.server import Row
from simulators.webhooks.events import Event, encoded

METRICS: dict[str, tuple[str, ...]] = {
    "customer": ("subscribed", "unsubscribed", "cio_subscription_preferences_changed"),
    "email": (
        *("drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted", "unsubscribed"),
        *("bounced", "dropped", "spammed", "failed", "undeliverable"),
    ),
    "push": (
        *("drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted"),
        *("bounced", "dropped", "failed", "undeliverable"),
    ),
    "sms": (
        *("drafted", "attempted", "sent", "delivered", "clicked", "converted"),
        *("bounced", "failed", "undeliverable", "replied"),
    ),
    "whatsapp": (
        *("drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted"),
        *("bounced", "dropped", "failed", "undeliverable", "replied"),
    ),
    "in_app": ("drafted", "attempted", "sent", "opened", "clicked", "converted", "failed", "undeliverable"),
    "slack": ("drafted", "attempted", "sent", "clicked", "failed", "undeliverable"),
    "webhook": ("drafted", "attempted", "sent", "clicked", "failed", "undeliverable"),
}
TABLE = tuple((object_type, metric) for object_type, metrics in METRICS.items() for metric in metrics)
_USUAL = tuple(("email", metric) for metric in ("sent", "sent", "delivered", "delivered", "opened", "clicked"))

TEST_EVENT_ID = "01JTESTEVENT00000000000000"
"""The id of the editor's "Send Test". Whether the real one is new each time is not known."""

BIG_CONTENT = 2 * 1024 * 1024

#: Types of deliveries in the API where they have another name there; a workspace here has no Slack messages.
_API_TYPES = {"sms": "twilio"}
_FAILURES = {"bounced", "dropped", "failed", "attempted", "undeliverable"}
_WITHOUT_RECIPIENT = {"attempted", "failed"}
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SUBJECTS = (
    "Grüße aus Zürich ☃",
    "お知らせ 🎉👩‍👩‍👧",
    "مرحبا",
    'It is "fine" \\o/',
    "e\u0301 \u202eback\u202c",
    "A\tB",
    "",
)


def test_event() -> Event:
    """What "Send Test" posts."""
    document = {
        "event_id": TEST_EVENT_ID,
        "object_type": "email",
        "metric": "sent",
        "timestamp": 1613063089,
        "data": {"customer_id": "test", "delivery_id": "test==", "subject": "Test"},
    }
    return Event((TEST_EVENT_ID,), "test", document, json.dumps(document).encode())


test_event.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test otherwise


class CustomerioEvents:
    """Makes events without end. `odd` is the share of those that a strict receiver trips over."""

    def __init__(
        self, workspace: Workspace, seed: int = 1, *, mix: str = "every", odd: float = 0.0, with_content: bool = False
    ) -> None:
        self._rng = random.Random(f"{seed}/webhooks")
        self._people = list(workspace.people.values())
        self._by_cio_id = workspace.people
        self._deliveries: dict[str, list[Row]] = {}
        self._all = list(workspace.deliveries.rows())
        for row in self._all:
            self._deliveries.setdefault(row["type"], []).append(row)
        self._table = itertools.cycle(TABLE if mix == "every" else _USUAL)
        self._odd, self._with_content = odd, with_content

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        object_type, metric = next(self._table)
        document: Row = {
            "event_id": self._ulid(),
            "object_type": object_type,
            "metric": metric,
            "timestamp": int(time.time()),
            "data": self._customer(metric) if object_type == "customer" else self._message(object_type, metric),
        }
        kind = f"{object_type}_{metric}"
        if self._odd and self._rng.random() < self._odd:
            kind = self._make_odd(document)
        return Event((document.get("event_id"),), kind, document, encoded(document, self._rng))

    def _ulid(self) -> str:
        moment, randomness = int(time.time() * 1000), self._rng.getrandbits(80)
        number = moment << 80 | randomness
        return "".join(_ULID[number >> shift & 31] for shift in range(125, -1, -5))

    def _make_odd(self, document: Row) -> str:
        match self._rng.randrange(5):
            case 0:
                document["object_type"] = "hologram"
                return "unknown object_type"
            case 1:
                del document["event_id"]
                return "no event_id"
            case 2:
                document["data"]["content"] = "<p>ü</p>" * (BIG_CONTENT // 9)
                return "content of 2 MiB"
            case 3:
                document["event_id"] = TEST_EVENT_ID
                return "test"
        document["data"] |= dict.fromkeys(("campaign_id", "action_id", "delivery_id", "identifiers", "customer_id"))
        return "null ids"

    def _person(self, row: Row) -> Row:
        """Who an event is about. A workspace that knows ids only sends `id` alone; a deleted person has a blank id."""
        if self._rng.random() < 0.1 and row["id"]:
            return {"identifiers": {"id": row["id"]}, "customer_id": row["id"]}
        known = row["identifiers"]
        identifiers = {name: known.get(name) for name in ("id", "email", "cio_id")}
        return {"identifiers": identifiers, "customer_id": row["id"] or ""}

    def _customer(self, metric: str) -> Row:
        person = self._rng.choice(self._people)
        data = self._person(person) | {"email_address": person["identifiers"]["email"]}
        if metric == "cio_subscription_preferences_changed":
            data |= {
                "content": json.dumps({"topics": {"topic_1": self._rng.random() < 0.5}}),
                "object_type_type": "email",
            }
        return data

    def _message(self, object_type: str, metric: str) -> Row:
        rng = self._rng
        delivery = rng.choice(self._deliveries.get(_API_TYPES.get(object_type, object_type)) or self._all)
        identifiers = delivery["customer_identifiers"] or {"cio_id": "a3ffffff"}
        data = self._person({"id": delivery["customer_id"], "identifiers": identifiers})
        data |= {"delivery_id": delivery["id"], **self._parent(delivery)}
        recipient = delivery["recipient"]
        if object_type == "push" and metric not in {"drafted", "attempted"}:
            failure = "Unregistered" if metric in _FAILURES else ""
            device = {"device_id": f"tok+/{rng.randrange(100)}=", "device_platform": rng.choice(("ios", "android"))}
            data["recipients"] = [device | ({"failure_message": failure} if failure else {})]
        elif metric not in _WITHOUT_RECIPIENT:
            data["recipient"] = recipient if object_type in {"email", "push"} else f"+1555{rng.randrange(10**7):07}"
        if object_type == "email":
            data["subject"] = rng.choice((delivery["subject"], *_SUBJECTS))
            data |= self._email(metric)
        if metric in _FAILURES:
            data["failure_message"] = delivery["failure_message"] or "550 mailbox unavailable"
        return data | self._actions(object_type, metric)

    def _email(self, metric: str) -> Row:
        flag = self._rng.random() < 0.2
        match metric:
            case "sent" if self._with_content:
                return {"headers": {"X-Campaign": "spring", "Reply-To": None}}
            case "opened":
                return {"proxied": flag, "prefetched": not flag, "synthetic": False}
            case "clicked":
                return {"machine": flag}
        return {}

    def _actions(self, object_type: str, metric: str) -> Row:
        match metric:
            case "sent" if self._with_content:
                return {"content": f"<p>Grüße {self._rng.randrange(10**6)}</p>\n" * 40}
            case "clicked":
                link = self._rng.randrange(1, 50)
                clicked: Row = {"href": f"https://example.com/?a=b&link={link}#ü", "link_id": link}
                return clicked | ({"tracked_response": "yes"} if object_type == "in_app" else {})
            case "replied":
                return {"inbound_event_id": self._ulid(), "to": "+15550100"}
        return {}

    def _parent(self, delivery: Row) -> Row:
        """The ids of what the message belongs to: those that are there say which of the four kinds it is."""
        if delivery.get("campaign_id"):
            names = ("campaign_id", "action_id", "parent_action_id", "trigger_event_id")
            return {name: delivery.get(name) for name in names} | {"journey_id": self._ulid()}
        if delivery.get("newsletter_id"):
            return {name: delivery.get(name) for name in ("newsletter_id", "content_id")}
        if delivery.get("broadcast_id"):
            ids = {name: delivery.get(name) for name in ("broadcast_id", "action_id", "parent_action_id")}
            return ids | {"trigger_id": self._rng.randrange(1, 9), "journey_id": self._ulid()}
        return {"transactional_message_id": delivery.get("transactional_message_id")}
