"""The bucket of the demo: nightly dumps of a web shop with all peculiarities of Heap's buckets.

The dump ids have three, four and ten digits. Times of users are microseconds at first and text later. A property
is added, one event is exported again in full, another event is archived, and each dump has more merges of users.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from simulators.heap.account import Part, full, more
from simulators.heap.avro_files import Column
from simulators.heap.catalog import EVENT_METADATA, EVENT_TABLES, MIGRATIONS, PAGEVIEWS, SESSIONS, USERS
from simulators.heap.layout import DEFAULT_BUCKET, Dump
from simulators.heap.shop import Shop, busyness, event_share
from simulators.heap.times import TimeEncoding

_IDS = (998, 999, 1000, 1_008_461_850, 1_008_462_912)
_NEXT_IDS = 1_061
"""How much the ids of two nights differ after those."""
DEFAULT_NOW = datetime(2024, 5, 6, tzinfo=UTC)
_DAY = timedelta(days=1)


class Size(StrEnum):
    """The amount of data."""

    TINY = "tiny"
    """2 event tables, 3 dumps, tens of rows."""
    DEMO = "demo"
    """12 event tables, 5 dumps, about 15,000 rows in 40 days."""


@dataclass(frozen=True)
class _Amounts:
    dumps: int
    events: int
    users: int
    sessions: int
    """On a usual Monday."""
    days: int
    """Days of the first dump."""
    files: int


_AMOUNTS = {Size.TINY: _Amounts(3, 2, 10, 12, 3, 1), Size.DEMO: _Amounts(5, 12, 420, 60, 36, 3)}


def demo_dumps(
    size: Size = Size.DEMO, *, seed: int = 1, bucket: str = DEFAULT_BUCKET, now: datetime = DEFAULT_NOW, later: int = 0
) -> list[Dump]:
    """The dumps, in order. The last one is from the midnight (UTC) before `now`.

    With `later` they are the same dumps and one more for each of so many nights after `now`.
    """
    amounts = _AMOUNTS[size]
    last_night = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first_night = last_night - (amounts.dumps - 1) * _DAY
    shop = Shop(
        seed=seed,
        bucket=bucket,
        with_properties=True,
        with_reports=True,
        first_night=int(first_night.timestamp()) * 1_000_000,
        history_days=amounts.days,
    )
    dumps = [shop.dump(_IDS[0], _first(amounts, first_night))]
    for number in range(1, amounts.dumps + later):
        dumps.append(shop.dump(_id(number), _next(amounts, number, first_night + number * _DAY)))
    return dumps


def _id(number: int) -> int:
    return _IDS[number] if number < len(_IDS) else _IDS[-1] + (number - len(_IDS) + 1) * _NEXT_IDS


def _sessions(amounts: _Amounts, night: datetime, days: int = 1) -> int:
    """The sessions of the days before a night."""
    return round(amounts.sessions * sum(busyness((night - (back + 1) * _DAY).date()) for back in range(days)))


def _first(amounts: _Amounts, night: datetime) -> dict[str, Part]:
    sessions, files = _sessions(amounts, night, amounts.days), amounts.files
    events = {
        table: full(max(4, round(sessions * event_share(table))), files=files)
        for table in EVENT_TABLES[: amounts.events]
    }
    return {
        USERS: full(amounts.users, times=(TimeEncoding.EPOCH_US,)),
        MIGRATIONS: full(amounts.users),
        SESSIONS: full(sessions, files=files),
        PAGEVIEWS: full(round(2.7 * sessions), files=2 * files),
        **events,
        EVENT_METADATA: full(0, files=0),
    }


def _next(amounts: _Amounts, number: int, night: datetime) -> dict[str, Part]:
    sessions = _sessions(amounts, night)
    tables = EVENT_TABLES[: amounts.events]
    events = {table: more(max(2, round(sessions * event_share(table)))) for table in tables}
    if number == 1:
        events[tables[0]] = more(events[tables[0]].rows, add=(Column("shopifypdp_id"),))
    elif number == 2:
        events[tables[1]] = full(events[tables[1]].rows, files=amounts.files, kept=0.9)
    else:
        del events[tables[-1]]
    return {
        USERS: more(max(4, amounts.users // 60), repeated=0.5),
        MIGRATIONS: full(amounts.users),
        SESSIONS: more(sessions),
        PAGEVIEWS: more(round(2.7 * sessions), files=amounts.files),
        **events,
        EVENT_METADATA: full(0, files=0) if number < 2 else full(len(tables)),
    }
