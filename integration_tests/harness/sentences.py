"""Sentences that a user may meet, taken from the source, and how a page shows them.

Any text of a package that reads as a whole sentence counts. Where a value is filled in, the page has `{...}` or an
example.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Stands for what is filled into a sentence
VALUE = "\0"
#: Shorter texts are parts of sentences
_SENTENCE_LENGTH = 20


def sentences(package: str, unused: Sequence[str] = ()) -> Iterator[str]:
    """Every text in a package that begins and ends like a sentence, with `VALUE` for what is filled in."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.relative_to(ROOT / package).as_posix().startswith(tuple(unused)):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = _text(node)
            if text and id(node) not in inside | documentation and _is_sentence(text):
                yield text


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_sentence(text: str) -> bool:
    return len(text) >= _SENTENCE_LENGTH and " " in text and text.endswith(".")


def flat(text: str) -> str:
    """A page on one line, with spaces for its line breaks."""
    return " ".join(text.split())


def pattern(sentence: str) -> str:
    """A sentence as a pattern; a value may be anything short."""
    line = flat(re.sub(r"\{(status|objects|prefix|writer)\}", VALUE, sentence))
    return ".{1,120}?".join(map(re.escape, line.split(VALUE)))
