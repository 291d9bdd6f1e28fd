"""If stdin, stdout or stderr is closed, the command does not give its number to a pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from source_kit.cli import open_standard_descriptors
open_standard_descriptors()
print("unread"); print("unread", file=sys.stderr)
sys.stdin.read(0)
os.write(int(sys.argv[1]), b"%d" % min(os.pipe()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ""])
def test_pipes_do_not_get_the_numbers_of_standard_descriptors(closed: str, tmp_path: Path) -> None:
    number = tmp_path / "number"
    command = [sys.executable, "-c", PROGRAM, "9"]
    subprocess.run(
        ["bash", "-c", f'exec 9>{number}; exec "$@" {closed}', "it", *command], check=True, capture_output=True
    )
    assert int(number.read_text()) > 2
