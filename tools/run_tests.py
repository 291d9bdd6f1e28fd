"""Runs the whole suite with what this machine has: `make test`.

It prepares what the tests need (images, environments of other programs) and runs pytest several times, each run with
its own summary: the tests, on all cores; Spark's tests, and some of them with the oldest Spark, both in environments
of their own. The last line has the sum of all.

`tools/machine.py` lists what tests need of a machine. Where a tool is missing its tests are skipped, and the summary
says so. On CI (`CI=true`) every tool must be there: the run fails before its first test, and it fails when a test is
skipped. The tests marked `soak` are for `make soak`, which is `--soak` as the first argument, and never run here.

Other arguments are pytest's, for one run in one process and without coverage, which would mislead:
`make test ARGS="-k pendo -x"`. If the first lies in spark/, Spark's tests run, with both versions, and no others:
`make test ARGS=spark`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import fast_coverage
from machine import ROOT, SPARK, TOOLS, Tool

SPARK_PYTHON, OLDEST_SPARK_PYTHON = ".cache/spark-venv/bin/python", ".cache/spark-oldest-venv/bin/python"
#: Long files first, so that all processes end together
TESTS = (
    *("integration_tests", "source-heap/unit_tests", "source-customerio/unit_tests", "source-pendo/unit_tests"),
    *("webhook-inlet/unit_tests", "source-kit/unit_tests", "simulators/unit_tests", "test-kit/unit_tests"),
)
SPARK_TESTS = ("spark/unit_tests", "spark/integration_tests")
SOAK_TESTS = (
    *("webhook-inlet/unit_tests", "source-heap/unit_tests"),
    *("integration_tests/webhooks", "integration_tests/resilience", "integration_tests/fuzz"),
)
#: pytest-xdist: a file stays in one process, which makes what its tests share once, and files start in the given order.
#: At most eight processes: each starts simulators and servers of its own, which take memory
PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile", "--no-loadscope-reorder")
#: pytest's exit code for a run without tests
NO_TESTS = 5
ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@dataclass(frozen=True)
class Run:
    """One run of pytest: which Python, and pytest's arguments."""

    name: str
    python: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """How a run ended; `counts` is None if it broke off before its summary."""

    run: Run
    code: int
    counts: Counter[str] | None


def chosen(arguments: Sequence[str]) -> list[Run]:
    """The runs that the arguments ask for."""
    soak, spark = arguments[:1] == ["--soak"], bool(arguments) and Path(arguments[0]).parts[:1] == ("spark",)
    if soak:
        long = ("-m", "soak", "--timeout", "3600", *arguments[1:])
        here = [Run("long tests", sys.executable, (*long, *SOAK_TESTS))]
        return [*here, Run("Spark's long tests", SPARK_PYTHON, (*long, *SPARK_TESTS))]
    if spark or not arguments:
        more = ("--durations=10", *(arguments or SPARK_TESTS))
        sparks = [
            Run("Spark's tests", SPARK_PYTHON, ("-m", "not soak", *more)),
            Run("tests of the oldest Spark", OLDEST_SPARK_PYTHON, ("-m", "oldest and not soak", *more)),
        ]
        if spark:
            return sparks
        options = ("-m", "not soak", "--durations=20", *PARALLEL, "-p", "fast_coverage")
        return [Run("tests on all cores", sys.executable, (*options, *TESTS)), *sparks]
    return [Run("tests", sys.executable, ("-m", "not soak", *arguments))]


def carry_out(run: Run, folder: Path) -> Result:
    """Runs pytest in a process of its own; the folder takes what the plugins write."""
    say(f"\n{run.name}:")
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [run.python, "-m", "pytest", "-rs", f"--junitxml={report}", *run.arguments]
    variables = {"COVERAGE_FOLDER": str(folder)} if "fast_coverage" in run.arguments else {}
    code = subprocess.run(command, check=False, env={**os.environ, **variables}).returncode
    return Result(run, code, counted(report) if report.exists() else None)


def counted(report: Path) -> Counter[str]:
    """How many tests passed, failed and so on, from pytest's report in JUnit's format."""
    counts: Counter[str] = Counter()
    for suite in ElementTree.parse(report).iter("testsuite"):  # noqa: S314 - pytest has just written it
        failed, errors, skipped = (int(suite.get(name, 0)) for name in ("failures", "errors", "skipped"))
        passed = int(suite.get("tests", 0)) - failed - errors - skipped
        counts.update({"passed": passed, "failed": failed, "errors": errors, "skipped": skipped})
    return counts


def exit_code(results: Sequence[Result]) -> int:
    """The first failure's; `NO_TESTS` only if no run had any. On CI a skipped test is a failure."""
    codes = [result.code for result in results]
    if ON_CI:
        codes += [1 for result in results if result.counts and result.counts["skipped"]]
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    return failed[0] if failed else (0 if 0 in codes else NO_TESTS)


def closing(results: Sequence[Result]) -> str:
    """The sum of all runs."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.counts or {})
    counts = [f"{total[name]} {name}" for name in ("passed", "failed")]
    counts += [f"{total[name]} {name}" for name in ("errors", "skipped") if total[name]]
    broken = [f"the run of {result.run.name} broke off" for result in results if result.counts is None]
    fails = ["on CI no test may be skipped"] if ON_CI and total["skipped"] else []
    return ", ".join([*counts, *broken, *fails])


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def needed(arguments: Sequence[str]) -> list[Tool]:
    """The tools of the tests that the arguments ask for."""
    markers = {"--soak": ("spark", "caddy"), "spark": ("spark",)}.get(arguments[0].split("/")[0] if arguments else "")
    return [tool for tool in TOOLS if markers is None or tool.marker in markers]


def prepare(tools: Sequence[Tool]) -> int:
    """Makes what their tests need and this machine can have; the exit code of the first that fails."""
    for target in [target for tool in tools if tool.is_here for target in tool.prepare]:
        began = time.monotonic()
        if code := subprocess.run(["make", "--no-print-directory", target], check=False).returncode:
            return code
        say(f"make {target}: {time.monotonic() - began:.0f} s")
    return 0


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    runs, tools = chosen(arguments), needed(arguments)
    if ON_CI and (missing := [f"a tool is missing: {tool.needs}" for tool in tools if not tool.is_here]):
        say("\n".join([*missing, "on CI no test may be skipped"]))
        return 1
    lines = []
    if not SPARK.is_here and any(run.python != sys.executable for run in runs):
        lines = [f"not run because a tool is missing: the tests in spark/ need {SPARK.needs}"]
        runs = [run for run in runs if run.python == sys.executable]
    if code := prepare(tools):
        return code
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # often 1,024, fewer than one run opens
    if 0 <= allowed < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if most < 0 else min(4096, most), most))
    with tempfile.TemporaryDirectory() as folder:
        results = [carry_out(run, Path(folder)) for run in runs]
        if any(Path(folder).glob(".coverage.*")):
            lines.append(fast_coverage.line(Path(folder), fast_coverage.packages(ROOT)))
    say("\n".join([*lines, closing(results)]))
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
