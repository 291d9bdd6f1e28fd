"""The examples of docs/webhooks.md."""

from __future__ import annotations

import re
import sys
import textwrap
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "webhooks.md"
#: Where the commands of the workspace are
BIN = Path(sys.executable).parent
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str, page: Path = PAGE) -> list[str]:
    """The examples of a page in one language, in order."""
    return [textwrap.dedent(text) for found, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if found == kind]


def get(port: int, path: str) -> bytes:
    """What a server on this machine answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        content: bytes = answer.read()
        return content
