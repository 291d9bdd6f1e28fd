"""The packages with a module in C, as their pyproject.toml describes it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.suite import ROOT


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """The module in C of a package."""

    package: str
    described: dict[str, Any]
    """What setuptools is told of it."""

    @property
    def name(self) -> str:
        """As Python imports it."""
        return str(self.described["name"])

    @property
    def file(self) -> str:
        """Its path in a wheel, and below the package's folder."""
        return self.name.replace(".", "/") + ".abi3.so"

    @property
    def folder(self) -> Path:
        """The folder of the package."""
        return ROOT / self.package

    @property
    def read_by_the_compiler(self) -> set[str]:
        """Its sources and headers, below the package's folder."""
        return {*self.described["sources"], *self.described["depends"]}


def _modules() -> dict[str, CompiledModule]:
    found = {}
    for path in sorted(ROOT.glob("*/pyproject.toml")):
        tool = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]
        for described in tool.get("setuptools", {}).get("ext-modules", []):
            found[path.parent.name] = CompiledModule(path.parent.name, described)
    return found


#: By package
COMPILED = _modules()
