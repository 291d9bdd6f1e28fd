"""Keys for rows that have none.

No set of Pendo's columns is a unique key of its event rows: its documentation names one (object, hour or day, visitor,
account, server, address, browser), but on real subscriptions rows were found that shared even more (certain: the
maintainers of another connector measured it; a third gave up and hashes). So a row's key is a hash of what it *is*, not
of what it counts, and rows that are alike in that are numbered. The number is what makes every key safe: a row that
differs from another in something that no list here names gets a number, and is never lost.

The hash is BLAKE2b with 128 bits: as fast as SHA-256 with processor support, faster without, half the width in a
warehouse, and no two of 10^15 rows share one by chance.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b

from source_kit.json_text import dumps

from source_pendo.aggregation import Row


class IdentityIds:
    """Ids of rows whose counters grow: a hash over a *fixed* list of columns.

    Fixed, because these rows are read again for days: a column that Pendo adds tomorrow, or a counter that is not known
    as one, must not give the rows of the past new keys, which would double every sum in the destination. What the list
    leaves out still tells rows apart, by their ordinals. Missing, null and empty are the same: Pendo mixes the three.
    Rows must come with all rows of their visitor in one list, because the ordinals among equal identities are counted
    there, in order of `firstTime`, `lastTime` and the rest. `of` is what the rows have in common and do not say
    themselves.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)

    def __call__(self, rows: list[Row], of: Sequence[str] = ()) -> list[str]:
        """An id for each row, in the rows' order."""
        columns = self._columns
        identities = [dumps([*of, *[value or None for value in map(row.get, columns)]], sort_keys=True) for row in rows]
        return _numbered(rows, identities, _by_time)


class ContentIds:
    """Ids of rows that never change: a hash over all that Pendo sent, blanks left out.

    `ignored` are columns that depend on how the rows were asked for.
    """

    def __init__(self, ignored: Sequence[str]) -> None:
        self._ignored = frozenset(ignored)

    def __call__(self, rows: list[Row]) -> list[str]:
        """An id for each row, in the rows' order."""
        ignored = self._ignored
        contents = [
            dumps(
                {name: value for name, value in row.items() if (value or value == 0) and name not in ignored},
                sort_keys=True,
            )
            for row in rows
        ]
        return _numbered(rows, contents, lambda row: 0)


class GrowingIds:
    """Ids of rows of which some columns grow and the others are not all known: a hash over all but what grows.

    What grows are times of the last, durations and counts, by the names that Pendo gives them. A column that grows
    under another name would double its row whenever it has grown; one that is left out of the hash by mistake costs
    nothing, since rows that are alike in the rest are numbered.
    """

    def __call__(self, rows: list[Row], of: Sequence[str], before: Counter[bytes]) -> list[str]:
        """An id for each row, in the rows' order. `before` counts what the same answer had before, and is moved on."""
        ids = []
        for row in rows:
            rest = {name: value for name, value in row.items() if (value or value == 0) and not _grows(name)}
            identity = dumps([*of, rest], sort_keys=True)
            ordinal = before[identity]
            before[identity] += 1
            ids.append(digest(b"%b#%d" % (identity, ordinal) if ordinal else identity))
        return ids


@lru_cache(maxsize=1_000)
def _grows(name: str) -> bool:
    """Whether a column of this name grows while the row stays the same."""
    return re.fullmatch(r"last[A-Z]\w*|duration\w*|num[A-Z]\w*|count|\w*Counts?", name) is not None


def digest(content: bytes) -> str:
    """128 bits in 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


def _by_time(row: Row) -> tuple[float, float, bytes]:
    first, last = row.get("firstTime"), row.get("lastTime")
    rest = dumps(row, sort_keys=True)
    return (
        first if isinstance(first, int | float) else 0,
        last if isinstance(last, int | float) else 0,
        rest,
    )


def _numbered(rows: list[Row], identities: list[bytes], order: Callable[[Row], object]) -> list[str]:
    ids = [blake2b(identity, digest_size=16).hexdigest() for identity in identities]
    if len(set(ids)) == len(ids):
        return ids
    repeated = {identity for identity, times in Counter(identities).items() if times > 1}
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, identity in enumerate(identities):
        if identity in repeated:
            places[identity].append(place)
    for identity, alike in places.items():
        alike.sort(key=lambda place: order(rows[place]))  # type: ignore[arg-type,return-value]
        for ordinal, place in enumerate(alike[1:], start=1):
            ids[place] = digest(b"%b#%d" % (identity, ordinal))
    return ids
