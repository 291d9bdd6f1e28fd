"""The compiled module that these tests run is the one whose source is here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import source_heap.avro

FOLDER = Path(__file__).resolve().parent.parent
MODULE = Path(source_heap.avro.__file__).parent / "native.abi3.so"


def _read_by_the_compiler() -> set[Path]:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))
    (module,) = project["tool"]["setuptools"]["ext-modules"]
    return {FOLDER / name for name in (*module["sources"], *module["depends"])}


def test_every_source_is_declared_so_that_a_change_of_it_builds_the_module() -> None:
    """The fuzzers are programs of their own."""
    found = {path for path in (FOLDER / "native").glob("*.[ch]") if not path.name.startswith("fuzz")}

    assert found == _read_by_the_compiler()


def test_the_module_is_not_older_than_its_sources() -> None:
    if not MODULE.exists():
        pytest.skip("there was no C compiler when `tools/bootstrap.sh` ran")
    newer = {path.name for path in _read_by_the_compiler() if path.stat().st_mtime > MODULE.stat().st_mtime}

    assert newer == set(), "run tools/bootstrap.sh"
