"""Runs the whole suite with what this machine has: `make test`.

Some integration tests need a server or an environment that a laptop may lack (a Docker engine, Ceph, PostgreSQL,
PyAirbyte and more). Each has a pytest marker; where a tool is missing its tests are not run, and the last lines say so.
On CI (`CI=true`) every tool must be there: the run fails before its first test, and it fails when a test skips itself.
The tests marked `soak` are for `make soak` and never run here.

The last line is the coverage of what ships, see `FastCoverage`.

Arguments are handed to pytest: `make test ARGS="-k pendo -x"`. Then coverage is not measured: of a part of the tests it
would mislead.
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parent.parent
ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@dataclass(frozen=True)
class Tool:
    """What the tests with one marker need: how to find out whether it is there, and a command to run first."""

    marker: str
    needs: str
    is_here: Callable[[], bool]
    prepare: tuple[str, ...] = ()


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


def _has_pyairbyte() -> bool:
    """PyAirbyte does not install on Python 3.13; its environment is made where an older one is found."""
    return _answers("env", "PYTHON_MAX=3.12", str(ROOT / "tools" / "bootstrap.sh"), "python")


def _has_compose() -> bool:
    """Docker's plugin, or the older program of its own. Without an engine neither is of use."""
    return _has_docker() and (_answers("docker", "compose", "version") or _answers("docker-compose", "version"))


def _has_clang() -> bool:
    """Whether clang links a fuzzer with the sanitizers, which are in packages of their own."""
    fuzzer = "int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return data && size > 9; }"
    options = "-x c - -o /dev/null -fsanitize=fuzzer,address,undefined"
    return _answers("sh", "-c", f"echo '{fuzzer}' | clang {options}")


TOOLS = (
    Tool("compiler", "a C compiler and Python's headers (packages gcc, libc6-dev, libpython3-dev)", _has_compiler),
    Tool("docker", "a Docker engine", _has_docker, ("make", "images")),
    Tool("ceph", "Ceph (packages ceph-mon, ceph-osd, radosgw, ceph-common)", _has_ceph),
    Tool("postgres", "a PostgreSQL server (package postgresql)", _has_postgres),
    Tool("pyairbyte", "Python 3.11 or 3.12", _has_pyairbyte, ("make", "pyairbyte-env")),
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


class SkipsFail:
    """On CI a skipped test fails the run; otherwise nobody would notice that a tool is gone."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("skipped tests, which fail the run on CI")
            for nodeid in self.skipped:
                terminalreporter.line(nodeid)


class FastCoverage:
    """Which lines of these packages the fast unit tests run, in this process: a floor, not the whole truth.

    The tests marked slow and those of integration_tests run unmeasured: tracing makes a test of the read path take half
    as long again, and some of them hold time and memory to a limit. Lines that only a connector in a process of its own
    runs count as not covered.
    """

    def __init__(self, packages: Sequence[Path]) -> None:
        self._packages = packages
        # `source` counts files that no test imports, too; in memory, so that no file stays behind
        self._coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(path) for path in packages])
        self._coverage.start()  # before the collection, which imports the packages

    def pytest_collection_finish(self) -> None:
        self._coverage.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if "unit_tests" not in item.path.parts or item.get_closest_marker("slow"):
            return (yield)
        self._coverage.start()
        try:
            return (yield)
        finally:
            self._coverage.stop()

    def line(self) -> str:
        """The percentages, of each package and of all."""
        shares = [f"{path.name} {self._share(path):.0f} %" for path in self._packages]
        total = self._share(*self._packages)
        return f"lines covered by the fast unit tests: {total:.0f} % ({', '.join(shares)})"

    def _share(self, *packages: Path) -> float:
        return self._coverage.report(file=io.StringIO(), include=[f"{path}/*" for path in packages])


def packages(root: Path) -> list[Path]:
    """The connectors' packages and the kit; not the folders `source_*.egg-info` that a build leaves beside them."""
    return sorted(path.parent for path in root.glob("source-*/source_*/__init__.py"))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    missing = [tool for tool in TOOLS if not tool.is_here()]
    skipped = [f"skipped because a tool is missing: tests marked `{tool.marker}` need {tool.needs}" for tool in missing]
    if ON_CI and missing:
        say("\n".join([*skipped, "on CI no test may be skipped"]))
        return 1
    for tool in TOOLS:
        if tool.prepare and tool not in missing:
            began = time.monotonic()
            code = subprocess.run(tool.prepare, check=False).returncode
            if code:
                return code
            say(f"{' '.join(tool.prepare)}: {time.monotonic() - began:.0f} s")
    options = ["-m", " and ".join(f"not {marker}" for marker in ("soak", *(tool.marker for tool in missing)))]
    measured = None if arguments else FastCoverage(packages(ROOT))
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # often 1,024, fewer than one run opens
    if 0 <= allowed < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if most < 0 else min(4096, most), most))
    plugins = [*([SkipsFail()] if ON_CI else []), *([measured] if measured else [])]
    code = int(pytest.main([*options, "--durations=15", *arguments], plugins=plugins))
    for line in skipped:
        say(line)
    if measured:
        say(measured.line())
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
