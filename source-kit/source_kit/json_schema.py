"""JSON schemas that several connectors use."""

from __future__ import annotations

from typing import Any, Final

#: The schema of a value of any type. It names all types: some clients drop a stream that has a property without a type.
ANYTHING: Final[dict[str, Any]] = {
    "type": ["null", "array", "boolean", "integer", "number", "object", "string"],
    "additionalProperties": True,
}
