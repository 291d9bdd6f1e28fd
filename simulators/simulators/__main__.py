"""`python -m simulators <vendor> [options]`: one simulated vendor as a process of its own.

A vendor is a package here with a module `cli` that has `add_arguments(parser)` and `run(args) -> int`. It is imported
only when it is asked for, so one vendor's dependencies never slow down another.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

VENDORS = ("pendo", "customerio", "heap")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the vendor that the first argument names; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m simulators", description="Simulated vendors on loopback.")
    parser.add_argument(
        "vendor", choices=VENDORS, help="which one; `python -m simulators VENDOR --help` lists its options"
    )
    vendor = parser.parse_args(arguments[:1]).vendor
    cli = importlib.import_module(f"simulators.{vendor}.cli")
    vendor_parser = argparse.ArgumentParser(prog=f"python -m simulators {vendor}", description=cli.__doc__)
    cli.add_arguments(vendor_parser)
    return int(cli.run(vendor_parser.parse_args(arguments[1:])))


if __name__ == "__main__":
    sys.exit(main())
