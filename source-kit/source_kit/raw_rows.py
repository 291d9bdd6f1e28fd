"""Rows that are passed on as the vendor wrote them: cut out of the answer, never decoded whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from source_kit.limits import NESTING

_CUT = msgspec.json.Decoder(list[msgspec.Raw])
#: What a number with a long exponent becomes: a digit, the `e`, and three more digits, of which one may be a plus.
_SHAPES = bytes(
    ord("0") if at in b"0123456789+" else ord("e") if at in b"eE" else 0 for at in range(256)
)  # fmt: skip
_LONG_EXPONENT = b"0e000"
#: The exponent itself, behind the `e`. In names and identifiers something else follows.
_EXPONENT = re.compile(rb"\+?[0-9]{3,}[ \t,\]}]")
#: A number of 209 digits may be more than a double holds, with an exponent of two more. Of every 20th byte it is at
#: least ten.
_DIGITS = bytes(ord("0") if at in b"0123456789" else 0 for at in range(256))
_EVERY, _DIGITS_IN_A_ROW = 20, b"0" * 10

#: A shorter row is not nested deeper than `NESTING`.
_SHALLOW_BYTES = 2 * NESTING


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows as they came, each a JSON object without a line feed, and some columns of them, a list of values each."""

    texts: list[msgspec.Raw]
    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, chosen: Iterable[bool]) -> RawRows:
        """The rows for which `chosen` is true."""
        chosen = list(chosen)
        columns = {name: list(compress(values, chosen)) for name, values in self.columns.items()}
        return RawRows(list(compress(self.texts, chosen)), columns)

    def decoded(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return [orjson.loads(bytes(text)) for text in self.texts]


def cut(text: bytes) -> list[msgspec.Raw]:
    """The rows of a JSON list as they came, which keep the memory of `text`.

    A number beyond the range of a double passes, which JSON allows. Raises ValueError for text that is not JSON in
    UTF-8, and RecursionError for a row that is nested about 1,000 deep.
    """
    if not text.isascii():
        text.decode()  # msgspec does not check it
    return _CUT.decode(text)


def joined(parts: Sequence[RawRows | list[dict[str, Any]]]) -> RawRows | list[dict[str, Any]]:
    """All rows of at least one part in one; dicts if some are."""
    raw = [part for part in parts if isinstance(part, RawRows)]
    if len(raw) < len(parts):
        return [row for part in parts for row in (part.decoded() if isinstance(part, RawRows) else part)]
    columns = {name: [value for part in raw for value in part.columns[name]] for name in raw[0].columns}
    return RawRows([text for part in raw for text in part.texts], columns)


class RawRowDecoder:
    """Makes `RawRows` of a list of rows if every row has `columns` of exactly these types, int or str.

    If not, the rows become dicts, as they do where a destination could read the text otherwise than what orjson makes
    of it: with a line feed between names and values, bytes that are not UTF-8, a number larger than any double, or very
    many brackets. The rest that msgspec passes is equal, and these are not changed: an integer beyond 64 bits,
    which orjson would make a float, and a name that comes twice in one object, of which orjson keeps the last value
    (as Python's json does, and Jackson, with which destinations parse messages).

    Raises ValueError for text that is no JSON.
    """

    def __init__(self, columns: Mapping[str, type]) -> None:
        row = msgspec.defstruct("Row", list(columns.items()), gc=False)
        self._rows = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
        self._columns = {name: attrgetter(name) for name in columns}

    def __call__(self, text: bytes) -> Any:
        try:
            if _is_plain(text):
                rows = self._rows.decode(text)
                texts = cut(text)
                if max(map(len, texts), default=0) <= _SHALLOW_BYTES or not any(map(_may_be_deep, texts)):
                    return RawRows(texts, {name: list(map(get, rows)) for name, get in self._columns.items()})
        except (ValueError, RecursionError):
            pass  # not JSON, or not the columns
        return orjson.loads(text)


def _is_plain(text: bytes) -> bool:
    """Whether what msgspec passes and `cut` does not check is as in any usual text."""
    if b"\n" in text or b"\r" in text:
        return False
    return _DIGITS_IN_A_ROW not in text[::_EVERY].translate(_DIGITS) and not _has_long_exponent(text)


def _has_long_exponent(text: bytes) -> bool:
    """Whether there is an exponent of at least three digits, or what looks like one, without a minus."""
    shapes = text.translate(_SHAPES)
    at = len(shapes)
    while (at := shapes.rfind(_LONG_EXPONENT, 0, at + 4)) >= 0:  # twice as fast as `find` here
        if _EXPONENT.match(text, at + 2):
            return True
    return False


def _may_be_deep(text: msgspec.Raw) -> bool:
    row = bytes(text)
    return row.count(b"[") + row.count(b"{") > NESTING
