"""Rows that are passed on as the vendor wrote them: cut out of the answer, never decoded whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows as they came, each a JSON object without a line feed, and some columns of them, a list of values each."""

    texts: list[bytes]
    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, chosen: Iterable[bool]) -> RawRows:
        """The rows for which `chosen` is true."""
        chosen = list(chosen)
        columns = {name: list(compress(values, chosen)) for name, values in self.columns.items()}
        return RawRows(list(compress(self.texts, chosen)), columns)

    def decoded(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return [orjson.loads(text) for text in self.texts]


def joined(parts: Sequence[RawRows | list[dict[str, Any]]]) -> RawRows | list[dict[str, Any]]:
    """All rows of at least one part in one; dicts if some are."""
    raw = [part for part in parts if isinstance(part, RawRows)]
    if len(raw) < len(parts):
        return [row for part in parts for row in (part.decoded() if isinstance(part, RawRows) else part)]
    columns = {name: [value for part in raw for value in part.columns[name]] for name in raw[0].columns}
    return RawRows([text for part in raw for text in part.texts], columns)
