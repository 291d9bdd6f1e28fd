"""The bucket of the demo: a few nightly dumps with all peculiarities of Heap's buckets.

The dump ids have three, four and ten digits. Times of users are microseconds at first and text later. A property
is added, one event is exported again in full, another event is archived, and each dump has more merges of users.
"""

from dataclasses import dataclass
from enum import StrEnum

from simulators.heap.account import Account, Part, full, more
from simulators.heap.avro_files import Column
from simulators.heap.catalog import EVENT_METADATA, EVENT_TABLES, MIGRATIONS, PAGEVIEWS, SESSIONS, USERS
from simulators.heap.layout import DEFAULT_BUCKET, Dump
from simulators.heap.times import TimeEncoding

_IDS = (998, 999, 1000, 1_008_461_850, 1_008_462_912)


class Size(StrEnum):
    """The amount of data."""

    TINY = "tiny"
    """2 event tables, 3 dumps, tens of rows."""
    DEMO = "demo"
    """12 event tables, 5 dumps, about 20,000 rows."""


@dataclass(frozen=True)
class _Amounts:
    dumps: int
    events: int
    rows: int
    files: int


_AMOUNTS = {Size.TINY: _Amounts(3, 2, 10, 1), Size.DEMO: _Amounts(5, 12, 300, 3)}


def demo_dumps(size: Size = Size.DEMO, *, seed: int = 1, bucket: str = DEFAULT_BUCKET) -> list[Dump]:
    """The dumps, in order."""
    amounts = _AMOUNTS[size]
    account = Account(seed=seed, bucket=bucket, with_properties=True, with_reports=True)
    dumps = [account.dump(_IDS[0], _first(amounts))]
    for number in range(1, amounts.dumps):
        dumps.append(account.dump(_IDS[number], _next(amounts, number)))
    return dumps


def _first(amounts: _Amounts) -> dict[str, Part]:
    rows, files = amounts.rows, amounts.files
    events = {table: full(rows, files=files) for table in EVENT_TABLES[: amounts.events]}
    return {
        USERS: full(rows, times=(TimeEncoding.EPOCH_US,)),
        MIGRATIONS: full(rows),
        SESSIONS: full(3 * rows, files=files),
        PAGEVIEWS: full(5 * rows, files=2 * files),
        **events,
        EVENT_METADATA: full(0, files=0),
    }


def _next(amounts: _Amounts, number: int) -> dict[str, Part]:
    rows = max(4, amounts.rows // 6)
    tables = EVENT_TABLES[: amounts.events]
    events = {table: more(rows) for table in tables}
    if number == 1:
        events[tables[0]] = more(rows, add=(Column("shopifypdp_id"),))
    elif number == 2:
        events[tables[1]] = full(rows, files=amounts.files)
    else:
        del events[tables[-1]]
    return {
        USERS: more(rows, repeated=0.5),
        MIGRATIONS: full(rows),
        SESSIONS: more(3 * rows),
        PAGEVIEWS: more(5 * rows, files=amounts.files),
        **events,
        EVENT_METADATA: full(0, files=0) if number < 2 else full(len(tables)),
    }
