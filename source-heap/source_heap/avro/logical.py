"""Reads Avro's logical types in place of fastavro's readers, and decides which annotations are valid.

fastavro's own readers fail the whole file at a value that Python's types cannot hold (an instant after the year 9999, a
time of day after 24:00), change a negative time of day silently, and round a decimal to its precision. These return
`BEYOND` for such a value, which loses only that value, and keep all digits.

The pairs of underlying and logical type are those of the Avro 1.12 specification. Its other logical types (`duration`,
`big-decimal`) stay bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from source_heap.limits import DECIMAL_BYTES, DECIMAL_SCALE

#: A value without a JSON notation; `values.plain` raises CoercionError for it.
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
    """A decimal as text with all its digits, even if they exceed its precision."""
    scale = schema["scale"]
    if len(data) > DECIMAL_BYTES or scale > DECIMAL_SCALE:
        return BEYOND
    unscaled = int.from_bytes(data, "big", signed=True)
    digits, sign = str(abs(unscaled)).rjust(scale + 1, "0"), "-" if unscaled < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def _symbol(index: int, schema: Mapping[str, Any], *_: Any) -> Any:
    if index < 0:
        raise IndexError  # Python would count from the end of the list
    return schema["names"][index]


#: Begins the names of logical types in the form of `declared`. fastavro's readers are the whole process's, and these
#: have other names: what else reads Avro there (in a Spark worker, in a notebook) gets the values that it knows.
OWN = "source-heap-"

#: Our logical type for Avro's enum, because fastavro rejects symbols that break Avro's naming rules; writers use them.
SYMBOLS = "symbols"

#: By (underlying type, logical type). A `uuid` on a string needs no reader: it stays text.
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
    """A primitive type with its logical type. An unknown or invalid one is dropped, as Avro requires."""
    name = schema.get("logicalType")
    if not isinstance(name, str) or name == SYMBOLS or (kind, name) not in READERS:
        return kind
    if name != "decimal":
        return {"type": kind, "logicalType": OWN + name}
    return {"type": kind, "logicalType": OWN + name, "scale": schema.get("scale") or 0} if _is_decimal(schema) else kind


def fixed(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A fixed with this name. Raises TypeError if its size is not a count."""
    size, logical = schema["size"], schema.get("logicalType")
    if not _is_count(size):
        raise TypeError
    made: dict[str, Any] = {"type": "fixed", "name": name, "size": size}
    if logical == "uuid" and size == _UUID_BYTES:
        made["logicalType"] = OWN + logical
    # log10(2) digits per bit, without the sign bit
    if logical == "decimal" and _is_decimal(schema) and schema["precision"] <= (8 * size - 1) * 30103 // 100_000:
        made.update(logicalType=OWN + logical, scale=schema.get("scale") or 0)
    return made


def enum(symbols: list[str]) -> dict[str, Any]:
    """An enum with these symbols, in the form of `declared`."""
    return {"type": "int", "logicalType": OWN + SYMBOLS, "names": symbols}


def name_of(made: Mapping[str, Any]) -> str | None:
    """The name of the logical type of a type in the form of `declared`."""
    name: str | None = made.get("logicalType")
    return name and name.removeprefix(OWN)


def _is_decimal(schema: Mapping[str, Any]) -> bool:
    precision, scale = schema.get("precision"), schema.get("scale") or 0
    return _is_count(precision) and _is_count(scale) and bool(max(1, scale) <= schema["precision"])


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
