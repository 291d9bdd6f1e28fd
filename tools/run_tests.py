"""Runs the whole suite with what this machine has: `make test`.

Some tests need a server or an environment that a laptop may lack (a Docker engine, Ceph, PostgreSQL, PyAirbyte, Java
and more). Each has a pytest marker, Spark's have a folder; where a tool is missing its tests are not run, and the last
lines say so. On CI (`CI=true`) every tool must be there: the run fails before its first test, and it fails when a test
skips itself. The tests marked `soak` are for `make soak` and never run here.

There are several runs of pytest, each with its own summary: most tests, two at a time; what must not have a neighbor
(marker `alone`, most integration tests among them); Spark's tests, and some of them with the oldest Spark, both
in environments of their own. The last line has the sum of all.

Arguments are handed to pytest: `make test ARGS="-k pendo -x"`. Then no test runs beside another one, and coverage is
not measured: of a part of the tests it would mislead. With paths only their runs are there: `make test ARGS=spark`.
`--soak` as the first argument is `make soak`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fast_coverage
from java import NEEDED, has_java

ROOT = Path(__file__).resolve().parent.parent
SPARK_PYTHON, OLDEST_SPARK_PYTHON = ".cache/spark-venv/bin/python", ".cache/spark-oldest-venv/bin/python"
#: In the order of the run: the integration tests, some of which are long, stand before most others, so that both
#: processes end together
TESTS = (
    *("source-kit/unit_tests", "simulators/unit_tests", "test-kit/unit_tests", "integration_tests"),
    *("source-pendo/unit_tests", "source-customerio/unit_tests", "source-heap/unit_tests", "webhook-inlet/unit_tests"),
)
SPARK_TESTS = ("spark/unit_tests", "spark/integration_tests")
SOAK_TESTS = (
    "webhook-inlet/unit_tests",
    "source-heap/unit_tests",
    "integration_tests/webhooks",
    "integration_tests/fuzz",
)
#: pytest-xdist, with each file in one process and in the given order, and the coverage of both processes
TWO = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "fast_coverage")
#: pytest's exit code for a run without tests
NO_TESTS = 5
#: What the last line has in any case
ALWAYS = ("passed", "failed")
ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@dataclass(frozen=True)
class Tool:
    """What the tests with one marker need: how to find out whether it is there, and a command to run first."""

    marker: str
    needs: str
    is_here: Callable[[], bool]
    prepare: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """The sentence for a machine without it."""
        tests = "in spark/ and those marked `spark`" if self is SPARK else f"marked `{self.marker}`"
        return f"skipped because a tool is missing: tests {tests} need {self.needs}"


def _answers(*command: str) -> bool:
    """Whether a command exists and succeeds within a minute."""
    if shutil.which(command[0]) is None:
        return False
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _has_compiler() -> bool:
    """With one the set-up has built the modules in C."""
    return shutil.which("cc") is not None and (Path(sysconfig.get_path("include")) / "Python.h").exists()


def _has_docker() -> bool:
    return _answers("docker", "info")


def _has_ceph() -> bool:
    return all(shutil.which(name) for name in ("ceph", "ceph-mon", "ceph-osd", "radosgw"))


def _has_postgres() -> bool:
    """Debian keeps the server's programs off the PATH, one directory a version."""
    return shutil.which("initdb") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _has_python_of_clients() -> bool:
    """Not all clients install on Python 3.13; their environments are made where an older one is found."""
    return _answers("env", "PYTHON_MAX=3.12", str(ROOT / "tools" / "bootstrap.sh"), "python")


def _has_compose() -> bool:
    """Docker's plugin, or the older program of its own. Without an engine neither is of use."""
    return _has_docker() and (_answers("docker", "compose", "version") or _answers("docker-compose", "version"))


def _has_clang() -> bool:
    """Whether clang links a fuzzer with the sanitizers, which are in packages of their own."""
    fuzzer = "int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return data && size > 9; }"
    options = "-x c - -o /dev/null -fsanitize=fuzzer,address,undefined"
    return _answers("sh", "-c", f"echo '{fuzzer}' | clang {options}")


SPARK = Tool("spark", NEEDED, has_java, ("make", "spark-env", "spark-oldest-env"))
TOOLS = (
    Tool("compiler", "a C compiler and Python's headers (packages gcc, libc6-dev, libpython3-dev)", _has_compiler),
    Tool("docker", "a Docker engine", _has_docker, ("make", "images")),
    Tool("ceph", "Ceph (packages ceph-mon, ceph-osd, radosgw, ceph-common)", _has_ceph),
    Tool("postgres", "a PostgreSQL server (package postgresql)", _has_postgres),
    Tool("pyairbyte", "Python 3.11 or 3.12", _has_python_of_clients, ("make", "pyairbyte-env")),
    Tool("meltano", "Python 3.11 or 3.12", _has_python_of_clients, ("make", "meltano-env", "target-jsonl-env")),
    Tool("serverless", "Python 3.11 or 3.12", _has_python_of_clients, ("make", "serverless-env")),
    Tool("compose", "Docker Compose (package docker-compose)", _has_compose),
    Tool("nginx", "nginx (package nginx-light)", lambda: shutil.which("nginx") is not None),
    Tool(
        "kubernetes",
        "kubectl (package kubernetes-client)",
        lambda: shutil.which("kubectl") is not None,
        ("make", "kubernetes-env"),
    ),
    Tool("caddy", "Caddy, which `make caddy` installs", lambda: True, ("make", "caddy")),
    Tool("plots", "matplotlib, which `make plots-env` installs", lambda: True, ("make", "plots-env")),
    Tool("clang", "clang with libFuzzer and the sanitizers (packages clang, libclang-rt-dev)", _has_clang),
    Tool("browser", "Chromium (package chromium)", lambda: shutil.which("chromium") is not None),
)


@dataclass(frozen=True)
class Run:
    """One run of pytest: which Python, which tests, and pytest's other options."""

    name: str
    python: str
    expression: str
    paths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """How a run ended; `counts` is None if it broke off before its summary."""

    run: Run
    code: int
    counts: dict[str, int] | None


def asked(arguments: Sequence[str]) -> tuple[bool, bool]:
    """Whether these arguments are about the tests of this environment, and about Spark's."""
    paths, _ = split(arguments)
    about_spark = [Path(path).parts[0] == "spark" for path in paths]
    return not all(about_spark) or not paths, any(about_spark) or not paths


def chosen_runs(arguments: Sequence[str], missing: Sequence[Tool]) -> list[Run]:
    """The runs that the arguments ask for, on a machine without some tools."""
    paths, options = split(arguments)
    expression = " and ".join(f"not {marker}" for marker in ("soak", *(tool.marker for tool in missing)))
    here, spark = asked(arguments)
    runs = []
    if here and arguments:
        others = tuple(path for path in paths if Path(path).parts[0] != "spark")
        runs.append(Run("tests", sys.executable, expression, others, tuple(options)))
    elif here:
        slowest = "--durations=15"
        runs.append(Run("tests two at a time", sys.executable, f"{expression} and not alone", TESTS, (*TWO, slowest)))
        runs.append(Run("tests one at a time", sys.executable, f"{expression} and alone", (), (slowest,)))
    if spark and SPARK not in missing:
        folders = tuple(path for path in paths if Path(path).parts[0] == "spark") or SPARK_TESTS
        more = (*options, "--durations=10")
        runs.append(Run("Spark's tests", SPARK_PYTHON, "not soak", folders, more))
        runs.append(Run("tests of the oldest Spark", OLDEST_SPARK_PYTHON, "oldest and not soak", folders, more))
    return runs


def long_runs(arguments: Sequence[str], missing: Sequence[Tool]) -> list[Run]:
    """The runs of `make soak`."""
    options = ("--timeout", "3600", *arguments)
    runs = [Run("long tests", sys.executable, "soak", SOAK_TESTS, options)]
    if SPARK not in missing:
        runs.append(Run("Spark's long tests", SPARK_PYTHON, "soak", SPARK_TESTS, options))
    return runs


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The paths of tests among pytest's arguments, and all others."""
    takes_a_value = {"-k", "-m", "-n", "-p", "--deselect", "--ignore"}
    paths: list[str] = []
    others: list[str] = []
    for before, argument in zip(("", *arguments), arguments, strict=False):
        is_path = (
            before not in takes_a_value and not argument.startswith("-") and Path(argument.split("::")[0]).exists()
        )
        (paths if is_path else others).append(argument)
    return paths, others


def carry_out(run: Run, folder: Path) -> Result:
    """Runs pytest in a process of its own; the folder takes what the plugins write."""
    say(f"\n{run.name}:")
    counts = folder / "counts.json"
    counts.unlink(missing_ok=True)
    variables = {"SUITE_COUNTS": str(counts), "COVERAGE_FOLDER": str(folder)}
    command = [run.python, "tools/suite_report.py", "-m", run.expression, *run.options, *run.paths]
    code = subprocess.run(command, check=False, env={**os.environ, **variables}).returncode
    return Result(run, code, json.loads(counts.read_text(encoding="utf-8")) if counts.exists() else None)


def exit_code(codes: Sequence[int]) -> int:
    """The first failure's; `NO_TESTS` only if no run had any."""
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    return failed[0] if failed else (0 if 0 in codes else NO_TESTS)


def closing(results: Sequence[Result]) -> str:
    """The sum of all runs, in the words of pytest's summary."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.counts or {})
    more = [
        f"{count} {name}{'s' * (name == 'error' and count > 1)}"
        for name, count in total.items()
        if count and name not in ALWAYS
    ]
    broken = [f"the run of {result.run.name} broke off" for result in results if result.counts is None]
    return ", ".join([*(f"{total[name]} {name}" for name in ALWAYS), *more, *broken])


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    soak = arguments[:1] == ["--soak"]
    here, spark = asked(arguments)
    tools = [*(TOOLS if here and not soak else ()), *([SPARK] if spark else ())]
    missing = [tool for tool in tools if not tool.is_here()]
    skipped = [tool.missing for tool in missing]
    if ON_CI and missing:
        say("\n".join([*skipped, "on CI no test may be skipped"]))
        return 1
    if code := prepare(tool for tool in tools if tool.prepare and tool not in missing):
        return code
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # often 1,024, fewer than one run opens
    if 0 <= allowed < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if most < 0 else min(4096, most), most))
    runs = long_runs(arguments[1:], missing) if soak else chosen_runs(arguments, missing)
    with tempfile.TemporaryDirectory() as folder:
        results = [carry_out(run, Path(folder)) for run in runs]
        for line in skipped:
            say(line)
        if any(Path(folder).glob(".coverage.*")):
            say(fast_coverage.line(Path(folder), fast_coverage.packages(ROOT)))
    say(closing(results))
    return exit_code([result.code for result in results])


def prepare(tools: Iterable[Tool]) -> int:
    """Runs their commands; the exit code of the first that fails."""
    for tool in tools:
        began = time.monotonic()
        code = subprocess.run(tool.prepare, check=False).returncode
        if code:
            return code
        say(f"{' '.join(tool.prepare)}: {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
