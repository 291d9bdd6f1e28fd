"""The package knows no connector and no simulator, and no connector is installed with it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "test-kit" / "test_kit").glob("[a-z]*.py"))


def test_no_module_imports_a_connector_or_a_simulator() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {MODULES}: importlib.import_module('test_kit.' + name)\n"
        "sys.exit(', '.join(name for name in sys.modules if name.startswith(('source_', 'simulators'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.strip() == ""
    assert len(MODULES) > 4


@pytest.mark.parametrize("connector", ["source-pendo", "source-customerio", "source-heap"])
def test_no_connector_depends_on_it_so_no_image_contains_it(connector: str) -> None:
    """The Dockerfile installs `uv sync --no-dev --package <connector>`: the closure in the lock."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    needs = {package["name"]: [part["name"] for part in package.get("dependencies", ())] for package in lock}
    shipped, left = set(), [connector]
    while left:
        name = left.pop()
        if name not in shipped:
            shipped.add(name)
            left += needs[name]
    assert "source-kit" in shipped
    assert not shipped & {"test-kit", "simulators", "duckdb"}
