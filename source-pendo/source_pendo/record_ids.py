"""Keys for rows that have none.

No set of columns is a unique key of Pendo's event rows: its documentation names one (object, hour or day, visitor,
account, server, address, browser), but real subscriptions have rows that share even more (certain: the maintainers of
another connector measured it). So a key is a hash of what identifies a row, not of what it counts. Rows with the same
identity are numbered, so a row that differs from another only in a column that is not hashed is never lost.

The hash has 128 bits: half the width of SHA-256 in a warehouse, and no two of 10^15 rows have the same one by chance.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence, Set
from functools import lru_cache
from hashlib import blake2b

from source_kit.json_text import dumps

from source_pendo.aggregation import Row


def identity_ids(rows: list[Row], columns: Sequence[str], of: Sequence[str] = ()) -> list[str]:
    """Ids of rows whose counters grow: a hash over a *fixed* list of columns.

    Fixed, because these rows are read again for days: a column that Pendo adds tomorrow, or a counter that is not known
    as one, must not give new keys to the rows of the past, which would double every sum in the destination. Rows that
    differ only in other columns have ordinals. Missing, null and empty are the same: Pendo mixes the three. All rows of
    a visitor must be in one list, because ordinals are counted in it, in order of `firstTime`, `lastTime` and the rest.
    `of` is hashed, too: what the rows have in common and do not contain.
    """
    identities = [dumps([*of, *[value or None for value in map(row.get, columns)]], sort_keys=True) for row in rows]
    return _numbered(rows, identities, _by_time)


def content_ids(rows: list[Row], ignored: Set[str]) -> list[str]:
    """Ids of rows that never change: a hash over all that Pendo sent, without blanks.

    `ignored` are columns that depend on the query.
    """
    contents = (
        {name: value for name, value in row.items() if (value or value == 0) and name not in ignored} for row in rows
    )
    return _numbered(rows, [dumps(content, sort_keys=True) for content in contents], lambda row: 0)


def growing_ids(rows: list[Row], of: Sequence[str], before: Counter[bytes]) -> list[str]:
    """Ids of rows in which some columns grow and not all others are known: a hash over all but the growing ones.

    Times of the last activity, durations and counts grow; they are known by Pendo's names for them. A column that grows
    under another name would double its row each time. A column that is taken for a growing one by mistake costs
    nothing, since rows that are equal in the rest are numbered. `before` counts earlier rows of the same answer and is
    updated.
    """
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
    return re.fullmatch(r"last[A-Z]\w*|duration\w*|num[A-Z]\w*|count|\w*Counts?", name) is not None


def digest(content: bytes) -> str:
    """128 bits in 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


def _by_time(row: Row) -> tuple[float, float, bytes]:
    times = (row.get("firstTime"), row.get("lastTime"))
    first, last = (time if isinstance(time, int | float) else 0 for time in times)
    return first, last, dumps(row, sort_keys=True)


def _numbered(rows: list[Row], identities: list[bytes], order: Callable[[Row], object]) -> list[str]:
    ids = list(map(digest, identities))
    if len(set(ids)) == len(ids):
        return ids
    repeated = {identity for identity, times in Counter(identities).items() if times > 1}
    indexes: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, identity in enumerate(identities):
        if identity in repeated:
            indexes[identity].append(index)
    for identity, equal in indexes.items():
        equal.sort(key=lambda index: order(rows[index]))  # type: ignore[arg-type,return-value]
        for ordinal, index in enumerate(equal[1:], start=1):
            ids[index] = digest(b"%b#%d" % (identity, ordinal))
    return ids
