"""`make bench`: measures the connectors, the inlet, the floors and the peers, and writes RESULTS.md and the plots."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import report
import results
from plan import Plan

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> int:
    """Runs the chosen benchmarks. The exit code is 0 if all their goals are met, else 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers end, too
    options = arguments()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # programs start from compiled modules, as in the images
    plan = Plan(options.repeat or (1 if options.quick else 3), options.quick, options.peers)
    folder = options.out or (ROOT / ".cache" / "bench" if plan.quick else HERE)
    met = True
    for name in options.which or results.SECTIONS:
        section = importlib.import_module(name).run(plan)
        results.save(folder / "results", name, section, quick=plan.quick, repeat=plan.repeat)
        sys.stdout.write(report.section_text(results.load(folder / "results")[name]) + "\n")
        sys.stdout.flush()
        met = met and section.met
    write(folder, options.plots)
    return 0 if met or plan.quick else 1


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("which", nargs="*", choices=[*results.SECTIONS, []], help="the sections to measure; default: all")
    add("--repeat", type=int, help="runs of each (3); the run with the least CPU time counts")
    add("--quick", action="store_true", help="few rows, one run: shows that it works; written to .cache/bench")
    add("--out", type=Path, help="folder for RESULTS.md, results/ and plots/ instead of benchmarks/")
    add("--no-peers", dest="peers", action="store_false", help="without other programs, so without the package index")
    add("--plots", type=Path, metavar="PYTHON", help="a Python with matplotlib, which draws the plots")
    return parser.parse_args()


def write(folder: Path, python: Path | None) -> None:
    """Writes RESULTS.md, and the plots if there is a Python for them."""
    (folder / "RESULTS.md").write_text(report.document(results.load(folder / "results")))
    if python is not None:
        command = [str(python), str(HERE / "plots.py"), str(folder / "results"), str(folder / "plots")]
        subprocess.run(command, check=True)
    print(f"written: {folder / 'RESULTS.md'}")


if __name__ == "__main__":
    sys.exit(main())
