"""A Heap environment whose rows belong together, as those of a real web shop do.

Page views and events belong to sessions, and sessions to users who had joined by then. Fewer sessions have a page view,
fewer still have an event, and each event table has its own share of the sessions. There is more on weekdays and by day
than on weekends and at night. All of it is invented.
"""

import random
import zlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache

from simulators.heap.account import Account
from simulators.heap.avro_files import Column, Row
from simulators.heap.catalog import EVENT_TABLES, MIGRATIONS, PAGEVIEWS, SESSIONS, USERS, value_of
from simulators.heap.times import SESSION_TIME

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_WEEKDAYS = (1.0, 1.05, 1.08, 1.02, 0.9, 0.55, 0.6)
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 10, 13, 14, 13, 12, 13, 14, 13, 12, 11, 11, 12, 12, 10, 7, 4)
_PAGES = (
    ("/", "Home"),
    ("/pricing", "Pricing — Shop"),
    ("/docs/getting-started", "Getting started"),
    ("/cart", "🛒 Cart"),
    ("/sale", "Sale"),
    ('/a "quoted" path', "Zeile\nUmbruch"),
)
_DEVICES = (
    ("Desktop", "web", "Mac OS X 14.4"),
    ("Desktop", "web", "Windows 11"),
    ("Mobile", "ios", "iOS 17.4"),
    ("Mobile", "android", "Android 14"),
    ("Tablet", "web", "iOS 17.4"),
)
_OF_THE_SESSION = ("user_id", "session_id", "library", "platform", "device_type", "country", "region", "city", "ip")
_BOUNCED = 0.08
"""The share of sessions without a page view, such as those of an app."""
_SHARES = (0.16, 0.09, 0.05, 0.12, 0.31, 0.22, 0.18, 0.07, 0.11, 0.04, 0.13, 0.03)
"""The share of sessions with an event, by event table: the first one is the sign-up."""


def event_share(table: str) -> float:
    """The share of the sessions that have an event of a table."""
    return _SHARES[EVENT_TABLES.index(table)] if table in EVENT_TABLES else 0.1


@lru_cache
def busyness(day: date) -> float:
    """Sessions of a day in relation to a Monday. It varies a little from week to week."""
    return _WEEKDAYS[day.weekday()] * (0.88 + zlib.crc32(day.isoformat().encode()) % 25 / 100)


@dataclass
class Shop(Account):
    """An `Account` with rows that belong together."""

    first_night: int = 0
    """When the first dump was written, in microseconds since 1970."""
    history_days: int = 1
    """Days that the first dump has. Every later dump has one."""
    _sessions: list[Row] = field(default_factory=list)
    """The new sessions of this dump."""
    _reached: dict[tuple[int, str], list[Row]] = field(default_factory=dict)

    @property
    def night(self) -> date:
        """The day before the next dump, which is the one that it has."""
        micros = self.first_night + (self._dumps - 1) * _DAY
        return datetime.fromtimestamp(micros // _SECOND, UTC).date()

    def _now(self) -> int:
        return self.first_night + (self._dumps - 1) * _DAY

    def _new_row(self, table: str, columns: tuple[Column, ...], rng: random.Random) -> Row:
        row = super()._new_row(table, columns, rng)
        if table == USERS:
            row |= self._user(row, rng)
        elif table == SESSIONS:
            row |= self._session(row, rng)
        elif "session_id" in row and table != MIGRATIONS:
            row |= self._in_session(table, row, rng)
        return row

    def _user(self, row: Row, rng: random.Random) -> Row:
        days = 700 if self._dumps == 1 else 1
        joined = self._now() - rng.randrange(days * _DAY // 1000) * 1000
        modified = rng.randrange(joined // 1000, self._now() // 1000) * 1000
        email = f"user{row['user_id'] % 10**6:06}@example.com"
        known = {"identity": email, "email": email} if row.get("identity") else {}
        return {"joindate": joined, "last_modified": modified, "handle": None, **known}

    def _session(self, row: Row, rng: random.Random) -> Row:
        if self._sessions and self._sessions[0]["_dump"] != self._dumps:
            self._sessions = []
        at = self._moment(rng)
        device, library, platform = rng.choices(_DEVICES, (5, 6, 4, 3, 1))[0]
        users = self._rows[USERS]
        for _ in range(8):
            user = users[int(len(users) * rng.random() ** 2)]
            if user["joindate"] <= at:
                break
        changed = {"time": at, "device_type": device, "library": library, "platform": platform}
        changed |= {"user_id": user["user_id"], "type": "session"}
        self._sessions.append({**row, **changed, "_dump": self._dumps})
        return changed

    def _moment(self, rng: random.Random) -> int:
        """An instant in the days of this dump."""
        days = self.history_days if self._dumps == 1 else 1
        midnights = [self._now() - (back + 1) * _DAY for back in range(days)]
        weights = [busyness(datetime.fromtimestamp(at // _SECOND, UTC).date()) for at in midnights]
        hour = rng.choices(range(24), _HOURS)[0]
        return rng.choices(midnights, weights)[0] + hour * 3600 * _SECOND + rng.randrange(3_600_000) * 1000

    def _in_session(self, table: str, row: Row, rng: random.Random) -> Row:
        """What a page view or an event has of its session. The same sessions always get far."""
        if not self._sessions:
            return {}
        session = rng.choice(self._far_enough(table))
        seconds = rng.randrange(0, 300) if table == PAGEVIEWS else rng.randrange(20, 900)
        changed = {name: session[name] for name in _OF_THE_SESSION if name in row and name in session}
        changed["time"] = min(session["time"] + seconds * _SECOND, self._now() - 1000)
        path, title = rng.choices(_PAGES, (10, 6, 5, 4, 3, 1))[0]
        changed |= {name: value for name, value in (("path", path), ("title", title)) if name in row}
        if isinstance(row.get(SESSION_TIME), float):
            changed[SESSION_TIME] = float(seconds)
        if "type" in row:
            changed["type"] = "view page" if table == PAGEVIEWS else "click"
        return changed

    def _far_enough(self, table: str) -> list[Row]:
        """The sessions of this dump that may have rows of a table."""
        key = self._dumps, table
        if key not in self._reached:
            limit = 1 - _BOUNCED if table == PAGEVIEWS else min(1, 1.5 * event_share(table))
            far = [row for row in self._sessions if zlib.crc32(str(row["session_id"]).encode()) / (1 << 32) < limit]
            self._reached[key] = far or self._sessions
        return self._reached[key]

    def _later(self, row: Row, columns: tuple[Column, ...], rng: random.Random) -> Row:
        """The row in a later dump: one property has changed, and a user has a later `last_modified`."""
        row |= {column.name: value_of(column, rng) for column in columns if column.name not in row}
        if "plan_tier" in row:
            row |= {"plan_tier": rng.choice(("free", "pro", "enterprise"))}
        elif "referrer" in row:
            row |= {"referrer": rng.choice(("direct", "https://www.google.com/"))}
        if "last_modified" in row:
            row["last_modified"] = self._now() - rng.randrange(1, _DAY // 1000) * 1000
        return {column.name: row[column.name] for column in columns}
