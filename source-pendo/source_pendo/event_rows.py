"""Rows of events as JSON text: cut out of Pendo's answers, and decoded where somebody needs their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import orjson
from source_kit.json_text import dumps, loads

from source_pendo.aggregation import VISITOR_ID, Row

if TYPE_CHECKING:
    from source_pendo.compiled.native import Row as NativeRow

#: One row, as something that has the bytes of its text. One that was cut keeps the memory of all that were cut with it.
RowText: TypeAlias = "NativeRow | msgspec.Raw | bytes"
#: Cuts rows out of a JSON list. Raises ValueError for text that is not JSON in UTF-8.
Cut: TypeAlias = Callable[[bytes], list[RowText]]


class _Visitor(msgspec.Struct, gc=False):
    visitor_id: Any = msgspec.field(name=VISITOR_ID, default=None)


_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_VISITOR: Final = msgspec.json.Decoder(_Visitor)
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)


def cut(text: bytes) -> list[RowText]:
    """The rows of a JSON list as they came. Raises ValueError for text that is not JSON in UTF-8.

    A number beyond the range of a double passes, which JSON allows; `decoded` makes it null.
    """
    if not text.isascii():
        text.decode()  # msgspec does not check it
    try:
        return list(_ROWS.decode(text))
    except RecursionError:  # nested about 1,000 deep, of which orjson decodes a few more
        return [dumps(row) for row in orjson.loads(text)]


def is_json(text: RowText) -> bool:
    """Whether a text in UTF-8 is JSON by the rules of `cut`. False also for one that is nested about 1,000 deep."""
    try:
        _ANY.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def decoded(text: RowText) -> Row:
    """A row as a dict."""
    row: Row = loads(bytes(text))
    return row


def visitor_of(text: RowText) -> Any:
    """The visitor of a row, without decoding the rest of it; None if it names none."""
    try:
        return _VISITOR.decode(text).visitor_id
    except ValueError:  # a visitor or a row that is none, which `loads` knows better
        return decoded(text).get(VISITOR_ID)
