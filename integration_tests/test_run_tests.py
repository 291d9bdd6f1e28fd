"""`make test`: which runs there are, what their results add up to, and what a missing tool and a skipped test mean."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import java
import machine
import pytest
import run_tests
from harness.suite import ROOT

SUITE = """
import pytest

def test_one(): pass
def test_two(): pass
def test_wrong(): assert False
@pytest.fixture
def broken(): raise ValueError
def test_without_its_fixture(broken): pass
"""
SKIPPING = "import pytest\n\ndef test_good(): pass\n\ndef test_left_out(): pytest.skip('no tool')\n"
SKIPPED_FILE = "import pytest\n\npytest.importorskip('no_such_module')\n"
#: A test that a tool is missing for, and one that needs nothing
NEEDY = """
import pytest

@pytest.fixture
def tool(): raise ValueError

@pytest.mark.docker
def test_with_an_engine(tool): pass
def test_without(): pass
"""


def _suite(folder: Path, text: str) -> run_tests.Result:
    """Two files of tests in two processes, as the tests are run."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_toy.py").write_text(text)
    (folder / "test_good.py").write_text("def test_good(): pass\n")
    toys = ("-c", str(folder / "pytest.ini"), "-n", "2", "--dist", "loadfile", str(folder))
    return run_tests.carry_out(run_tests.Run("toys", sys.executable, toys), folder)


def test_every_test_is_in_one_run() -> None:
    here, *sparks = [" ".join(run.arguments) for run in run_tests.chosen([])]

    folders = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/unit_tests")} - {"spark/unit_tests"}
    assert set(run_tests.TESTS) == folders | {"integration_tests"}
    assert here.startswith("-m not soak ")
    assert here.endswith(" ".join(run_tests.TESTS))
    assert all(run.endswith("spark/unit_tests spark/integration_tests") for run in sparks)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("-k spark", ["tests"]),
        ("integration_tests/test_docs.py::test_a -x", ["tests"]),
        ("spark -x", ["Spark's tests", "tests of the oldest Spark"]),
        ("spark/unit_tests/test_columns.py", ["Spark's tests", "tests of the oldest Spark"]),
        ("--soak -x", ["long tests", "Spark's long tests"]),
    ],
)
def test_arguments_go_to_the_runs_that_they_are_about(arguments: str, names: list[str]) -> None:
    runs = run_tests.chosen(arguments.split())

    assert [run.name for run in runs] == names
    assert ("images" in [target for tool in run_tests.needed(arguments.split()) for target in tool.prepare]) == (
        names == ["tests"]
    )
    handed_on = arguments.removeprefix("--soak ")
    assert all(handed_on in " ".join(run.arguments) for run in runs)


def test_a_missing_tool_skips_the_tests_that_need_it_with_a_sentence_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "docker").chmod(0o755)
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "test_needy.py").write_text(NEEDY)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "tools"),
    }
    command = [sys.executable, "-m", "pytest", "-rs"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=120
    )

    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "a tool is missing: tests marked `docker` need a Docker engine" in done.stdout


def test_a_program_in_an_environment_of_its_own_has_a_marker_of_its_name() -> None:
    clients = {path.parent.name for path in (ROOT / "integration_tests" / "clients").glob("*/pyproject.toml")}
    prepared = {tool.marker: tool.prepare for tool in machine.TOOLS}

    assert {client: prepared[client.replace("-", "_")] for client in clients} == {
        client: (f"{client}-env",) for client in clients
    }
    assert len(prepared) == len(machine.TOOLS)


def _results(*codes: int, skipped: int = 0) -> list[run_tests.Result]:
    counts = run_tests.Counter(passed=1, skipped=skipped)
    return [run_tests.Result(run_tests.Run("toys", "", ()), code, counts) for code in codes]


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 5], 0), ([5, 5], 5), ([0, 1, 5], 1), ([5, 2], 2), ([0, -9], -9)]
)
def test_one_failed_run_fails_all(codes: list[int], code: int) -> None:
    assert run_tests.exit_code(_results(*codes)) == code


def test_the_last_line_is_the_sum_of_all_runs(tmp_path: Path) -> None:
    one = _suite(tmp_path, SUITE)
    broken = run_tests.Result(one.run, -9, None)

    assert one.code == 1
    assert run_tests.closing([one, one]) == "6 passed, 2 failed, 2 errors"
    assert run_tests.closing([one, broken]).endswith(", the run of toys broke off")


@pytest.mark.parametrize("text", [SKIPPING, SKIPPED_FILE], ids=["a test", "a file"])
def test_what_is_skipped_fails_the_run_on_ci_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    results = [_suite(tmp_path, text)]
    for on_ci in (False, True):
        monkeypatch.setattr(run_tests, "ON_CI", on_ci)
        assert run_tests.exit_code(results) == on_ci
        words = ", on CI no test may be skipped" if on_ci else ""
        assert run_tests.closing(results).endswith(f" passed, 0 failed, 1 skipped{words}")


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
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=240)

    assert done.returncode == 1
    assert done.stderr == "Spark needs Java 17 or newer (package default-jre-headless); found: none.\n"
