"""A command that is started with stdin, stdout or stderr closed must not give their numbers to its own pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from source_kit.cli import open_standard_descriptors
open_standard_descriptors()
print("to nobody"); print("to nobody", file=sys.stderr)
sys.stdin.read(0)
os.write(int(sys.argv[1]), b"%d" % min(os.pipe()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ""])
def test_pipes_get_numbers_of_their_own(closed: str, tmp_path: Path) -> None:
    number = tmp_path / "number"
    command = [sys.executable, "-c", PROGRAM, "9"]
    subprocess.run(
        ["bash", "-c", f'exec 9>{number}; exec "$@" {closed}', "it", *command], check=True, capture_output=True
    )
    assert int(number.read_text()) > 2
