"""Tables of rows, and lazy views of them for the stages `filter`, `sort` and `limit`.

A page of 50,000 rows must be sent in a fraction of a second. So each row is encoded once, each order is computed once
for a table, and a page that starts at a text key is found by bisection. The result of filters and stable sorts does not
depend on which runs first, so a `View` may run the filters last.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from simulators.pendo.expressions import Expression, lookup
from simulators.server import Row


def sort_key(value: Any) -> tuple[int, Any]:
    """Null first, then numbers, then texts by their bytes. The collation of the real server is not known."""
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float)):
        return (1, value)
    return (2, value if isinstance(value, str) else orjson.dumps(value).decode())


def as_answered(value: Any) -> Any:
    """A value as it stands in an answer: U+FFFD in place of an incomplete character (`Mutations.cut_id`)."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {name: as_answered(item) for name, item in value.items()}
    return [as_answered(item) for item in value] if isinstance(value, list) else value


class Table:
    """Rows that do not change, as objects or in encoded form."""

    def __init__(self, rows: Sequence[Row] | None = None, encoded: Sequence[bytes] | None = None) -> None:
        """Give one of the two. The other is computed row by row when it is needed."""
        self._rows = rows
        self._encoded: list[bytes | None] = [None] * len(rows or ()) if encoded is None else list(encoded)
        self._orders: dict[tuple[str, ...], tuple[list[int], list[str] | None]] = {}

    def __len__(self) -> int:
        return len(self._encoded)

    def row(self, index: int) -> Row:
        """One row. The caller must not change it."""
        if self._rows is not None:
            return self._rows[index]
        decoded: Row = orjson.loads(self._encoded[index] or b"{}")
        return decoded

    def rows(self) -> Iterator[Row]:
        """All rows in the order of the table."""
        return map(self.row, range(len(self)))

    def encoded(self, index: int) -> bytes:
        """One row as JSON."""
        line = self._encoded[index]
        if line is None:
            try:
                line = orjson.dumps(self.row(index))
            except orjson.JSONEncodeError:  # an incomplete character
                line = orjson.dumps(as_answered(self.row(index)))
            self._encoded[index] = line
        return line

    def take(self, indices: Iterable[int]) -> Table:
        """A table of some rows, in this order. Rows that are encoded already are not encoded again."""
        chosen = list(indices)
        if self._rows is None:
            return Table(encoded=[self.encoded(index) for index in chosen])
        table = Table(rows=[self._rows[index] for index in chosen])
        table._encoded = [self.encoded(index) for index in chosen]
        return table

    def order(self, keys: tuple[str, ...]) -> tuple[list[int], list[str] | None]:
        """Row numbers in the order of `keys`, and the values of the first key if bisection can search them."""
        if keys not in self._orders:
            self._orders[keys] = self._sorted(keys)
        return self._orders[keys]

    def _sorted(self, keys: tuple[str, ...]) -> tuple[list[int], list[str] | None]:
        paths = [key.removeprefix("-") for key in keys]
        values = [tuple(sort_key(_field(row, path)) for path in paths) for row in self.rows()]
        order = list(range(len(values)))
        if any(key.startswith("-") for key in keys):
            for position in reversed(range(len(keys))):
                descending = keys[position].startswith("-")
                order.sort(key=lambda index, at=position: values[index][at], reverse=descending)  # type: ignore[misc]
        else:
            order.sort(key=values.__getitem__)
        texts = [values[index][0][1] for index in order]
        is_bisectable = not keys[0].startswith("-") and all(value[0][0] == 2 for value in values)
        return order, texts if is_bisectable else None

    def join(self) -> bytes:
        """All rows as the elements of a JSON array, without the brackets."""
        return b",".join(self.encoded(index) for index in range(len(self)))


def _field(row: Mapping[str, Any], path: str) -> Any:
    return row.get(path) if "." not in path else lookup(row, path)


class View:
    """A table with filters and an order that are computed when the rows are needed."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._filters: list[Expression] = []
        self._keys: tuple[str, ...] = ()

    def filter(self, expression: Expression) -> None:
        """Keep only the rows for which the expression is true."""
        self._filters.append(expression)

    def sort(self, keys: Sequence[str]) -> None:
        """Order by these keys. Rows with equal keys keep their order."""
        self._keys = (*keys, *self._keys)

    def table(self, limit: int | None = None) -> Table:
        """Compute the first `limit` rows, or all of them."""
        if not self._filters and not self._keys and limit is None:
            return self._table
        return self._table.take(islice(self._indices(), limit))

    def _indices(self) -> Iterator[int]:
        if not self._keys:
            return self._matching(range(len(self._table)), self._filters)
        order, texts = self._table.order(self._keys)
        bound = self._filters[0].bound if len(self._filters) == 1 else None
        if bound is not None and texts is not None and bound.path == self._keys[0]:
            start = (bisect_left if bound.inclusive else bisect_right)(texts, bound.value)
            return islice(order, start, None)
        return self._matching(order, self._filters)

    def _matching(self, indices: Iterable[int], filters: Sequence[Expression]) -> Iterator[int]:
        for index in indices:
            row = self._table.row(index) if filters else {}
            if all(expression.evaluate(row) for expression in filters):
                yield index
