"""The peers. Each is installed from the package index into its own environment, at a pinned version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure import Cost, ProgramFailed, measure
from results import Line, Section

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "peers"


def python_with(package: str, override: str = "") -> Path | None:
    """The Python of an environment with `package` (`name==version`). None if it cannot be installed.

    `override` replaces a requirement of the package that no index can fulfill.
    """
    folder = CACHE / package.replace("==", "-")
    python = folder / "bin" / "python"
    if (folder / ".installed").exists():
        return python
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    try:
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        # --no-config: the workspace's configuration excludes packages that the low-code CDK needs.
        install = [uv, "pip", "install", "-q", "--no-config", "--python", str(python), package]
        if override:
            (folder / "override.txt").write_text(override + "\n")
            install += ["--override", str(folder / "override.txt")]
        subprocess.run(install, check=True)
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    (folder / ".installed").touch()
    return python


def peer_line(
    section: Section,
    name: str,
    python: Path | None,
    command: Sequence[str],
    marker: bytes,
    records: int,
    env: Mapping[str, str] | None = None,
) -> Cost | None:
    """Measures a peer once and adds its line to the section's first table.

    None, and a note in the section, if it could not be installed or failed, or did not read all `records`.
    """
    if python is None:
        section.notes.append(f"{name} could not be installed, so it is not measured.")
        return None
    try:
        cost = measure(name, [str(python), *command], marker, dict(env or {}))
    except ProgramFailed as failure:
        section.notes.append(f"{failure}")
        return None
    if cost.records < records:
        section.notes.append(f"{name} emitted {cost.records:,} of {records:,} records.")
    section.tables[0] = type(section.tables[0])(section.tables[0].title, [*section.tables[0].lines, Line("peer", cost)])
    return cost
