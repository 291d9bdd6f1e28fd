"""`_key`: the columns of a primary key as one text, for programs that take a key of one column only.

The text is a JSON array of the key's values in the order of its columns, without white space, such as `["a|b","c"]` or
`[7,null]`. So two keys have the same text only if they are the same, and the text can be read back. Destinations keep
it in their tables: a change of its form is a breaking change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from source_kit.json_text import dumps, loads
from source_kit.raw_rows import RawRows

COLUMN = "_key"
_DATA = b'"data":{'


def with_key(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A record with its key. A column that it lacks counts as null."""
    return {**row, COLUMN: dumps([row.get(name) for name in columns]).decode()}


def raw_with_key(rows: RawRows, columns: Sequence[str]) -> RawRows:
    """Rows that stay as the vendor wrote them, each with its key as the first member."""
    return RawRows([_raw_row(text, columns) for text in rows.texts], rows.columns)


def lines_with_key(lines: bytes, columns: Sequence[str]) -> bytes:
    """RECORD lines that stay as they were written, each with the key as the first member of its data."""
    return b"".join(_line(line, columns) for line in lines.splitlines(keepends=True))


def schema_with_key(schema: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A stream's JSON schema with the column of the key."""
    what = f"The primary key as one text: a JSON array of {', '.join(columns)}"
    column = {"type": ["null", "string"], "description": what}
    return {**schema, "properties": {**schema.get("properties", {}), COLUMN: column}}


# A text is not decoded and encoded again, which would lose digits of long numbers: only where the vendor has a column
# of this name, which gives way.


def _raw_row(text: bytes, columns: Sequence[str]) -> bytes:
    row = loads(text)
    return dumps(with_key(row, columns)) if COLUMN in row else b"{" + _member(row, columns) + text[1:]


def _line(line: bytes, columns: Sequence[str]) -> bytes:
    message = loads(line)
    row = message["record"]["data"]
    if COLUMN in row:
        message["record"]["data"] = with_key(row, columns)
        return dumps(message) + b"\n"
    before, _, after = line.partition(_DATA)
    return before + _DATA + _member(row, columns) + after


def _member(row: Mapping[str, Any], columns: Sequence[str]) -> bytes:
    """The key as a member of an object, with the comma that separates it from the next one."""
    return dumps({COLUMN: with_key(row, columns)[COLUMN]})[1:-1] + b","[: len(row)]
