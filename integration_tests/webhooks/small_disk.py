"""File systems of a few megabytes, in mounts that only one process sees."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def own_mounts() -> list[str]:
    """The command that gives a process mounts of its own: as root, else by a user namespace."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        probe = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
        if shutil.which("unshare") and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no permission to mount a file system: run as root, or allow user namespaces")
