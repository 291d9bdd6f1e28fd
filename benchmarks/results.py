"""What a benchmark found, and the JSON files that keep it: one for each section, so that one can be measured anew.

`RESULTS.md` and the plots are drawn from these files only.
"""

from __future__ import annotations

import json
import os
import platform
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure import Cost

#: The order in RESULTS.md
SECTIONS = ("start", "pendo", "customerio", "heap", "webhooks")
_PACKAGES = ("airbyte-cdk", "orjson", "msgspec", "isal", "requests", "urllib3", "botocore", "cramjam", "fastavro")
#: Modules in C that are not built where there is no compiler
_COMPILED = ("source_heap.avro.native", "source_pendo.compiled.native", "source_customerio.compiled.native")


@dataclass(frozen=True)
class Goal:
    """A limit that a figure has to keep: at least, or `at_most`."""

    text: str
    reached: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it keeps the limit."""
        return self.reached <= self.limit if self.at_most else self.reached >= self.limit


@dataclass(frozen=True)
class Line:
    """A program in a table. `kind`: connector, floor, reference (the least for another format) or peer."""

    kind: str
    cost: Cost


@dataclass(frozen=True)
class Point:
    """One size on a curve. `requests` is None where nobody counted them."""

    series: str
    label: str
    x: int
    cost: Cost
    requests: int | None = None


@dataclass(frozen=True)
class Table:
    """Programs that read the same records."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Curve:
    """One program at several sizes. `about` is `memory` or `history`, `x` says what changes."""

    title: str
    about: str
    x: str
    points: Sequence[Point]


@dataclass
class Section:
    """What one benchmark found."""

    title: str
    tables: list[Table] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether all goals are met."""
        return all(goal.met for goal in self.goals)


def save(folder: Path, name: str, section: Section, *, quick: bool, repeat: int) -> None:
    """Writes the section with machine, date and versions."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "quick": quick,
        "repeat": repeat,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {package: version(package) for package in _PACKAGES},
    }
    goals = [{**asdict(goal), "met": goal.met} for goal in section.goals]
    document = {**about, **asdict(section), "goals": goals}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """The sections that were measured, in their order."""
    files = {name: folder / f"{name}.json" for name in SECTIONS}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def machine() -> str:
    """Processor, cores, interpreter and load of this machine, as one line."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in facts if line.startswith("model name")]
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    missing = [name for name in _COMPILED if find_spec(name) is None]
    slow = f", WITHOUT the compiled {' and '.join(missing)}" if missing else ""
    return (
        f"{os.cpu_count()} cores of {models[0] if models else platform.machine()}, {python} "
        f"{'with' if optimized else 'without'} profile-guided optimization{slow}, "
        f"load {os.getloadavg()[1]:.1f} at the end"
    )
