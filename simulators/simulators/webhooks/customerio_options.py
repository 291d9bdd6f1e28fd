"""The options of Customer.io's reporting webhooks, and their senders."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain

from simulators.customerio.workspace import Workspace
from simulators.webhooks import options, signatures
from simulators.webhooks.customerio_events import CustomerioEvents, test_event
from simulators.webhooks.events import Event
from simulators.webhooks.options import share, webhooks_of
from simulators.webhooks.retries import CustomerioRetries
from simulators.webhooks.sender import Habits, Webhook
from simulators.webhooks.signatures import Sign


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares all options of webhooks."""
    add = options.add_arguments(parser).add_argument
    add(
        "--first-delay", type=float, default=5.0, help="assumed: seconds before the second post after 503 (%(default)s)"
    )
    add("--sign-once", action="store_true", help="retries keep signature and time of the first post")
    add(
        "--mix", choices=("every", "usual"), default="every", help="every metric of the vendor, or common ones of email"
    )
    add("--odd", type=share, default=0.0, help="share of events with unknown type, no event_id, null ids or 2 MiB")
    add("--body-content", action="store_true", help="`sent` events have content and headers")
    add("--test-event", action="store_true", help="begin with the event of `Send Test`")


def webhooks(args: argparse.Namespace, workspace: Workspace) -> list[Webhook]:
    """The webhooks that the options describe."""
    retries = CustomerioRetries(time_scale=args.time_scale, first_delay=args.first_delay)

    def events() -> Iterator[Event]:
        made = CustomerioEvents(workspace, args.seed, mix=args.mix, odd=args.odd, with_content=args.body_content)
        return chain([test_event()] if args.test_event else [], made)

    def sign(secret: str) -> Sign:
        return lambda _, body: signatures.customerio(secret, body)

    return webhooks_of(args, events, sign, retries, b"Customer.io webhook", Habits(sign_again=not args.sign_once))
