"""`make bench`: records per CPU second of every connector, beside the floor and its peers, in one run."""

from __future__ import annotations

import argparse
import importlib
import sys

BENCHMARKS = ("pendo", "customerio", "heap")


def main() -> int:
    """Runs the chosen benchmarks; the exit code says whether all goals were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*BENCHMARKS, []], help="all when none is named")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the one with the least CPU time counts")
    options = parser.parse_args()
    met = [importlib.import_module(name).run(options.repeat) for name in options.which or BENCHMARKS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
