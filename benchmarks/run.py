"""`make bench`: measures records per CPU second of the connectors, the inlet, the floors and other programs."""

from __future__ import annotations

import argparse
import importlib
import sys

BENCHMARKS = ("pendo", "customerio", "heap", "webhooks")


def main() -> int:
    """Runs the chosen benchmarks. The exit code is 0 if all goals are met, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*BENCHMARKS, []], help="the connectors to measure; default: all")
    parser.add_argument(
        "--repeat", type=int, default=3, help="runs of each (%(default)s); the run with the least CPU time counts"
    )
    options = parser.parse_args()
    met = [importlib.import_module(name).run(options.repeat) for name in options.which or BENCHMARKS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
