"""Serves a simulated Pendo subscription over HTTP until it is stopped.

It answers Pendo's aggregation endpoint, the lists of pages, features, guides, track types, reports and segments, the
metadata schema, single visitors and accounts, and visitor histories. Put the printed address into the option `api_url`
of source-pendo. Requests to /_sim/ add faults, show the request log and change the data (simulators/README.md).
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from simulators.pendo.simulator import PendoSimulator
from simulators.pendo.sizes import DEFAULT_NOW, SIZES
from simulators.server import run_until_signal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m simulators pendo`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8101, help="port to listen on; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same data")
    parser.add_argument("--size", choices=sorted(SIZES), default="demo", help="amount of data")
    parser.add_argument(
        "--rows", type=int, default=0, help="for benchmarks: this many page events instead of the usual ones"
    )
    parser.add_argument("--rows-days", type=int, default=6, help="number of full days that hold the --rows")
    parser.add_argument("--now", type=_instant, default=DEFAULT_NOW, help="the simulated present: RFC 3339, or `real`")
    parser.add_argument("--time-zone", default="America/New_York", help="time zone of the subscription")
    parser.add_argument("--api-key", default="simulated-integration-key.us", help="the only valid integration key")
    parser.add_argument("--compress", action="store_true", help="compress answers with gzip if the client accepts it")


def _instant(text: str) -> datetime:
    if text == "real":
        # the full hour, so that two processes started in the same hour hold the same data
        return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None or instant.utcoffset() is None:
        message = "an instant needs its offset from UTC"
        raise argparse.ArgumentTypeError(message)
    return instant


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
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
