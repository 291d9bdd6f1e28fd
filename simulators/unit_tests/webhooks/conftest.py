"""Small accounts, and senders that post to a scripted receiver until all is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from simulators.customerio import CustomerioSimulator
from simulators.pendo import PendoSimulator
from simulators.webhooks import signatures
from simulators.webhooks.connection import Target
from simulators.webhooks.customerio_events import CustomerioEvents
from simulators.webhooks.events import Event
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.pendo_events import PendoEvents
from simulators.webhooks.retries import CustomerioRetries, Retries
from simulators.webhooks.sender import Habits, Sending, Webhook

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests import `scripted_receiver` by its name

from scripted_receiver import Received, Receiver, Script, Send

SECRET = "signing-key"


@pytest.fixture(scope="session")
def workspace_simulator() -> CustomerioSimulator:
    """A tiny workspace."""
    return CustomerioSimulator(seed=1)


@pytest.fixture(scope="session")
def subscription_simulator() -> PendoSimulator:
    """A tiny subscription."""
    return PendoSimulator(seed=1)


@pytest.fixture
def customerio_events(workspace_simulator: CustomerioSimulator) -> Iterator[Event]:
    """Without end."""
    return iter(CustomerioEvents(workspace_simulator.workspace))


@pytest.fixture
def pendo_events(subscription_simulator: PendoSimulator) -> Iterator[Event]:
    """Without end."""
    return iter(PendoEvents(subscription_simulator.subscription))


@pytest.fixture
def send(customerio_events: Iterator[Event]) -> Send:
    """`send(script, count)`: posts so many events, gives what the receiver got and the ledger."""

    def run(
        script: Script,
        count: int,
        *,
        retries: Retries | None = None,
        habits: Habits | None = None,
        events: Iterator[Event] | None = None,
        sign: signatures.Sign = lambda _, body: signatures.customerio(SECRET, body),
    ) -> tuple[list[Received], Ledger]:
        with Receiver(script) as receiver:
            webhook = Webhook(
                islice(events or customerio_events, count),
                [Target.parse(receiver.url)],
                retries or CustomerioRetries(time_scale=36_000),
                sign,
                habits or Habits(),
            )
            ledger = Ledger()
            with Sending([webhook], ledger) as sending:
                assert sending.wait(20), ledger.summary()
        return receiver.posts, ledger

    return run
