"""A simulated Pendo subscription over HTTP."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from simulators.pendo.simulator import PendoSimulator
from simulators.pendo.sizes import DEFAULT_NOW, SIZES
from simulators.server import run_until_signal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m simulators pendo`."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8101, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=sorted(SIZES), default="demo")
    parser.add_argument(
        "--rows", type=int, default=0, help="benchmark: this many page events in place of the usual ones"
    )
    parser.add_argument("--rows-days", type=int, default=6, help="full days over which --rows are spread")
    parser.add_argument("--now", type=_instant, default=DEFAULT_NOW, help="simulated present: RFC 3339, or `real`")
    parser.add_argument("--time-zone", default="America/New_York", help="of the subscription")
    parser.add_argument("--api-key", default="simulated-integration-key.us", help="the key that is valid")
    parser.add_argument("--compress", action="store_true", help="answer with gzip where it is accepted")


def _instant(text: str) -> datetime:
    if text == "real":
        # a whole hour, so that two runs within it hold the same data
        return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None or instant.utcoffset() is None:
        message = "an instant needs its offset from UTC"
        raise argparse.ArgumentTypeError(message)
    return instant


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    simulator = PendoSimulator(
        seed=args.seed,
        size=args.size,
        rows=args.rows,
        rows_days=args.rows_days,
        now=args.now,
        time_zone=args.time_zone,
        api_key=args.api_key,
        host=args.host,
        port=args.port,
        compress=args.compress,
    )
    simulator.prepare()
    return run_until_signal(simulator)
