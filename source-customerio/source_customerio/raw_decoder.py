"""Rows of lists that the connector does not change, cut out of answers by the compiled module `native`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from source_kit.raw_rows import RawRows

try:
    import source_customerio.compiled.native as native
except ImportError as error:
    #: Why there is no `native`, most likely because the package was installed without a compiler. None if there is one
    MISSING: str | None = str(error)
else:
    MISSING = None


class RawRowDecoder:
    """Makes `RawRows` of a list of rows in JSON if every row has `columns` of exactly these types, int or str.

    If not, or if there is anything in the text that some destination could read otherwise than orjson does, the rows
    become dicts: `native/rows.h` says what that is. A name that comes twice in one object passes: orjson keeps its last
    value, as do Python's json and Jackson, with which destinations parse messages.

    Raises ValueError for text that is no JSON.
    """

    def __init__(self, columns: Mapping[str, type]) -> None:
        self._names = tuple(columns)
        self._columns = tuple((name.encode(), kind is int) for name, kind in columns.items())

    def __call__(self, text: bytes) -> Any:
        if not text.isascii():
            text.decode()  # `native` does not check it
        found = native.cut(text, self._columns)
        if found is None:
            return orjson.loads(text)
        rows, values = found
        return RawRows(rows, dict(zip(self._names, values, strict=True)))
