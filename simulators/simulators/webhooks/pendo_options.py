"""The options of Pendo's webhooks, and their senders."""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

from simulators.pendo.subscription import Subscription
from simulators.webhooks import options, signatures
from simulators.webhooks.events import Event, in_arrays
from simulators.webhooks.options import share, webhooks_of
from simulators.webhooks.pendo_events import CATEGORIES, PendoEvents
from simulators.webhooks.retries import PendoRetries
from simulators.webhooks.sender import Habits, Webhook
from simulators.webhooks.signatures import Sign


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares all options of webhooks."""
    add = options.add_arguments(parser).add_argument
    add("--encoding", choices=signatures.ENCODINGS, default="hex", help="of the signature; `none` sends none")
    add("--retries", choices=("0", "3", "hour"), default="3", help="posts again after a failure (%(default)s)")
    add("--timeout", type=float, default=5.0, help="seconds that an answer may take (%(default)s)")
    add("--shuffled", type=int, default=0, help="send in random order among so many events")
    add("--duplicates", type=share, default=0.0, help="share of accepted events that are posted again")
    add("--arrays", type=share, default=0.0, help="share of bodies that are arrays of events")
    add("--categories", nargs="+", choices=CATEGORIES, default=CATEGORIES, metavar="NAME", help=", ".join(CATEGORIES))
    add("--firehose", action="store_true", help="mostly `pageLoaded`")


def webhooks(args: argparse.Namespace, subscription: Subscription) -> list[Webhook]:
    """The webhooks that the options describe."""
    times = {"0": 0, "3": 3, "hour": None}[args.retries]
    retries = PendoRetries(times, args.time_scale, timeout=args.timeout)

    def events() -> Iterator[Event]:
        made = PendoEvents(subscription, args.seed, categories=args.categories, firehose=args.firehose)
        return in_arrays(made, args.arrays, random.Random(f"{args.seed}/arrays"))

    def sign(secret: str) -> Sign:
        return lambda _, body: signatures.pendo(secret, body, args.encoding)

    habits = Habits(duplicates=args.duplicates, shuffled=args.shuffled)
    return webhooks_of(args, events, sign, retries, b"pendo", habits)
