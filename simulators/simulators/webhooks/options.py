"""The options `--webhooks ...` that both vendors have, and the senders that they ask for."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from simulators.server import Simulator, run_until_signal, set_by_signal
from simulators.webhooks.connection import Target
from simulators.webhooks.events import Event
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.retries import Retries
from simulators.webhooks.sender import Habits, Sending, Webhook
from simulators.webhooks.signatures import Sign


def share(text: str) -> float:
    """A number from 0 to 1."""
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
    add("--lost-answers", type=share, default=0.0, help="share of posts whose connection is closed before the answer")
    add("--late-answers", type=share, default=0.0, help="share of posts whose answer counts as not come")
    return group


def webhooks_of(
    args: argparse.Namespace,
    events: Callable[[], Iterator[Event]],
    sign: Callable[[str], Sign],
    retries: Retries,
    agent: bytes,
    habits: Habits,
) -> list[Webhook]:
    """The webhooks that the options describe. `habits` has what only this vendor has."""
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
