"""Serves a simulated Pendo subscription over HTTP until it is stopped.

It answers Pendo's aggregation endpoint, the lists of pages, features, guides, track types, reports and segments, the
metadata schema, single visitors, accounts and segments, visitor histories, guide histories, report results, bulk
deletions, and the check of the key. Put the printed address into the option `api_url` of source-pendo. Requests to
/_sim/ add faults, show the request log and change the data (simulators/README.md).

With --webhooks it also posts Pendo's webhooks about the same visitors, guides, pages and features.
"""

from __future__ import annotations

import argparse

from simulators.later import instant, later_option
from simulators.pendo.simulator import PendoSimulator
from simulators.pendo.sizes import DEFAULT_NOW, SIZES
from simulators.pendo.switches import RULES
from simulators.webhooks import options, pendo_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m simulators pendo`."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=8101, help="port to listen on (%(default)s); 0 takes a free one")
    add("--seed", type=int, default=1, help="the same seed gives the same data (%(default)s)")
    add("--size", choices=sorted(SIZES), default="demo", help="amount of data (%(default)s)")
    add("--rows", type=int, default=0, help="for benchmarks: this many page events instead of the usual ones")
    add("--rows-days", type=int, default=6, help="number of full days that hold the --rows (%(default)s)")
    add("--now", type=instant, default=DEFAULT_NOW, help="the simulated present: RFC 3339, or `real` (%(default)s)")
    later_option(parser)
    add("--time-zone", default="America/New_York", help="time zone of the subscription (%(default)s)")
    add("--api-key", default="simulated-integration-key.us", help="the only valid integration key (%(default)s)")
    rules_help = "`documented` enforces every rule of Pendo's API documentation, `observed` none (%(default)s)"
    add("--rules", choices=RULES, default="observed", help=rules_help)
    add("--compress", action="store_true", help="compress answers with gzip if the client accepts it")
    pendo_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    simulator = PendoSimulator(
        seed=args.seed,
        size=args.size,
        rows=args.rows,
        rows_days=args.rows_days,
        now=args.now,
        later=args.later,
        time_zone=args.time_zone,
        api_key=args.api_key,
        rules=args.rules,
        host=args.host,
        port=args.port,
        compress=args.compress,
    )
    simulator.prepare()
    return options.serve(args, simulator, lambda: pendo_options.webhooks(args, simulator.subscription))
