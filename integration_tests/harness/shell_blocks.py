"""The shell commands in the pages: those in fenced blocks that name no language, or a shell."""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.suite import ROOT

_BLOCK = re.compile(
    r"^(?:<!-- run by (?P<test>\S+) -->\n)? *```(?:sh|bash|shell|console)?\n(?P<text>.*?)^ *```$", re.M | re.S
)
_OTHER = re.compile(r"^ *```\w+\n.*?^ *```$", re.MULTILINE | re.DOTALL)
_SHELLS = re.compile(r" *```(?:sh|bash|shell|console)\n")


@dataclass(frozen=True)
class Block:
    """A block's commands, in order, and the test that runs them, where the line above the block names one."""

    page: str
    test: str | None
    commands: tuple[str, ...]


def pages() -> list[Path]:
    """The READMEs and the pages of docs/."""
    patterns = ("README.md", "*/README.md", "simulators/simulators/*/README.md", "docs/*.md")
    return sorted(page for pattern in patterns for page in ROOT.glob(pattern))


def blocks(page: Path) -> list[Block]:
    """The blocks of a page."""
    text = _OTHER.sub(lambda found: found[0] if _SHELLS.match(found[0]) else "", page.read_text(encoding="utf-8"))
    name = str(page.relative_to(ROOT))
    return [
        Block(name, found["test"], tuple(commands(textwrap.dedent(found["text"])))) for found in _BLOCK.finditer(text)
    ]


def commands(text: str) -> Iterator[str]:
    """The commands of a script, each with its continuation lines. One without an end is an error."""
    command = ""
    for line in text.splitlines():
        command += f"{line}\n"
        if command.strip() and _is_whole(command):
            yield command.strip()
            command = ""
    assert not command.strip(), f"a command without an end: {command}"


def _is_whole(command: str) -> bool:
    if command.endswith("\\\n"):
        return False
    read = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
    return read.returncode == 0 and not read.stderr  # a here-document without its end is a warning
