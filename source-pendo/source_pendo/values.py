"""Converts Pendo's values to the types of the schemas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from source_kit.convert import RecordMapper, epoch_millis, iso_millis, parse_instant, snake_case
from source_kit.json_text import dumps

from source_pendo.time_formats import parse_written_time

Converter: TypeAlias = Callable[[Any], Any]

_JSON_TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
#: The first instant after the year 9999, which no timestamp can hold. Epoch milliseconds.
_YEAR_10000: Final = 253_402_300_800_000
#: Larger ones than 64 bits hold are written as floats
_LARGEST_INTEGER: Final = 2.0**63


def instant(value: Any) -> str | None:
    """Epoch milliseconds (a number, or digits in a text) or an ISO text, as RFC 3339 in UTC with milliseconds.

    Pendo sends milliseconds nearly everywhere and ISO texts in some metadata fields (certain), and 0 where there is no
    time (certain for `lastKeyFrameTimestamp` of a row without a recording, from the vendor's sample, and for one field
    of guides; inferred for the others). That and any other value, and instants outside the years 1 to 9999, become
    None: a date column cannot hold them.
    """
    if value.__class__ is int:
        try:
            return iso_millis(value) if value else None
        except OverflowError:
            return None
    try:
        if isinstance(value, float):
            return iso_millis(value) if value else None
        if isinstance(value, str):
            text = value.strip()
            return instant(int(text)) if text.lstrip("-").isdecimal() else iso_millis(epoch_millis(parse_instant(text)))
    except (ValueError, OverflowError):
        pass
    return None


#: Smaller numbers in metadata times are seconds, others milliseconds: as milliseconds it is 1973, as seconds 5138.
_SMALLEST_MILLIS: Final = 10**11
#: A text with fewer digits is not read as an epoch: eight digits may be a date, 20260301.
_DIGITS_OF_SECONDS: Final = 9


def metadata_instant(value: Any) -> str | None:
    """A metadata field's time as RFC 3339.

    Pendo documents how a time may be written: epoch seconds or milliseconds, `Mon Jan 02 2006`, the same with time and
    zone, `01/02/2006 03:04pm`, and ISO-like texts (certain). How Pendo returns them is not documented, so all are
    understood. Any other value becomes None, also one with an ambiguous zone.
    """
    if value.__class__ is int or isinstance(value, float):
        return instant(value if abs(value) >= _SMALLEST_MILLIS else value * 1000)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.lstrip("-").isdecimal():
        return metadata_instant(int(text)) if len(text.lstrip("-")) >= _DIGITS_OF_SECONDS else None
    return instant(text) or instant(parse_written_time(text))


def change_time(value: Any) -> int | None:
    """A time of change in epoch milliseconds; None for 0 and for what is no time."""
    if value.__class__ is int and 0 < value < _YEAR_10000:
        return int(value)
    text = instant(value)
    return None if text is None else epoch_millis(parse_instant(text))


def text(value: Any) -> str:
    """A text; any other value as its JSON."""
    return value if isinstance(value, str) else dumps(value).decode()


#: Python's `float` also accepts "1_000", "infinity", "nan" and the digits of any script
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


def number(value: Any) -> float | None:
    """A number, or a text of decimal digits as a number; None for any other value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    plain = value.strip() if isinstance(value, str) else ""
    if not _DECIMAL.fullmatch(plain):
        return None
    parsed = float(plain)
    if not math.isfinite(parsed):
        return None
    return int(plain) if _INTEGER.fullmatch(plain) and abs(parsed) < _LARGEST_INTEGER else parsed


def whole_number(value: Any) -> int | None:
    """A number without a fraction that fits into 64 bits, or a text of such a number; None for any other value."""
    found = number(value)
    whole = int(found) if found is not None and found == int(found) else None
    return whole if whole is not None and abs(whole) < _LARGEST_INTEGER else None


def boolean(value: Any) -> bool | None:
    """A boolean, also one that came as text or as 0 or 1; None for any other value."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None


def items(value: Any) -> list[Any]:
    """A list; a single value becomes a list of one."""
    return value if isinstance(value, list) else [value]


def texts(value: Any) -> list[str | None]:
    """A list of texts; a single value becomes a list of one."""
    return [None if item is None else text(item) for item in items(value)]


def document_mapper(schema: Mapping[str, Any]) -> RecordMapper:
    """Makes records of a stream's schema from a list of the vendor's documents."""
    properties = schema["properties"].items()
    return RecordMapper(snake_case, {name: convert for name, of in properties if (convert := _converter_for(of))})


def _converter_for(schema: Mapping[str, Any]) -> Converter | None:
    """Makes a value of this schema from the vendor's value; None if nothing is to be done.

    An object with `properties` is a documented one: its names become snake_case, also those that the schema does not
    know. A map without `properties` is free-form and keeps its names, because two of them (`userID`, `userId`) may
    become one. If the documentation has several shapes for a field, the schema names all types, and a value of one of
    them stays as it is.
    """
    types = set(schema.get("type", ())) - {"null"}
    if "object" in types and "properties" in schema:
        mapper = document_mapper(schema)
        return lambda value: mapper([value])[0] if isinstance(value, dict) else value
    if len(types) > 1:
        return _converter_of_several(types)
    if "array" in types:
        of_item = _converter_for(schema.get("items", {}))
        return items if of_item is None else lambda value: [None if x is None else of_item(x) for x in items(value)]
    if schema.get("format") == "date-time":
        return instant
    return text if "string" in types else None


def _converter_of_several(types: set[str]) -> Converter | None:
    """A value of another type becomes a text or a list of one, whichever is among the types."""
    types |= {"integer"} if "number" in types else set()
    fallback = text if "string" in types else items if "array" in types else None
    if fallback is None or set(_JSON_TYPES.values()) <= types:
        return None
    return lambda value: value if _JSON_TYPES.get(value.__class__) in types else fallback(value)
