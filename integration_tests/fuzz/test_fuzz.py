"""Fuzzing of the native modules: invented inputs for their C code, and damaged inputs that Python must read alike."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.building import CUSTOMERIO, FUZZ, HEAP, PENDO, NativeModule, sanitized_environment

pytestmark = pytest.mark.clang

MODULES = [pytest.param(module, id=module.package) for module in (HEAP, PENDO, CUSTOMERIO)]
#: Of each short form
SECONDS = int(os.environ.get("FUZZ_SECONDS", "8"))
DURATIONS = [
    pytest.param(SECONDS, id="short"),
    pytest.param(900, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
]


def fuzz(module: NativeModule, program: Path, folder: Path, seconds: int) -> tuple[int, str]:
    """Runs the fuzz target on the seeds and what it makes of them; exit code and output. Crashes stay in the folder."""
    (folder / "found").mkdir()
    limits = (
        f"-dict={module.tokens}",
        f"-max_len={module.longest_input}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        f"-max_total_time={seconds}",
    )
    # The kernel counts for a new program the peak memory of the process that started it, and libFuzzer goes by that
    # count. The shell starts it from a small process.
    shell = ("sh", "-c", '"$@"; exit $?', "sh")
    command = (*shell, program, *limits, f"-artifact_prefix={folder}/", folder / "found", module.seeds)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stderr


def compare(module: NativeModule, built: Path, folder: Path, seconds: int, seed: int = 1) -> tuple[int, str]:
    """Runs the comparison with Python on damaged inputs; exit code and output."""
    options = ["--seconds", str(seconds), "--seed", str(seed)]
    if module is HEAP:
        options += ["--folder", str(folder)]
    command = (sys.executable, FUZZ / "with_native.py", module.name, built, FUZZ / module.comparison, *options)
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=sanitized_environment()
    )
    return done.returncode, done.stdout + done.stderr


def with_fault(module: NativeModule, tmp_path: Path, name: str, right: str, wrong: str) -> Path:
    """A copy of a module's sources with one change."""
    sources = tmp_path / "native"
    shutil.copytree(module.sources, sources)
    text = (sources / name).read_text()
    assert text.count(right) == 1
    (sources / name).write_text(text.replace(right, wrong))
    return sources


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("seconds", DURATIONS)
def test_the_code_keeps_its_promises_on_invented_inputs(
    module: NativeModule, tmp_path: Path, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = fuzz(module, module.build_target(tmp_path), tmp_path, seconds)
    assert code == 0, f"{output[-8000:]}\nAdd the crash in {tmp_path} to {module.seeds} once it is repaired."
    done = re.search(r"^Done (\d+) runs", output, re.MULTILINE)
    assert done is not None
    assert int(done[1]) > len(list(module.seeds.iterdir()))
    with capsys.disabled():
        print(f"\n{module.target}: {done[1]} inputs")


@pytest.mark.parametrize(
    ("module", "outcomes"),
    [
        pytest.param(HEAP, {"broken", "decoded", "refused"}, id="source-heap"),
        pytest.param(PENDO, {"not UTF", "refused", "written"}, id="source-pendo"),
        pytest.param(CUSTOMERIO, {"decoded", "not JSON", "passed"}, id="source-customerio"),
    ],
)
@pytest.mark.parametrize("seconds", DURATIONS)
def test_damaged_inputs_are_read_as_python_reads_them(
    module: NativeModule, outcomes: set[str], tmp_path: Path, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = compare(module, module.build_module(tmp_path), tmp_path, seconds)
    assert code == 0, f"{output[-8000:]}\nA damaged file is in {tmp_path}."
    summary = output.strip().splitlines()[-1]
    assert set(re.findall(r"\d+ (broken\b|decoded|refused|written|passed|not UTF|not JSON)", summary)) == outcomes, (
        summary
    )
    with capsys.disabled():
        print(f"\n{module.comparison}: {summary}")


@pytest.mark.parametrize(
    ("module", "name", "right", "wrong", "message"),
    [
        pytest.param(
            HEAP,
            "reader.c",
            "size > (size_t)(reader->end - reader->at)",
            "size > (size_t)(reader->end - reader->at) + 1",
            "heap-buffer-overflow",
            id="heap-a-byte-too-far",
        ),
        pytest.param(
            HEAP, "arrays.c", "return (rows + 1) *", "return rows *", "heap-buffer-overflow", id="heap-an-end-too-far"
        ),
        pytest.param(HEAP, "json.c", "most = 0x9F;", "most = 0xBF;", "a line is JSON", id="heap-half-a-surrogate-pair"),
        pytest.param(
            PENDO, "values.c", "left < 6 ||", "left < 5 ||", "heap-buffer-overflow", id="pendo-a-byte-too-far"
        ),
        pytest.param(PENDO, "values.c", " || byte == '\\\\')", ")", "a record is JSON", id="pendo-a-lone-backslash"),
        pytest.param(
            CUSTOMERIO, "rows.c", "left < 6 ||", "left < 5 ||", "heap-buffer-overflow", id="customerio-a-byte-too-far"
        ),
        pytest.param(
            CUSTOMERIO,
            "rows.c",
            "is_zero && digits > 1",
            "is_zero && digits > 2",
            "a row is JSON",
            id="customerio-a-leading-zero",
        ),
    ],
)
def test_a_planted_fault_is_found_with_the_seeds(
    module: NativeModule, tmp_path: Path, name: str, right: str, wrong: str, message: str
) -> None:
    program = module.build_target(tmp_path, with_fault(module, tmp_path, name, right, wrong))
    code, output = fuzz(module, program, tmp_path, 30)
    assert code != 0
    assert message in output


@pytest.mark.parametrize(
    ("module", "name", "right", "wrong"),
    [
        pytest.param(HEAP, "values.c", "*point = '.'", "*point = '0'", id="heap-a-wrong-decimal"),
        pytest.param(HEAP, "arrays.c", "row, value->integer != 0)", "row, value->integer == 0)", id="heap-a-wrong-bit"),
        pytest.param(PENDO, "values.c", "name) > 0; place--", "name) < 0; place--", id="pendo-names-in-wrong-order"),
        pytest.param(CUSTOMERIO, "rows.c", "is_negative ? -size", "is_negative ? size", id="customerio-a-lost-minus"),
    ],
)
def test_a_planted_fault_is_found_by_comparison(
    module: NativeModule, tmp_path: Path, name: str, right: str, wrong: str
) -> None:
    built = module.build_module(tmp_path, with_fault(module, tmp_path, name, right, wrong))
    code, output = compare(module, built, tmp_path, 40)
    assert code != 0
    assert "differ" in output
