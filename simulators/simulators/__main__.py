"""`python -m simulators <vendor> [options]`: one simulated vendor in its own process.

A vendor is a package here. Its module `cli` has `add_arguments(parser)` and `run(args) -> int`, and its docstring is
the text of `--help`. Only the chosen vendor is imported, so the start of one does not wait for the packages of another.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

VENDORS = ("pendo", "customerio", "heap")

_DESCRIPTION = """\
Simulated vendors for the demo, the tests and the benchmarks. No account is needed.

  pendo        serves Pendo's API over HTTP on this machine
  customerio   serves Customer.io's App API over HTTP on this machine
  heap         writes Heap's dumps (manifests and Avro files) to an S3 bucket or a folder, and ends
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the vendor that the first argument names. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m simulators", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vendor", choices=VENDORS, help="`python -m simulators VENDOR --help` lists its options")
    vendor = parser.parse_args(arguments[:1]).vendor
    cli = importlib.import_module(f"simulators.{vendor}.cli")
    vendor_parser = argparse.ArgumentParser(
        prog=f"python -m simulators {vendor}",
        description=cli.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_arguments(vendor_parser)
    return int(cli.run(vendor_parser.parse_args(arguments[1:])))


if __name__ == "__main__":
    sys.exit(main())
