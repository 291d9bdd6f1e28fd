"""The coverage that `make test` prints: which lines the fast unit tests run in their own process.

It is a floor, not the whole truth. Tests marked slow and those of integration_tests run unmeasured: tracing makes a
test of the read path take half as long again, and some of them hold time and memory to a limit. Lines that only a
connector in a process of its own runs count as not covered.

`-p fast_coverage` measures in each process of pytest-xdist, and each writes a file into the folder that COVERAGE_FOLDER
names. `line` adds them up.
"""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Sequence
from pathlib import Path

import coverage
import pytest


def packages(root: Path) -> list[Path]:
    """The connectors' packages and the kit; not the folders `source_*.egg-info` that a build leaves beside them."""
    return sorted(path.parent for path in root.glob("source-*/source_*/__init__.py"))


class FastCoverage:
    """Measures the fast unit tests of one process, and the imports of the packages."""

    def __init__(self, folder: Path, measured: Sequence[Path]) -> None:
        # `source` counts files that no test imports, too
        self._coverage = coverage.Coverage(
            data_file=folder / f".coverage.{os.getpid()}", config_file=False, source=[str(path) for path in measured]
        )
        self._coverage.start()

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

    def pytest_sessionfinish(self) -> None:
        self._coverage.save()


def line(folder: Path, measured: Sequence[Path]) -> str:
    """The percentages, of each package and of all. Raises coverage.CoverageException without a measurement."""
    total = coverage.Coverage(data_file=folder / ".coverage", config_file=False)
    total.combine([str(folder)])

    def share(*paths: Path) -> float:
        return total.report(file=io.StringIO(), include=[f"{path}/*" for path in paths])

    shares = [f"{path.name} {share(path):.0f} %" for path in measured]
    return f"lines covered by the fast unit tests: {share(*measured):.0f} % ({', '.join(shares)})"


# As soon as pytest loads the plugin: the conftest.py files that it loads next import the packages. The process that
# only hands tests out to the others has nothing to measure.
_measured = None
if os.environ.keys() >= {"PYTEST_XDIST_WORKER", "COVERAGE_FOLDER"}:
    _measured = FastCoverage(Path(os.environ["COVERAGE_FOLDER"]), packages(Path.cwd()))


def pytest_configure(config: pytest.Config) -> None:
    if _measured is not None:
        config.pluginmanager.register(_measured)
