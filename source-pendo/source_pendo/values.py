"""Vendor values to the types that the schemas promise."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from source_kit.convert import RecordMapper, epoch_millis, iso_millis, parse_instant, snake_case
from source_kit.json_text import dumps

from source_pendo.written_times import written_instant

Converter: TypeAlias = Callable[[Any], Any]

_JSON_TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
#: The schema of what may be anything. A property without a type makes some clients drop the whole stream.
ANYTHING: Final = {
    "type": ["null", "array", "boolean", "integer", "number", "object", "string"],
    "additionalProperties": True,
}
#: The first instant that no timestamp can hold. Epoch milliseconds.
_YEAR_10000: Final = 253_402_300_800_000
#: Larger ones than 64 bits hold are written as floats
_LARGEST_INTEGER: Final = 2.0**63


def instant(value: Any) -> str | None:
    """Epoch milliseconds (a number, or digits in a text) or an ISO text, as RFC 3339 in UTC with milliseconds.

    Pendo sends milliseconds nearly everywhere and ISO texts in some metadata fields (certain). What is no instant of
    the years 1 to 9999 becomes None: a date column cannot hold it.
    """
    if value.__class__ is int:
        try:
            return iso_millis(value)
        except OverflowError:
            return None
    try:
        if isinstance(value, float):
            return iso_millis(value)
        if isinstance(value, str):
            text = value.strip()
            return iso_millis(int(text) if text.lstrip("-").isdecimal() else epoch_millis(parse_instant(text)))
    except (ValueError, OverflowError):
        pass
    return None


#: Metadata times that are smaller numbers are seconds, others milliseconds: 1973 as milliseconds, 5138 as seconds.
_SMALLEST_MILLIS: Final = 10**11
#: Texts of fewer digits are no epoch: eight of them may be a date, 20260301.
_DIGITS_OF_SECONDS: Final = 9


def metadata_instant(value: Any) -> str | None:
    """A metadata field's time as RFC 3339, in every form that Pendo documents for writing one.

    These are epoch seconds or milliseconds, `Mon Jan 02 2006`, the same with time and zone, `01/02/2006 03:04pm` and
    ISO-like texts (certain); how Pendo hands them back is not said, so each is taken. What is none of them, or names a
    zone that several countries have, becomes None.
    """
    if value.__class__ is int or isinstance(value, float):
        return instant(value if abs(value) >= _SMALLEST_MILLIS else value * 1000)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.lstrip("-").isdecimal():
        return metadata_instant(int(text)) if len(text.lstrip("-")) >= _DIGITS_OF_SECONDS else None
    return instant(text) or instant(written_instant(text))


def change_time(value: Any) -> int | None:
    """A time of change in epoch milliseconds; None for what says no time, which includes 0."""
    if value.__class__ is int and 0 < value < _YEAR_10000:
        return int(value)
    text = definition_instant(value)
    return None if text is None else epoch_millis(parse_instant(text))


def definition_instant(value: Any) -> str | None:
    """As `instant`, for definitions: there 0 means no date (certain for one field, inferred for the others)."""
    return None if value == 0 else instant(value)


class Instants(dict[Any, Any]):
    """`instant` with a memory, for columns in which few values repeat: use its `__getitem__` as the converter."""

    _KEPT = 10_000

    def __missing__(self, value: Any) -> str | None:
        if len(self) >= self._KEPT:
            self.clear()
        text = self[value] = instant(value)
        return text


def text(value: Any) -> str:
    """A text; anything else as its JSON."""
    return value if isinstance(value, str) else dumps(value).decode()


#: Python's own reading of numbers takes "1_000", "infinity", "nan" and the digits of any script
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


def number(value: Any) -> float | None:
    """A number, also one that came as text in decimal digits; None for what is none."""
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
    """A number without a fraction that 64 bits hold, also one that came as text; None for what is none."""
    found = number(value)
    whole = int(found) if found is not None and found == int(found) else None
    return whole if whole is not None and abs(whole) < _LARGEST_INTEGER else None


def number_or_text(value: Any) -> Any:
    """A number or a text; anything else as its JSON."""
    return value if value.__class__ in (int, float) else text(value)


def boolean(value: Any) -> bool | None:
    """A truth value, also one that came as text or as 0 or 1; None for what is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None


def items(value: Any) -> list[Any]:
    """A list; a single value becomes a list of one."""
    return value if isinstance(value, list) else [value]


def texts(value: Any) -> list[str | None]:
    """A list of texts; a single value becomes a list of one."""
    return [None if item is None else text(item) for item in items(value)]


def document_converter(schema: Mapping[str, Any], time: Converter = instant) -> Converter:
    """What makes a vendor's document a record of a stream's schema; `time` reads its instants."""
    return _object_converter(schema["properties"], time)


def converter_for(schema: Mapping[str, Any], time: Converter = instant) -> Converter | None:
    """What makes a vendor's value one of this schema; None where nothing is to be done.

    The schema alone tells a documented object from a free-form map: an object with `properties` gets snake_case names,
    also for fields that the schema does not know; a map without keeps its own keys, because two of them (`userID`,
    `userId`) may become one name. Where the documentation has several shapes for a field, the schema names their types
    and a value of one of them is left alone.
    """
    types = set(schema.get("type", ())) - {"null"}
    if "object" in types and "properties" in schema:
        return _object_converter(schema["properties"], time)
    if len(types) > 1:
        return _converter_of_several(types)
    if "array" in types:
        return _array_converter(converter_for(schema.get("items", {}), time))
    if schema.get("format") == "date-time":
        return time
    return text if "string" in types else None


def _object_converter(properties: Mapping[str, Any], time: Converter) -> Converter:
    converters = {name: converter_for(schema, time) for name, schema in properties.items()}
    shape = RecordMapper(snake_case, {name: convert for name, convert in converters.items() if convert is not None})

    def convert(value: Any) -> Any:
        return shape([value])[0] if isinstance(value, dict) else value

    return convert


def _converter_of_several(types: set[str]) -> Converter | None:
    """A value of none of the types becomes a text or a list of one, where that is among them."""
    if "number" in types:
        types = types | {"integer"}
    fallback = text if "string" in types else items if "array" in types else None
    if fallback is None or set(_JSON_TYPES.values()) <= types:
        return None
    return lambda value: value if _JSON_TYPES.get(value.__class__) in types else fallback(value)


def _array_converter(of_item: Converter | None) -> Converter:
    def convert(value: Any) -> Any:
        listed = items(value)
        return [None if item is None else of_item(item) for item in listed] if of_item else listed

    return convert
