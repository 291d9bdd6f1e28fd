"""source-heap as pip installs it: with its module in C where a compiler is, and without it, but working, elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.suite import ROOT

MODULE = "source_heap/avro/native.abi3.so"


@dataclass(frozen=True, slots=True)
class Built:
    """What `uv build` made: the source distribution, the wheel that was built from it, and the wheel's contents."""

    source: Path
    wheel: Path
    unpacked: Path

    def decodes_with(self, decoder: str) -> None:
        """Reads a small file with the wheel in place of the package in this environment."""
        command = [sys.executable, ROOT / "tools" / "try_heap.py", decoder]
        environment = {**os.environ, "PYTHONPATH": str(self.unpacked)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
        assert (done.stdout, done.returncode) == (f"try_heap: the {decoder} decoder works\n", 0), done.stderr


def _built(folder: Path, **environment: str) -> Built:
    command = [
        ROOT / ".uv/bin/uv",
        "build",
        "--python",
        sys.executable,
        "--out-dir",
        folder,
        "--package",
        "source-heap",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **environment}, timeout=240
    )
    assert done.returncode == 0, done.stderr
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    shutil.unpack_archive(wheel, folder / "unpacked", "zip")
    return Built(source, wheel, folder / "unpacked")


@pytest.fixture(scope="module")
def without_compiler(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """As on a machine that has none."""
    return _built(tmp_path_factory.mktemp("without"), CC="/bin/false")


def test_without_a_compiler_the_package_installs_and_decodes_with_fastavro(without_compiler: Built) -> None:
    assert not (without_compiler.unpacked / MODULE).exists()
    without_compiler.decodes_with("reference")


@pytest.mark.compiler
def test_with_a_compiler_one_wheel_serves_every_python(tmp_path: Path) -> None:
    built = _built(tmp_path)

    assert "-cp311-abi3-" in built.wheel.name
    assert (built.unpacked / MODULE).is_file()
    built.decodes_with("native")


def test_the_source_distribution_has_every_file_that_the_compiler_reads(without_compiler: Built) -> None:
    project = tomllib.loads((ROOT / "source-heap/pyproject.toml").read_text(encoding="utf-8"))
    (module,) = project["tool"]["setuptools"]["ext-modules"]
    with tarfile.open(without_compiler.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {*module["sources"], *module["depends"]} <= names
    assert not any(name.endswith(".so") for name in names)
