"""Customer.io's App API on loopback: `python -m simulators customerio`."""

from __future__ import annotations

import argparse

from simulators.customerio.options import Options
from simulators.customerio.simulator import API_KEYS, CustomerioSimulator
from simulators.customerio.workspace import SIZES
from simulators.server import run_until_signal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--region", choices=sorted(API_KEYS), default="US", help="each region takes its own key only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=sorted(SIZES), default="demo")
    parser.add_argument("--rows", type=int, help="number of deliveries, for benchmarks")
    parser.add_argument("--now", type=int, help="the simulated time in epoch seconds; default: the last full hour")
    parser.add_argument("--rate-limit", type=int, default=10, help="requests a second of one key; 0 switches it off")
    parser.add_argument("--gzip", action="store_true", help="compress answers where the client accepts it")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    simulator = CustomerioSimulator(
        region=args.region,
        seed=args.seed,
        size=args.size,
        rows=args.rows,
        now=args.now,
        options=Options(rate_limit=args.rate_limit),
        host=args.host,
        port=args.port,
        compress=args.gzip,
    )
    return run_until_signal(simulator)
