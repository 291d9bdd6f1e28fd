"""Events of Pendo's webhooks, about the visitors, guides, pages and features that its simulated API shows.

Certain: the envelope, and `guideDisplayed`, `pollDisplayed`, `pollSubmitted`, `npsDisplayed`, `npsSubmitted` (vendor's
article, and Adobe's description of its Pendo source). Assumed: the names of the other events, where polls, NPS, pages,
features and track events keep their ids, that `accountId` is absent for a visitor without an account.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from simulators.pendo.definitions import Definition
from simulators.pendo.subscription import Subscription
from simulators.server import Row
from simulators.webhooks.events import Event, encoded

CATEGORIES = (
    "guideDisplayed",
    "pollDisplayed",
    "pollSubmitted",
    "npsDisplayed",
    "npsSubmitted",
    "trackEventReceived",
    "featureClicked",
    "pageLoaded",
    "visitorCreated",
    "accountCreated",
    "visitorUnsubscribed",
)
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
_FIREHOSE = 19
"""So many page loads follow each event of another category."""


class PendoEvents:
    """Makes events without end: each category in turn, with `firehose` mostly `pageLoaded`."""

    def __init__(
        self,
        subscription: Subscription,
        seed: int = 1,
        *,
        categories: Sequence[str] = CATEGORIES,
        firehose: bool = False,
    ) -> None:
        self._rng = random.Random(f"{seed}/webhooks")
        self._visitors = subscription.visitor_rows(anonymous=True)
        self._accounts = [row for row in subscription.accounts if row["accountId"]]
        self._apps = {row["id"]: row for row in subscription.app_rows()}
        self._definitions = subscription.definitions
        guides = self._definitions["guides"]
        self._polls = [guide for guide in guides if _poll(guide, "PickList")]
        self._nps = [guide for guide in guides if _poll(guide, "NPSRating")]
        names: Sequence[str] = categories
        if firehose:
            names = [name for category in categories for name in (category, *["pageLoaded"] * _FIREHOSE)]
        self._categories = itertools.cycle(names)
        self._make: dict[str, Callable[[], tuple[int, Row]]] = {
            "guideDisplayed": lambda: self._guide(self._definitions["guides"]),
            "pollDisplayed": lambda: self._poll_event(self._polls, "PickList", submitted=False),
            "pollSubmitted": lambda: self._poll_event(self._polls, "PickList", submitted=True),
            "npsDisplayed": lambda: self._poll_event(self._nps, "NPSRating", submitted=False),
            "npsSubmitted": lambda: self._poll_event(self._nps, "NPSRating", submitted=True),
            "trackEventReceived": self._track,
            "featureClicked": lambda: self._object("features", "featureId"),
            "pageLoaded": lambda: self._object("pages", "pageId"),
        }

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        name = next(self._categories)
        document = self._document(name)
        return Event((f"{name}:{document['uniqueId']}",), name, document, encoded(document, self._rng))

    def _document(self, name: str) -> Row:
        rng = self._rng
        app, properties = self._make.get(name, self._nothing)()
        visitor = rng.choice(self._visitors)
        account = ((visitor["metadata"] or {}).get("auto") or {}).get("accountid", "")
        if name == "accountCreated":
            account = rng.choice(self._accounts)["accountId"]
        found = self._apps[app]
        document: Row = {
            "event": name,
            "uniqueId": f"{rng.getrandbits(160):040x}",
            "timestamp": int(time.time()),
            "visitorId": visitor["visitorId"],
            "app": {"id": app, "name": found["displayName"], "platform": found["platform"]},
            "subscription": {"id": 4974163927498752, "name": "Example"},
            "userAgent": _AGENT,
            "properties": properties,
        }
        return document | ({"accountId": account} if account or rng.random() < 0.5 else {})

    def _nothing(self) -> tuple[int, Row]:
        return self._rng.choice(list(self._apps)), {}

    def _guide(self, guides: Sequence[Definition]) -> tuple[int, Row]:
        """The guide's definition is written into each event, with the names of its authors."""
        guide = self._rng.choice(guides)
        row = guide.row
        steps = [
            {"id": step["id"], "type": step["type"], "lastUpdatedAt": step["lastUpdatedAt"], "resetAt": step["resetAt"]}
            for step in row["steps"]
        ]
        definition = {name: row[name] for name in ("id", "name", "createdAt", "lastUpdatedAt")} | {
            "createdByUser": {"username": row["createdByUser"]["username"]},
            "lastUpdatedByUser": {"username": row["lastUpdatedByUser"]["username"]},
            "steps": steps,
        }
        return guide.app, {
            "guideId": row["id"],
            "guideStepId": self._rng.choice(steps)["id"],
            "language": self._rng.choice(("en-US", "de-DE", "ja-JP")),
            "guideProperties": definition,
        }

    def _poll_event(self, guides: Sequence[Definition], kind: str, *, submitted: bool) -> tuple[int, Row]:
        guide = self._rng.choice(guides)
        app, properties = self._guide([guide])
        poll = _poll(guide, kind)
        assert poll is not None
        properties |= {"pollId": poll["id"], "question": poll["question"]}
        if submitted:
            answers: list[Any] = list(range(11)) if kind == "NPSRating" else list(poll["idResponses"].values())
            properties["response"] = self._rng.choice(answers)
        return app, properties

    def _track(self) -> tuple[int, Row]:
        """The keys are the customer's own."""
        track = self._rng.choice(self._definitions["trackTypes"])
        own = {"Widget Name": "Straße ☃", "size": self._rng.randrange(10**17), "nested": {"a": [1, None, True]}}
        return track.app, {"trackTypeId": track.row["id"], "name": track.row["trackTypeName"], "properties": own}

    def _object(self, kind: str, column: str) -> tuple[int, Row]:
        found = self._rng.choice(self._definitions[kind])
        url = f"https://app.example.com/p/{self._rng.randrange(1000)}"
        return found.app, {column: found.row["id"], "name": found.row["name"], "url": url}


def _poll(guide: Definition, kind: str) -> Row | None:
    return next((poll for poll in guide.row["polls"] if poll["attributes"]["type"] == kind), None)
