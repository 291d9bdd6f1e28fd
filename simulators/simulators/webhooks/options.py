"""The options `--webhooks ...` of the simulators, and the senders that they ask for."""

from __future__ import annotations

import argparse
import random
import ssl
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from simulators.server import Simulator, run_until_signal, set_by_signal
from simulators.webhooks import signatures
from simulators.webhooks.connection import Target
from simulators.webhooks.customerio_events import CustomerioEvents, test_event
from simulators.webhooks.events import Event, in_arrays
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.pendo_events import CATEGORIES, PendoEvents
from simulators.webhooks.retries import CustomerioRetries, PendoRetries, Retries
from simulators.webhooks.sender import Habits, Sending, Webhook
from simulators.webhooks.signatures import Sign

if TYPE_CHECKING:
    from simulators.customerio.workspace import Workspace
    from simulators.pendo.subscription import Subscription


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        message = "a share is a number from 0 to 1"
        raise argparse.ArgumentTypeError(message)
    return value


def add_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declares the options that both vendors have. Returns their group."""
    group = parser.add_argument_group(
        "webhooks", "With --webhooks the events of this account are posted, too, while the API is served."
    )
    add = group.add_argument
    add("--webhooks", nargs="+", metavar="URL", help="where to post; each address is a webhook that gets all events")
    add("--replicas", action="store_true", help="the addresses are one receiver: each post goes to the next of them")
    add("--secret", nargs="+", default=["secret"], help="signing secret: one for all, or one for each address")
    add("--rate", type=float, default=1.0, help="events a second (%(default)s); 0 as fast as answers come")
    add("--events", type=int, help="post so many bodies, then print a summary; without it there is no end")
    add("--webhooks-only", action="store_true", help="do not serve the API, and end after --events")
    add("--parallel", type=int, default=1, help="posts at the same time to an address (%(default)s)")
    add("--new-connections", action="store_true", help="a connection for each post, instead of keeping it open")
    add("--ledger", type=Path, help="file that gets a JSON line for each event: ids, sha256, posts, when accepted")
    add("--ca-file", help="certificates to trust for https")
    add("--time-scale", type=float, default=1.0, help="divides the waits before retries: 3600 makes an hour a second")
    add("--encode-again", action="store_true", help="a retry has the same document in other bytes")
    add("--lost-answers", type=_share, default=0.0, help="share of posts whose connection is closed before the answer")
    add("--late-answers", type=_share, default=0.0, help="share of posts whose answer counts as not come")
    return group


def add_customerio_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of Customer.io's reporting webhooks."""
    add = add_arguments(parser).add_argument
    add(
        "--first-delay", type=float, default=5.0, help="assumed: seconds before the second post after 503 (%(default)s)"
    )
    add("--sign-once", action="store_true", help="retries keep signature and time of the first post")
    add(
        "--mix", choices=("every", "usual"), default="every", help="every metric of the vendor, or common ones of email"
    )
    add("--odd", type=_share, default=0.0, help="share of events with unknown type, no event_id, null ids or 2 MiB")
    add("--body-content", action="store_true", help="`sent` events have content and headers")
    add("--test-event", action="store_true", help="begin with the event of `Send Test`")


def add_pendo_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of Pendo's webhooks."""
    add = add_arguments(parser).add_argument
    add("--encoding", choices=signatures.ENCODINGS, default="hex", help="of the signature; `none` sends none")
    add("--retries", choices=("0", "3", "hour"), default="3", help="posts again after a failure (%(default)s)")
    add("--timeout", type=float, default=5.0, help="seconds that an answer may take (%(default)s)")
    add("--shuffled", type=int, default=0, help="send in random order among so many events")
    add("--duplicates", type=_share, default=0.0, help="share of accepted events that are posted again")
    add("--arrays", type=_share, default=0.0, help="share of bodies that are arrays of events")
    add("--categories", nargs="+", choices=CATEGORIES, default=CATEGORIES, metavar="NAME", help=", ".join(CATEGORIES))
    add("--firehose", action="store_true", help="mostly `pageLoaded`")


def customerio_webhooks(args: argparse.Namespace, workspace: Workspace) -> list[Webhook]:
    """The webhooks that the options describe."""
    retries = CustomerioRetries(time_scale=args.time_scale, first_delay=args.first_delay)

    def events() -> Iterator[Event]:
        made = CustomerioEvents(workspace, args.seed, mix=args.mix, odd=args.odd, with_content=args.body_content)
        return chain([test_event()] if args.test_event else [], made)

    def sign(secret: str) -> Sign:
        return lambda _, body: signatures.customerio(secret, body)

    return _webhooks(args, events, sign, retries, b"Customer.io webhook", Habits(sign_again=not args.sign_once))


def pendo_webhooks(args: argparse.Namespace, subscription: Subscription) -> list[Webhook]:
    """The webhooks that the options describe."""
    times = {"0": 0, "3": 3, "hour": None}[args.retries]
    retries = PendoRetries(times, args.time_scale, timeout=args.timeout)

    def events() -> Iterator[Event]:
        made = PendoEvents(subscription, args.seed, categories=args.categories, firehose=args.firehose)
        return in_arrays(made, args.arrays, random.Random(f"{args.seed}/arrays"))

    def sign(secret: str) -> Sign:
        return lambda _, body: signatures.pendo(secret, body, args.encoding)

    habits = Habits(duplicates=args.duplicates, shuffled=args.shuffled)
    return _webhooks(args, events, sign, retries, b"pendo", habits)


def _webhooks(
    args: argparse.Namespace,
    events: Callable[[], Iterator[Event]],
    sign: Callable[[str], Sign],
    retries: Retries,
    agent: bytes,
    habits: Habits,
) -> list[Webhook]:
    habits.rate, habits.parallel, habits.keep_alive = args.rate, args.parallel, not args.new_connections
    habits.encode_again = args.encode_again
    habits.lost_answers, habits.late_answers = args.lost_answers, args.late_answers
    targets = [Target.parse(url) for url in args.webhooks]
    groups: Sequence[Sequence[Target]] = [targets] if args.replicas else [[target] for target in targets]
    if len(args.secret) not in {1, len(groups)}:
        message = f"--secret has {len(args.secret)} values; give one for all, or one for each of {len(groups)} webhooks"
        raise SystemExit(message)
    secrets = args.secret * (len(groups) if len(args.secret) == 1 else 1)
    tls = ssl.create_default_context(cafile=args.ca_file) if args.ca_file else None
    return [
        Webhook(islice(events(), args.events), group, retries, sign(secret), habits, args.seed, agent, tls)
        for group, secret in zip(groups, secrets, strict=True)
    ]


def serve(args: argparse.Namespace, simulator: Simulator, webhooks: Callable[[], Sequence[Webhook]]) -> int:
    """Serves the API until SIGINT or SIGTERM, and posts beside it if `--webhooks` is given."""
    if not args.webhooks:
        return run_until_signal(simulator)
    with Ledger(args.ledger, keep=False) as ledger:
        sending = Sending(webhooks(), ledger, at_end=lambda: print(ledger.summary(), flush=True))
        if not args.webhooks_only:
            with sending:
                return run_until_signal(simulator)
        ended = set_by_signal()
        with sending:
            while not ended.is_set() and not sending.wait(0.1):
                pass
    return 0
