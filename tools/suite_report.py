"""One of the runs of `make test`: pytest with itself as a plugin, `python tools/suite_report.py [arguments of pytest]`.

It writes how many tests passed, failed and so on into the file that SUITE_COUNTS names, as JSON. On CI (`CI=true`) a
skipped test fails the run; otherwise nobody would notice that a tool is gone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

#: As pytest's summary counts them
COUNTED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # with pytest-xdist, the process that has all reports
        config.pluginmanager.register(Counts(os.environ.get("SUITE_COUNTS")))
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            config.pluginmanager.register(SkipsFail())


class Counts:
    """Writes the counts of a run behind its end, in the numbers of pytest's summary."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._file:
            counts = {name: len(terminalreporter.getreports(name)) for name in COUNTED}
            Path(self._file).write_text(json.dumps(counts), encoding="utf-8")


class SkipsFail:
    """A skipped test fails the run, by its name."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.section("skipped tests, which fail the run on CI")
            for nodeid in self._skipped:
                terminalreporter.line(nodeid)


if __name__ == "__main__":
    sys.exit(pytest.main(["-p", "suite_report", *sys.argv[1:]]))
