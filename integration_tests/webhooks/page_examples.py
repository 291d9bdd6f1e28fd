"""The examples of docs/webhooks.md."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "webhooks.md"
#: Where the commands of the workspace are
BIN = Path(sys.executable).parent
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str, page: Path = PAGE) -> list[str]:
    """The examples of a page in one language, in order."""
    return [textwrap.dedent(text) for found, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if found == kind]
