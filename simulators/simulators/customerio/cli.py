"""Serves a simulated workspace of Customer.io over HTTP until it is stopped.

It answers the endpoints of the App API that source-customerio reads, with the vendor's rate limit, page tokens and
errors. Put the printed address into the connector's option `api_url`. Requests to /_sim/ add faults, show the request
log and change the data (simulators/README.md).

With --webhooks it also posts reporting webhooks about the same people and deliveries.
"""

from __future__ import annotations

import argparse

from simulators.customerio.options import Options
from simulators.customerio.simulator import API_KEYS, CustomerioSimulator
from simulators.customerio.workspace import SIZES
from simulators.later import later_option
from simulators.webhooks import customerio_options
from simulators.webhooks.options import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m simulators customerio`."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=0, help="port to listen on; 0, the default, takes a free one")
    add("--region", choices=sorted(API_KEYS), default="US", help="a region accepts its own key only (%(default)s)")
    add("--seed", type=int, default=1, help="the same seed gives the same data (%(default)s)")
    add("--size", choices=sorted(SIZES), default="demo", help="amount of data (%(default)s)")
    add("--rows", type=int, help="for benchmarks: this many deliveries")
    add("--now", type=int, help="the simulated present in seconds since 1970; without it the last full hour")
    later_option(parser)
    add("--rate-limit", type=int, default=10, help="requests a second (%(default)s); 0 means no limit")
    add("--gzip", action="store_true", help="compress answers with gzip if the client accepts it")
    customerio_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    simulator = CustomerioSimulator(
        region=args.region,
        seed=args.seed,
        size=args.size,
        rows=args.rows,
        now=args.now,
        later=args.later,
        options=Options(rate_limit=args.rate_limit),
        host=args.host,
        port=args.port,
        compress=args.gzip,
    )
    return serve(args, simulator, lambda: customerio_options.webhooks(args, simulator.workspace))
