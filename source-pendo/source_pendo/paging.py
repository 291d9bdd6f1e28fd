"""Pages of an aggregation's rows, by key.

An aggregation has no paging of its own (certain: two vendors' documentation says so), so pages are made by key: sort by
a key, take `limit` rows, hold back the rows of the last key, ask again from that key on. No offset and no timestamp is
involved, which makes it exact: all rows of a day carry the same `day`, so a time cursor could never pass a day with
more rows than a page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import system_error

from source_pendo.aggregation import Bound, Row

#: A state must stay under two kilobytes, so a key that is longer than this as JSON is not written into one. Bytes.
_LONGEST_KEY_IN_STATE: Final = 1_500
#: Pages smaller than this do not make a query easier
_SMALLEST_PAGE: Final = 500

#: U+FFFD stands for bytes that were no text: Pendo cuts ids at 128 bytes (reported), in the middle of a letter if it
#: must. What the expression language makes of control characters and of Unicode's specials is not known.
_NOT_EXACT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff0-\uffff]")
_NOT_PLAIN: Final = re.compile("""["'`\\\\]""")


def is_exact(key: str) -> bool:
    """Whether Pendo compares with exactly this id when it is asked for."""
    return not _NOT_EXACT.search(key)


def may_begin_at(key: str) -> bool:
    """Whether a page may begin at this key: it returns to Pendo byte for byte and needs no escapes."""
    return is_exact(key) and not _NOT_PLAIN.search(key)


def fits_a_state(key: str) -> bool:
    """Whether a key may be kept in a state: it is short, with a state's ASCII escapes, and a page may begin there."""
    return len(json.dumps(key)) <= _LONGEST_KEY_IN_STATE and may_begin_at(key)


class KeyTooLarge(Exception):
    """One key has more rows than the largest page, or no key of it is one at which a page could begin."""

    def __init__(self, key: str) -> None:
        super().__init__("one key has more rows than the largest page")
        self.key = key


class KeyPager:
    """Pages through rows sorted by a text key that is never null.

    A page is fed in chunks. Rows that are certain to be complete come out at once; only the last rows are held, because
    the next page has them again and may have more of them. `filter`, `order` and `limit` describe the page to ask for;
    `done` means that there is none.

    A page begins only at a key whose bound the server certainly understands:
    - The server's collation is not known. It may take `Ann` and `ann` for one key and mix their rows. So keys that
      differ only in case stay together, which under any other collation holds a few rows longer and no more.
    - An id that does not return to Pendo byte for byte, because it was cut in the middle of a letter or holds control
      characters, would skip rows: no page ever begins at one.
    - Pendo warns its customers that ids with quotes or backslashes may misbehave (certain). No page begins at one of
      these, unless the largest page holds nothing else.

    The protocol loses nothing, repeats nothing and ends, as long as the server's `sort` and its comparison agree with
    each other.
    """

    def __init__(
        self,
        column: str,
        limit: int,
        largest: int,
        bound: Bound | None = None,
        key_of: Callable[[Any], Any] | None = None,
    ) -> None:
        """`key_of` returns the key of a row; None: rows are dicts."""
        self.column = column
        self.bound = bound
        self.limit = limit
        self.done = False
        self._page_limit = limit
        self._largest = max(largest, limit)
        self._left: set[Bound] = set()
        self._held: list[Any] = []
        self._count = 0
        self._key_of = key_of or (lambda row: row.get(column))

    @property
    def order(self) -> list[str]:
        """The columns by which the rows must be sorted."""
        return [self.column]

    @property
    def filter(self) -> str | None:
        """The filter of the page to ask for; None for a page without one."""
        return self.bound.filter_on(self.column) if self.bound else None

    @property
    def grown(self) -> bool:
        """Whether the next page is larger than the usual one, because of the ids that were met."""
        return self.limit > self._page_limit

    @property
    def small(self) -> bool:
        """Whether the next page is too small to be halved."""
        return not self.grown and self.limit // 2 < _SMALLEST_PAGE

    def add(self, rows: list[Any]) -> list[Any]:
        """Take rows of the page; returns the rows, earlier ones first, that the next page will not have again."""
        self._count += len(rows)
        start = len(rows) - 1
        while start and not self._may_begin(rows[start], rows[start - 1]):
            start -= 1
        if start == 0 and self._held and not self._may_begin(rows[0], self._held[-1]):
            self._held += rows
            return []
        ready = self._held + rows[:start] if self._held else rows[:start]
        self._held = rows[start:]
        return ready

    def end_page(self) -> list[Any]:
        """Close the page; returns the held rows that are complete after all. Moves to the next page.

        Raises KeyTooLarge if one key fills the largest page, or if it holds only keys at which no page can begin.
        """
        held, self._held = self._held, []
        count, self._count = self._count, 0
        if count < self.limit:
            self.done = True
            return held
        begin = self._bound_at(held[0])
        if len(held) < count:
            self._continue_at(begin)
        elif self.limit < self._largest:
            self.limit = min(self.limit * 2, self._largest)
        else:
            start = len(held) - 1
            while start and not self._may_begin(held[start], held[start - 1], is_exact):
                start -= 1
            if not start:
                raise KeyTooLarge(begin.key)
            self._continue_at(self._bound_at(held[start]))
            return held[:start]
        return []

    def broken_off(self) -> None:
        """The page broke in the middle: continue at the first row that was held."""
        held, self._held = self._held, []
        count, self._count = self._count, 0
        if held and len(held) < count:
            self._continue_at(self._bound_at(held[0]))

    def skip(self, key: str) -> None:
        """Continue behind a key whose rows were read in another way."""
        self.bound = Bound(">", key)
        self.limit = self._page_limit

    def start_over(self) -> None:
        """Go back to the first page of all rows."""
        self.bound, self.done, self.limit = None, False, self._page_limit
        self._held, self._count = [], 0
        self._left.clear()

    def shrink(self) -> None:
        """After a page that was too much: pages of half the size, or of the usual size if this one had grown.

        No later page is larger, whatever it holds.
        """
        self.limit = self._page_limit = self._largest = self._page_limit if self.grown else self.limit // 2

    def _may_begin(self, row: Any, before: Any, at: Callable[[str], bool] = may_begin_at) -> bool:
        """Whether a page may begin at a row that follows another."""
        if self._tie_key(row) == self._tie_key(before):
            return False
        key = self._key_of(row)
        return not (isinstance(key, str) and not at(key))

    def _tie_key(self, row: Any) -> Hashable:
        """Rows with an equal one must stay together."""
        key = self._key_of(row)
        return key.casefold() if isinstance(key, str) else key

    def _bound_at(self, row: Any) -> Bound:
        key = self._key_of(row)
        if not isinstance(key, str):
            raise no_progress(f"a row has no {self.column}, by which its page is followed by the next")
        return Bound(">=", key)

    def _continue_at(self, bound: Bound) -> None:
        if bound in self._left:
            raise no_progress("a page began again where an earlier one did")
        self._left.add(bound)
        self.bound = bound
        self.limit = self._page_limit


@dataclass(frozen=True, slots=True)
class ChangeBound(Bound):
    """Where a page of changes begins: a time of change in epoch milliseconds, and a key among the changes then."""

    at: int


class ChangePager(KeyPager):
    """Pages through rows sorted by the time of their last change, then by key.

    Bulk uploads stamp thousands of rows with one millisecond (certain: Pendo's own sample), so time alone cannot page.
    """

    def __init__(
        self,
        cursor: str,
        column: str,
        limit: int,
        largest: int,
        *,
        span: tuple[int, int],
        position: Callable[[Row], tuple[int, str]],
    ) -> None:
        """`span` is the first and the last millisecond; `position` returns time and key of a row, or raises."""
        super().__init__(column, limit, largest)
        self._cursor = cursor
        self._span = span
        self._position = position

    @property
    def order(self) -> list[str]:
        return [self._cursor, self.column]

    @property
    def filter(self) -> str:
        cursor, (low, high) = self._cursor, self._span
        begin = f"{cursor} >= {low}"
        if isinstance(self.bound, ChangeBound):
            at = self.bound.at
            begin = f"({cursor} > {at} || ({cursor} == {at} && {self.bound.filter_on(self.column)}))"
        return f"{begin} && {cursor} <= {high}"

    def _tie_key(self, row: Row) -> Hashable:
        at, key = self._position(row)
        return at, key.casefold()

    def _bound_at(self, row: Row) -> Bound:
        at, key = self._position(row)
        return ChangeBound(">=", key, at)


def no_progress(what: str) -> AirbyteTracedException:
    """The error for pages that do not move forward."""
    return system_error(
        "Pendo's pages do not move forward, so the stream was stopped before it ran for ever or lost rows. "
        "Run the sync again; if it happens again, report it.",
        what,
    )


def without_key(stream: str, column: str) -> AirbyteTracedException:
    """The error for a row without the column by which its page is followed by the next."""
    return system_error(
        f"Pendo answered a row of {stream} without {column}, by which it was asked for, so the sync cannot go on. "
        "Run it again; if it happens again, report it."
    )
