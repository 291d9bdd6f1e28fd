"""Builds source-heap's native decoder with clang's sanitizers, which stop the process at the first fault of memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "source-heap" / "native"
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


def fuzz_target(program: Path, native: Path = NATIVE) -> Path:
    """Builds the target of libFuzzer from the sources in `native`."""
    sources = [*(native / "fuzz").glob("*.c"), *_core(native)]
    _run(*_CLANG, "-fsanitize=fuzzer,address,undefined", f"-I{native}", *map(str, sources), "-lm", "-o", str(program))
    return program


def python_module(module: Path, native: Path = NATIVE) -> Path:
    """Builds the module of Python from the sources in `native`. It runs with `sanitized_environment` only."""
    include = sysconfig.get_paths()["include"]
    options = ("-fsanitize=address,undefined", "-shared-libasan", "-fPIC", "-shared", "-DPy_LIMITED_API=0x030B0000")
    sources = [native / "module.c", *_core(native)]
    _run(*_CLANG, *options, f"-I{include}", *map(str, sources), "-lm", "-o", str(module))
    return module


def sanitized_environment() -> Mapping[str, str]:
    """The environment of a Python that loads such a module: the sanitizer's library comes first. Python's own memory is
    the C library's, so that the sanitizer sees the ends of blocks; what Python keeps at its exit is no leak."""
    names = (f"libclang_rt.asan-{platform.machine()}.so", "libclang_rt.asan.so")  # by the version of clang
    paths = [_run("clang", f"-print-file-name={name}").strip() for name in names]
    library = next(path for path in paths if Path(path).is_absolute())
    options = {"ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc", "LD_PRELOAD": library}
    return {**os.environ, **options, "PYTHONPATH": str(ROOT / "integration_tests")}


def _core(native: Path) -> Sequence[Path]:
    """The sources of the package, without the module of Python."""
    pyproject = tomllib.loads((NATIVE.parent / "pyproject.toml").read_text())
    sources = pyproject["tool"]["setuptools"]["ext-modules"][0]["sources"]
    return [native / Path(source).name for source in sources if Path(source).name != "module.c"]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
