"""Builds the native modules with clang's sanitizers, which stop the process at the first fault of memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "integration_tests" / "fuzz"
_CLANG = (
    "clang",
    "-g",
    "-O1",
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-sanitize-recover=all",
    "-DFIRST_ROOM=64",
)


@dataclass(frozen=True)
class NativeModule:
    """A package's compiled module, its sources and its fuzzers."""

    #: The package's folder, and the module's whole name
    package: str
    name: str
    #: The target of libFuzzer, and the longest input that it tries. Bytes
    target: str
    longest_input: int
    #: The program in this folder that compares the module with Python
    comparison: str

    @property
    def sources(self) -> Path:
        return ROOT / self.package / "native"

    @property
    def seeds(self) -> Path:
        return self.sources / "fuzz" / "seeds"

    @property
    def tokens(self) -> Path:
        return self.sources / "fuzz" / "tokens.dict"

    def build_target(self, folder: Path, sources: Path | None = None) -> Path:
        """Builds the target of libFuzzer, from other sources if they are given."""
        sources, program = sources or self.sources, folder / self.target
        files = [sources / "fuzz" / f"{self.target}.c", FUZZ / "json_check.c", *self._core(sources)]
        options = ("-fsanitize=fuzzer,address,undefined", f"-I{sources}", f"-I{FUZZ}")
        _run(*_CLANG, *options, *map(str, files), "-lm", "-o", str(program))
        return program

    def build_module(self, folder: Path, sources: Path | None = None) -> Path:
        """Builds the module of Python. It runs with `sanitized_environment` only."""
        sources, module = sources or self.sources, folder / f"{self.package}.so"
        include = sysconfig.get_paths()["include"]
        options = ("-fsanitize=address,undefined", "-shared-libasan", "-fPIC", "-shared", "-DPy_LIMITED_API=0x030B0000")
        files = [sources / "module.c", *self._core(sources)]
        _run(*_CLANG, *options, f"-I{include}", *map(str, files), "-lm", "-o", str(module))
        return module

    def _core(self, sources: Path) -> Sequence[Path]:
        """The sources without the module of Python."""
        pyproject = tomllib.loads((ROOT / self.package / "pyproject.toml").read_text())
        [module] = pyproject["tool"]["setuptools"]["ext-modules"]
        return [sources / Path(source).name for source in module["sources"] if Path(source).name != "module.c"]


HEAP = NativeModule("source-heap", "source_heap.avro.native", "fuzz_rows", 600, "mutated_files.py")
PENDO = NativeModule("source-pendo", "source_pendo.compiled.native", "fuzz_records", 1200, "mutated_rows.py")
CUSTOMERIO = NativeModule("source-customerio", "source_customerio.compiled.native", "fuzz_cut", 800, "mutated_lists.py")


def sanitized_environment() -> Mapping[str, str]:
    """The environment of a Python that loads such a module: the sanitizer's library comes first. Python's own memory is
    the C library's, so that the sanitizer sees the ends of blocks; what Python keeps at its exit is no leak."""
    names = (f"libclang_rt.asan-{platform.machine()}.so", "libclang_rt.asan.so")  # by the version of clang
    paths = [_run("clang", f"-print-file-name={name}").strip() for name in names]
    library = next(path for path in paths if Path(path).is_absolute())
    options = {"ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc", "LD_PRELOAD": library}
    return {**os.environ, **options, "PYTHONPATH": str(ROOT / "integration_tests")}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
