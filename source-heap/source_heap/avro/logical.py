"""Avro's logical types: which annotations are valid, and what they make of a value, for fastavro to read with.

fastavro's own readers end a whole file at the first value that Python's types cannot hold: an instant beyond the year
9999, a time of day beyond its end (a negative one becomes another time silently); and they round a decimal to its
precision. These make `BEYOND` of a value that has no notation, which loses it alone, and keep all digits.

The pairs of underlying and logical type are the Avro 1.12 specification's. What it has beyond them (`duration`,
`big-decimal`) is left as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from source_heap.limits import DECIMAL_BYTES, DECIMAL_SCALE

#: Stands for a value that has no notation; `values.plain` takes it for unfit.
BEYOND = object()

_UUID_BYTES = 16
_LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local timestamp has no zone
_EPOCH = _LOCAL_EPOCH.replace(tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY = timedelta(days=1)
_MILLISECOND, _MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)

#: (value, the writer's schema, the reader's schema) -> value, as fastavro calls it
_Reader = Callable[..., Any]


def _instant(epoch: datetime, unit: timedelta) -> _Reader:
    def read(count: int, *_: Any) -> Any:
        try:
            return epoch + count * unit
        except OverflowError:
            return BEYOND

    return read


def _nanos(epoch: datetime) -> _Reader:
    read = _instant(epoch, _MICROSECOND)
    return lambda count, *_: read(count // 1_000)


def _day(days: int, *_: Any) -> Any:
    try:
        return date.fromordinal(_EPOCH_DAY + days)
    except (OverflowError, ValueError):
        return BEYOND


def _time_of_day(unit: timedelta) -> _Reader:
    def read(count: int, *_: Any) -> Any:
        return (_LOCAL_EPOCH + count * unit).time() if 0 <= count < _DAY // unit else BEYOND

    return read


def _decimal(data: bytes, schema: Mapping[str, Any], *_: Any) -> Any:
    """A decimal's text with all its digits, also where they are more than its precision says."""
    scale = schema["scale"]
    if len(data) > DECIMAL_BYTES or scale > DECIMAL_SCALE:
        return BEYOND
    unscaled = int.from_bytes(data, "big", signed=True)
    digits, sign = str(abs(unscaled)).rjust(scale + 1, "0"), "-" if unscaled < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def _symbol(index: int, schema: Mapping[str, Any], *_: Any) -> Any:
    if index < 0:
        raise IndexError  # a list would count from its end
    return schema["names"][index]


#: The logical type that stands for Avro's enum, whose symbols fastavro holds to rules that writers break
SYMBOLS = "symbols"

#: By (underlying type, logical type). A `uuid` on a string stays the text that it is, so it is not among them.
READERS: Mapping[tuple[str, str], _Reader] = {
    ("long", "timestamp-millis"): _instant(_EPOCH, _MILLISECOND),
    ("long", "timestamp-micros"): _instant(_EPOCH, _MICROSECOND),
    ("long", "timestamp-nanos"): _nanos(_EPOCH),
    ("long", "local-timestamp-millis"): _instant(_LOCAL_EPOCH, _MILLISECOND),
    ("long", "local-timestamp-micros"): _instant(_LOCAL_EPOCH, _MICROSECOND),
    ("long", "local-timestamp-nanos"): _nanos(_LOCAL_EPOCH),
    ("int", "date"): _day,
    ("int", "time-millis"): _time_of_day(_MILLISECOND),
    ("long", "time-micros"): _time_of_day(_MICROSECOND),
    ("bytes", "decimal"): _decimal,
    ("fixed", "decimal"): _decimal,
    ("fixed", "uuid"): lambda data, *_: str(UUID(bytes=data)),
    ("int", SYMBOLS): _symbol,
}


def annotated(kind: str, schema: Mapping[str, Any]) -> Any:
    """A primitive type with its logical type; without it where that is unknown or not valid, as Avro demands."""
    name = schema.get("logicalType")
    if not isinstance(name, str) or name == SYMBOLS or (kind, name) not in READERS:
        return kind
    if name != "decimal":
        return {"type": kind, "logicalType": name}
    return {"type": kind, "logicalType": name, "scale": schema.get("scale") or 0} if _is_decimal(schema) else kind


def fixed(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A fixed of this name. Raises TypeError where its size is none."""
    size, logical = schema["size"], schema.get("logicalType")
    if not _is_count(size):
        raise TypeError
    made: dict[str, Any] = {"type": "fixed", "name": name, "size": size}
    if logical == "uuid" and size == _UUID_BYTES:
        made["logicalType"] = logical
    # log10(2) digits a bit, of which one is the sign
    if logical == "decimal" and _is_decimal(schema) and schema["precision"] <= (8 * size - 1) * 30103 // 100_000:
        made.update(logicalType=logical, scale=schema.get("scale") or 0)
    return made


def enum(symbols: list[str]) -> dict[str, Any]:
    """An enum of these symbols."""
    return {"type": "int", "logicalType": SYMBOLS, "names": symbols}


def _is_decimal(schema: Mapping[str, Any]) -> bool:
    precision, scale = schema.get("precision"), schema.get("scale") or 0
    return _is_count(precision) and _is_count(scale) and bool(max(1, scale) <= schema["precision"])


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
