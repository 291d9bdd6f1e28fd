"""Senders of both vendors that post to inlets under test."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice

from simulators.customerio import CustomerioSimulator
from simulators.pendo import PendoSimulator
from simulators.webhooks.connection import Target
from simulators.webhooks.customerio_events import CustomerioEvents
from simulators.webhooks.events import Event
from simulators.webhooks.pendo_events import PendoEvents
from simulators.webhooks.retries import CustomerioRetries, PendoRetries, Retries
from simulators.webhooks.sender import Habits, Webhook
from webhooks.inlet_process import SIGN

#: Makes the vendor's hour 0.1 seconds
TIME_SCALE = 36_000


@cache
def _workspace() -> CustomerioSimulator:
    return CustomerioSimulator(seed=1)


@cache
def _subscription() -> PendoSimulator:
    return PendoSimulator(seed=1)


def events(source: str, seed: int = 1) -> Iterator[Event]:
    """Without end."""
    if source == "customerio":
        return iter(CustomerioEvents(_workspace().workspace, seed))
    return iter(PendoEvents(_subscription().subscription, seed))


def both(
    urls: dict[str, Sequence[str]], habits: Habits | None = None, *, seed: int = 1, count: int | None = None
) -> list[Webhook]:
    """A webhook of each vendor; `urls` has the addresses by source, several are replicas."""
    retries: dict[str, Retries] = {
        "customerio": CustomerioRetries(TIME_SCALE),
        "pendo": PendoRetries(1000, first_delay=0.05, factor=1),
    }
    return [
        Webhook(
            islice(events(source, seed), count),
            [Target.parse(url) for url in addresses],
            retries[source],
            SIGN[source],
            habits or Habits(parallel=8),
            seed,
        )
        for source, addresses in urls.items()
    ]


def request_of(url: str, source: str, body: bytes) -> bytes:
    """A signed request. The same body has the same id, also where the id stands in a header."""
    return Target.parse(url).request(body, SIGN[source](f"msg_{zlib.crc32(body)}", body))
