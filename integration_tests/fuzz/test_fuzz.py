"""Fuzzing of source-heap's native decoder: invented tables and blocks, and whole files that are damaged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.building import NATIVE, ROOT, fuzz_target, python_module, sanitized_environment

pytestmark = pytest.mark.clang

SEEDS = NATIVE / "fuzz" / "seeds"
#: Of each short form
SECONDS = int(os.environ.get("FUZZ_SECONDS", "20"))
DURATIONS = [
    pytest.param(SECONDS, id="short"),
    pytest.param(900, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fuzz target and the module of Python, both with sanitizers."""
    folder = tmp_path_factory.mktemp("built")
    fuzz_target(folder / "fuzz_rows")
    python_module(folder / "native.so")
    return folder


def fuzz_rows(program: Path, folder: Path, seconds: int) -> tuple[int, str]:
    """Runs the fuzz target on the seeds and what it makes of them; exit code and output. Crashes stay in the folder."""
    (folder / "found").mkdir()
    limits = (
        f"-dict={NATIVE}/fuzz/tokens.dict",
        "-max_len=600",
        "-timeout=20",
        "-rss_limit_mb=1024",
        f"-max_total_time={seconds}",
    )
    command = (program, *limits, f"-artifact_prefix={folder}/", folder / "found", SEEDS)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stderr


def fuzz_files(module: Path, folder: Path, seconds: int, seed: int = 1) -> tuple[int, str]:
    """Runs the comparison of decoders on invented files; exit code and output."""
    programs = [ROOT / "integration_tests" / "fuzz" / name for name in ("with_native.py", "mutated_files.py")]
    options = ("--folder", folder, "--seconds", str(seconds), "--seed", str(seed))
    command = (sys.executable, programs[0], module, programs[1], *options)
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=sanitized_environment()
    )
    return done.returncode, done.stdout + done.stderr


def with_fault(tmp_path: Path, name: str, right: str, wrong: str) -> Path:
    """A copy of the decoder's sources with one change."""
    native = tmp_path / "native"
    shutil.copytree(NATIVE, native)
    text = (native / name).read_text()
    assert text.count(right) == 1
    (native / name).write_text(text.replace(right, wrong))
    return native


@pytest.mark.parametrize("seconds", DURATIONS)
def test_the_decoder_keeps_its_promises_on_invented_tables_and_blocks(
    built: Path, tmp_path: Path, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = fuzz_rows(built / "fuzz_rows", tmp_path, seconds)
    assert code == 0, f"{output[-8000:]}\nAdd the crash in {tmp_path} to {SEEDS} once it is repaired."
    done = re.search(r"^Done (\d+) runs", output, re.MULTILINE)
    assert done is not None
    assert int(done[1]) > len(list(SEEDS.iterdir()))
    with capsys.disabled():
        print(f"\nfuzz_rows: {done[1]} inputs")


@pytest.mark.parametrize("seconds", DURATIONS)
def test_damaged_files_decode_as_the_reference_decoder_decodes_them(
    built: Path, tmp_path: Path, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = fuzz_files(built / "native.so", tmp_path, seconds)
    assert code == 0, f"{output[-8000:]}\nThe file is in {tmp_path}."
    summary = output.strip().splitlines()[-1]
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (broken\b|decoded|refused)", summary)}
    assert set(counts) == {"broken", "decoded", "refused"}, summary
    with capsys.disabled():
        print(f"\nmutated_files: {summary}")


PLANTED = [
    pytest.param(
        "reader.c",
        "size > (size_t)(reader->end - reader->at)",
        "size > (size_t)(reader->end - reader->at) + 1",
        "heap-buffer-overflow",
        id="a-byte-too-far",
    ),
    pytest.param("json.c", "character < 0x20 && SHORT", "character < 0x1F && SHORT", "a line is JSON", id="no-JSON"),
    pytest.param("json.c", "most = 0x9F;", "most = 0xBF;", "a line is JSON", id="half-a-surrogate-pair"),
    pytest.param("rows.c", "&& output_line_is_long(output)", "&& false", "keeps its limit", id="a-line-too-long"),
    pytest.param("output.c", "output->size + wanted + 1;", "output->size + 1;", "overflow", id="too-little-room"),
]


@pytest.mark.parametrize(("name", "right", "wrong", "message"), PLANTED)
def test_a_planted_fault_is_found_with_the_seeds(
    tmp_path: Path, name: str, right: str, wrong: str, message: str
) -> None:
    program = fuzz_target(tmp_path / "fuzz_rows", with_fault(tmp_path, name, right, wrong))
    code, output = fuzz_rows(program, tmp_path, 30)
    assert code != 0
    assert message in output


@pytest.mark.parametrize(
    ("name", "right", "wrong", "message"),
    [
        *PLANTED[:1],
        pytest.param("values.c", "memmove(point + 1", "memmove(point", "lines differ", id="a-wrong-decimal"),
    ],
)
def test_a_planted_fault_is_found_with_damaged_files(
    tmp_path: Path, name: str, right: str, wrong: str, message: str
) -> None:
    module = python_module(tmp_path / "native.so", with_fault(tmp_path, name, right, wrong))
    code, output = fuzz_files(module, tmp_path, 40)
    assert code != 0
    assert message in output
