"""The Arrow type of a column, by its JSON schema in the connector's catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

#: Types of JSON that are one type of Arrow
_PLAIN = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


def arrow_type(schema: Mapping[str, Any]) -> pa.DataType:
    """What is nested or of several types is text: JSON text, except for a text, which stays as it is."""
    declared = schema.get("type")
    kinds = [kind for kind in (declared if isinstance(declared, list) else [declared]) if kind not in ("null", None)]
    if kinds == ["string"]:
        if schema.get("format") == "date-time":
            with_zone = schema.get("airbyte_type") != "timestamp_without_timezone"
            return pa.timestamp("us", tz="UTC" if with_zone else None)
        return pa.date32() if schema.get("format") == "date" else pa.string()
    return _PLAIN.get(kinds[0], pa.string()) if len(kinds) == 1 else pa.string()
