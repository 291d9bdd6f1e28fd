"""`make test`: which runs there are, what their results add up to, and that a skipped test is no success on CI."""

from __future__ import annotations

import json
import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import java
import pytest
import run_tests
from harness.suite import ROOT

SUITE = """
import pytest

def test_one(): pass
def test_two(): pass
def test_wrong(): assert False
@pytest.mark.xfail
def test_known(): assert False
@pytest.fixture
def broken(): raise ValueError
def test_without_its_fixture(broken): pass
"""
SKIPPING = "import pytest\n\ndef test_good(): pass\n\ndef test_left_out(): pytest.skip('no tool')\n"
SKIPPED_FILE = "import pytest\n\npytest.importorskip('no_such_module')\n"


def _suite(folder: Path, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Two files of tests in two processes, as the unit tests are run."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_toy.py").write_text(text)
    (folder / "test_good.py").write_text("def test_good(): pass\n")
    command = [sys.executable, ROOT / "tools/suite_report.py", "-q", "-p", "xdist", "-n", "2"]
    environment = {
        **os.environ,
        "SUITE_COUNTS": str(folder / "counts"),
        "CI": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    environment |= variables
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment, timeout=60)


def _runs(*arguments: str, missing: list[run_tests.Tool] | None = None) -> dict[str, run_tests.Run]:
    return {run.name: run for run in run_tests.chosen_runs(arguments, missing or [])}


def test_every_test_is_in_one_run() -> None:
    two, alone, *sparks = _runs().values()

    assert (two.expression, alone.expression) == ("not soak and not alone", "not soak and alone")
    assert {"spark/unit_tests", "spark/integration_tests"} == set(sparks[0].paths) == set(sparks[1].paths)
    assert [run.options for run in (alone, *sparks)] == [("--durations=15",), ("--durations=10",), ("--durations=10",)]
    folders = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/unit_tests")} - {"spark/unit_tests"}
    assert set(two.paths) == folders | {"integration_tests"}
    assert alone.paths == ()  # all that pyproject.toml names


def test_integration_tests_that_may_have_neighbors_exist_under_one_name() -> None:
    listed = runpy.run_path(str(ROOT / "conftest.py"))["WITH_NEIGHBORS"]
    # without those of the packages that make pyairbyte-env installs
    names = [path.name for path in (ROOT / "integration_tests").rglob("test_*.py") if ".venv" not in path.parts]

    assert {name: names.count(name) for name in listed} == dict.fromkeys(listed, 1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-k", "spark"), {"tests": (), "Spark's tests": run_tests.SPARK_TESTS}),
        (("spark", "-x"), {"Spark's tests": ("spark",)}),
        (("-x", "integration_tests/test_docs.py::test_a"), {"tests": ("integration_tests/test_docs.py::test_a",)}),
        (("spark", "tools"), {"tests": ("tools",), "Spark's tests": ("spark",)}),
    ],
    ids=lambda value: " ".join(value),
)
def test_arguments_go_to_the_runs_that_they_are_about(
    arguments: tuple[str, ...], expected: dict[str, tuple[str, ...]]
) -> None:
    runs = _runs(*arguments)
    oldest = runs.pop("tests of the oldest Spark", None)

    assert {name: run.paths for name, run in runs.items()} == expected
    assert (oldest is not None) == ("Spark's tests" in expected)
    assert all(run.options[0] in arguments for run in runs.values() if "-" in "".join(arguments))


def test_a_missing_tool_takes_its_tests_away_and_no_others() -> None:
    docker = next(tool for tool in run_tests.TOOLS if tool.marker == "docker")
    runs = _runs(missing=[docker, run_tests.SPARK])

    assert [run.expression for run in runs.values()] == [
        "not soak and not docker and not spark and not alone",
        "not soak and not docker and not spark and alone",
    ]
    assert run_tests.SPARK.missing.endswith(
        "tests in spark/ and those marked `spark` need Java 17 or newer (package default-jre-headless)"
    )


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 5], 0), ([5, 5], 5), ([0, 1, 5], 1), ([5, 2], 2), ([0, -9], -9)]
)
def test_one_failed_run_fails_all(codes: list[int], code: int) -> None:
    assert run_tests.exit_code(codes) == code


def test_the_last_line_is_the_sum_of_all_runs(tmp_path: Path) -> None:
    done = _suite(tmp_path, SUITE)
    counts = json.loads((tmp_path / "counts").read_text())
    run = run_tests.Run("toys", "", "")
    one, broken = run_tests.Result(run, done.returncode, counts), run_tests.Result(run, -9, None)

    assert done.returncode == 1
    assert "1 failed, 3 passed, 1 xfailed, 1 error" in done.stdout
    assert run_tests.closing([one, one]) == "6 passed, 2 failed, 2 errors, 2 xfailed"
    assert run_tests.closing([one]) == "3 passed, 1 failed, 1 error, 1 xfailed"
    assert run_tests.closing([one, broken]).endswith(", the run of toys broke off")


@pytest.mark.parametrize("text", [SKIPPING, SKIPPED_FILE], ids=["a test", "a file"])
def test_what_is_skipped_fails_the_run_on_ci_only(tmp_path: Path, text: str) -> None:
    elsewhere = _suite(tmp_path, text)
    on_ci = _suite(tmp_path, text, CI="true")

    assert (elsewhere.returncode, on_ci.returncode) == (0, 1), on_ci.stdout
    assert "skipped tests, which fail the run on CI" in on_ci.stdout


@pytest.mark.parametrize(
    ("words", "version"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_402"', 8), ('openjdk version "25" 2025', 25)],
)
def test_the_version_of_java_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, version: int) -> None:
    program = tmp_path / "bin/java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert java.java_version() == version
    assert java.has_java() is (version >= 17)


def test_without_java_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    environment = {**os.environ, "JAVA_HOME": str(tmp_path)}
    command = [sys.executable, ROOT / "tools/java.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    assert done.returncode == 1
    assert done.stderr == "Spark needs Java 17 or newer (package default-jre-headless); found: none.\n"
