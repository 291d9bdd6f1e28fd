"""Events of a sender that follows Standard Webhooks. The id stands in the header `webhook-id`, not in the body."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from simulators.webhooks.events import Event, encoded


class StandardEvents:
    """Makes events without end, with `type`, `timestamp` and `data`, as the standard recommends."""

    def __init__(self, seed: int = 1) -> None:
        self._rng = random.Random(f"{seed}/webhooks")

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        rng = self._rng
        kind = rng.choice(("invoice.paid", "invoice.created", "user.deleted"))
        document = {
            "type": kind,
            "timestamp": datetime.now(UTC).isoformat(),
            "data": {"id": rng.getrandbits(62), "name": "Zoë ☃"},
        }
        return Event((f"msg_{rng.getrandbits(128):032x}",), kind, document, encoded(document, rng))
