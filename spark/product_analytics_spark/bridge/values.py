"""Records of a connector as columns of Arrow. What fits into no column is JSON text in a column of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from source_kit.convert import parse_instant
from source_kit.errors import config_error
from source_kit.json_text import dumps
from source_kit.stream import Record

#: The column of what no other column holds: values that are not of their column's type, and fields that have no column.
#: A JSON object by the names of the fields, null where there is nothing.
EXTRA = "_extra"


def record_batch(rows: Sequence[Record], schema: pa.Schema) -> pa.RecordBatch:
    """Rows with the columns of a schema. A field that a row lacks is null.

    Fields and values without a column are in the column `_extra`. Where the schema does not have it, such fields are
    left out as a catalog does that does not select them, and such a value raises a config_error.
    """
    names = [name for name in schema.names if name != EXTRA]
    extra: list[Record] = [{} for _ in rows]
    arrays = {name: _column([row.get(name) for row in rows], schema.field(name), extra) for name in names}
    misfits = next((name for one in extra for name in one), None)
    if EXTRA in schema.names:
        known = frozenset(names)
        for row, more in zip(rows, extra, strict=True):
            more.update((name, row[name]) for name in row.keys() - known)
        arrays[EXTRA] = pa.array([_json(more) if more else None for more in extra], schema.field(EXTRA).type)
    elif misfits is not None:
        raise config_error(
            f"A value of the column {misfits} is not of the type {schema.field(misfits).type} that the given schema "
            f"has. Declare the column as string, or add a column {EXTRA} of the type string, which holds such values."
        )
    return pa.record_batch([arrays[name] for name in schema.names], schema=schema)


def reader_of(field: pa.Field) -> Callable[[Any], Any]:
    """What makes a column's value of a field's, and raises ValueError where it does not fit.

    Raises a config_error for a column that is neither text nor number, boolean, date nor time.
    """
    for fits, read in _READERS:
        if fits(field.type):
            return read(field.type) if read in (_instant_for, _number_for) else read
    raise config_error(
        f"The column {field.name} cannot be read as {field.type}: declare it as string, and it holds JSON text."
    )


def _column(values: list[Any], field: pa.Field, extra: Sequence[Record]) -> pa.Array:
    """The values of one column. Those that do not fit are null, and added to what is extra of their row."""
    read, fitting = reader_of(field), []
    for value, more in zip(values, extra, strict=True):
        try:
            fitting.append(None if value is None else read(value))
        except (ValueError, OverflowError):
            more[field.name] = value
            fitting.append(None)
    try:
        return pa.array(fitting, field.type)
    except (pa.ArrowInvalid, OverflowError, UnicodeError):  # beyond the type's range, or half a character
        return pa.array(map(_within(field), fitting, values, extra), field.type)


def _within(field: pa.Field) -> Callable[[Any, Any, Record], Any]:
    def within(fitting: Any, value: Any, more: Record) -> Any:
        try:
            pa.scalar(fitting, field.type)
        except (pa.ArrowInvalid, OverflowError, UnicodeError):
            more[field.name] = value
            return None
        return fitting

    return within


def _json(value: Any) -> str:
    return dumps(value).decode()


def _text(value: Any) -> str:
    """A text as it is; anything else is JSON text."""
    return value if isinstance(value, str) else _json(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _integer(value: Any) -> int:
    """Also 3.0, which some JSON writers make of 3."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError
    return int(value)


def _number_for(kind: pa.DataType) -> Callable[[Any], float]:
    """A number. Not an integer that the type would round, nor what it would make infinite."""
    form = struct.Struct("<f" if pa.types.is_float32(kind) else "<d")

    def number(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        found: float = form.unpack(form.pack(float(value)))[0]
        if isinstance(value, int) and found != value:
            raise ValueError
        return found

    return number


def _day(value: Any) -> date:
    return date.fromisoformat(_require_text(value))


def _instant_for(kind: pa.DataType) -> Callable[[Any], datetime]:
    """An instant, or, for a type without time zone, what its clock shows."""
    if kind.tz is not None:
        return lambda value: parse_instant(_require_text(value))
    return lambda value: datetime.fromisoformat(_require_text(value)).replace(tzinfo=None)


def _require_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


_READERS: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]]] = (
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), _text),
    (pa.types.is_boolean, _flag),
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _number_for),
    (pa.types.is_date, _day),
    (pa.types.is_timestamp, _instant_for),
)
