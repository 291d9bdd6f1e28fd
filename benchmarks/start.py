"""The start of the commands: what `spec`, `check`, `discover` and an empty `read` cost before any row."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import customerio
import harness
import heap
import pendo
from harness import BIN, Reading
from measure import best, measure
from plan import Plan
from results import Goal, Line, Section, Table

SPEC_GOAL = 0.15
START_GOAL = 0.6
VERBS = ("spec", "check", "discover", "read")
#: No output counts as a record
NOTHING = b"\0"


def run(plan: Plan) -> Section:
    """Runs the benchmark."""
    section = Section("Start of the commands")
    lines = [
        Line("floor", best([measure("python -c pass", [sys.executable, "-c", "pass"], NOTHING) for _ in range(5)]))
    ]
    with readings() as found:
        for reading in found:
            empty = harness.write_json(reading.folder / "empty_catalog.json", {"streams": []})
            for verb in VERBS:
                command = [str(BIN / reading.connector), verb]
                command += ["--config", str(reading.config)] if verb != "spec" else []
                command += ["--catalog", str(empty)] if verb == "read" else []
                title = f"{reading.connector} {verb}{' without streams' if verb == 'read' else ''}"
                cost = best([measure(title, command, NOTHING) for _ in range(max(plan.repeat, plan.size(3, 1)))])
                lines.append(Line("connector", cost))
                if verb in ("spec", "read"):
                    limit = SPEC_GOAL if verb == "spec" else START_GOAL
                    section.goals.append(Goal(f"CPU seconds of {title}", cost.cpu, limit, at_most=True))
    section.tables.append(Table("CPU and wall seconds of a command", lines))
    section.notes.append("`check` and `discover` include their requests to the vendor, and what they decode.")
    return section


@contextmanager
def readings() -> Iterator[list[Reading]]:
    """The three connectors, each on a small simulated vendor."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        url = stack.enter_context(harness.simulator("pendo", "--size", "tiny", "--now", "real"))
        cio = stack.enter_context(harness.simulator("customerio", "--size", "tiny", "--rate-limit", "0"))
        bucket = stack.enter_context(heap.bucket("purchases", "dumps", "3"))
        yield [
            pendo.reading_of(url, folders[0], days=3),
            customerio.reading_of(cio, folders[1], customerio.STREAM),
            bucket,
        ]
