"""The peers. Each is installed from the package index into its own environment, at a pinned version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "peers"


def python_with(package: str, *more: str) -> Path | None:
    """The Python of an environment with `package` (`name==version`). None if it cannot be installed."""
    folder = CACHE / package.replace("==", "-")
    python = folder / "bin" / "python"
    if python.exists():
        return python
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    try:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        # --no-config: the workspace's configuration excludes packages that the low-code CDK needs.
        install = [uv, "pip", "install", "-q", "--no-config", "--python", str(python), package, *more]
        subprocess.run(install, check=True)
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return python
