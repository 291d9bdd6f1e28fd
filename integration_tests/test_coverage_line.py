"""The coverage that `make test` prints: what counts as covered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness.suite import ROOT

CODE = """
def fast():
    return 1

def slow():
    return 2

def elsewhere():
    return 3
"""
TESTS = {
    "unit_tests/test_unit.py": """
import pytest, source_toy.code

def test_fast():
    assert source_toy.code.fast() == 1

@pytest.mark.slow
def test_slow():
    assert source_toy.code.slow() == 2
""",
    "unit_tests/test_beside.py": """
import source_toy.beside

def test_beside():
    assert source_toy.beside.number() == 4
""",
    "integration_tests/test_whole.py": """
import source_toy.code

def test_elsewhere():
    assert source_toy.code.elsewhere() == 3
""",
}
SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:]
import pytest
code = pytest.main(["-q", "-W", "error", "-n", "2", "--dist", "loadfile", "-p", "fast_coverage", "."])
import fast_coverage
print(fast_coverage.line(Path("measured"), fast_coverage.packages(Path.cwd())))
sys.exit(code)
"""


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A package of ten statements, two of them in a file that no test imports, and its four tests."""
    beside = "def number():\n    return 4\n"
    source = {"__init__.py": "", "code.py": CODE, "beside.py": beside, "other.py": "ONE = 1\nTWO = 2\n"}
    _write(tmp_path, **{f"source-toy/source_toy/{name}": text for name, text in source.items()}, **TESTS)
    # what a build of the package leaves behind
    _write(tmp_path, **{"source-toy/source_toy.egg-info/PKG-INFO": "", "pytest.ini": "[pytest]\nmarkers = slow\n"})
    return tmp_path


def test_the_share_is_that_of_the_fast_unit_tests_of_all_processes_in_all_files_of_the_package(toy: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(ROOT / "tools"), str(toy / "source-toy")]
    (toy / "measured").mkdir()
    # this test may run in a process of pytest-xdist, and the one that it starts is none
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment["COVERAGE_FOLDER"] = "measured"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=toy, env=environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    # four definitions and the bodies of two functions
    assert done.stdout.splitlines()[-1] == "lines covered by the fast unit tests: 60 % (source_toy 60 %)"
    assert {path.name for path in toy.iterdir()}.isdisjoint({".coverage"})
