"""Vendor values to the types that the schemas promise."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from source_kit.json_text import dumps
from source_kit.names import snake_case
from source_kit.rows import Shaper
from source_kit.timestamps import epoch_millis, iso_millis, parse_instant

Converter: TypeAlias = Callable[[Any], Any]

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


def document_converter(schema: Mapping[str, Any]) -> Converter:
    """What makes a vendor's document a record of a stream's schema."""
    return _object_converter(schema["properties"])


def converter_for(schema: Mapping[str, Any]) -> Converter | None:
    """What makes a vendor's value one of this schema; None where nothing is to be done.

    The schema alone tells a documented object from a free-form map: an object with `properties` gets snake_case names,
    also for fields that the schema does not know; a map without keeps its own keys, because two of them (`userID`,
    `userId`) may become one name.
    """
    types = schema.get("type", ())
    if "object" in types and "properties" in schema:
        return _object_converter(schema["properties"])
    if "array" in types:
        return _array_converter(converter_for(schema.get("items", {})))
    if schema.get("format") == "date-time":
        return instant
    return text if "string" in types else None


def _object_converter(properties: Mapping[str, Any]) -> Converter:
    converters = {name: converter_for(schema) for name, schema in properties.items()}
    shape = Shaper(snake_case, {name: convert for name, convert in converters.items() if convert is not None})

    def convert(value: Any) -> Any:
        return shape([value])[0] if isinstance(value, dict) else value

    return convert


def _array_converter(of_item: Converter | None) -> Converter:
    def convert(value: Any) -> Any:
        listed = items(value)
        return [None if item is None else of_item(item) for item in listed] if of_item else listed

    return convert
