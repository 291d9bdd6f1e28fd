"""A scenario of persons with several ids: what a query that puts persons together can get wrong."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulators.heap.account import Account
from simulators.heap.avro_files import Row
from simulators.heap.catalog import MIGRATIONS, PAGEVIEWS, SESSIONS, USERS, columns_of
from simulators.heap.layout import DataFile, Dump, FileStyle, TableDump
from simulators.heap.scenarios.builder import Scenario, ScenarioBuilder, Step

SIGN_UP, CHECKOUT = "newsletter_sign_up", "checkout_complete_order_web_"
_START = datetime(2026, 3, 1, 8, tzinfo=UTC)
_PEOPLE = 16
#: A person with two aliases
_ANN = 8


@dataclass(frozen=True)
class Person:
    """The id that a person has for good, and the anonymous ids that became it."""

    number: int

    @property
    def id(self) -> int:
        """Every fourth person never gave an identity, and has one id."""
        return 10_000 + self.number

    @property
    def aliases(self) -> tuple[int, ...]:
        """None, one or two."""
        return () if self.anonymous else tuple(20_000 + 10 * self.number + index for index in range(self.number % 3))

    @property
    def anonymous(self) -> bool:
        """Whether Heap does not know who it is."""
        return self.number % 4 == 3

    @property
    def identity(self) -> str | None:
        """What the site told Heap."""
        if self.anonymous:
            return None
        return "ann@example.com" if self.number == _ANN else f"person{self.number}@example.com"

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them, the one that counts first."""
        return (self.id, *self.aliases)


_EVERYBODY = tuple(map(Person, range(_PEOPLE)))


def several_ids_of_a_person(bucket: str, seed: int) -> list[Step]:
    """Two full dumps of every table, an increment, and one before it that arrives late.

    Anonymous rows changed after the identified ones, persons have two aliases, and sessions and events are there under
    both ids: some with the same `event_id`, some with another. Rows come again with other values in both increments.
    The first full dump has persons, sessions, orders and migrations that the second one has not.
    """
    rng = random.Random(seed)
    builder = ScenarioBuilder(Account(seed=seed, bucket=bucket))
    builder.step("everything, later replaced", _dump(bucket, 100, _replaced(rng), full=True))
    live = _everything(rng)
    builder.step("everything anew", _dump(bucket, 110, live, full=True))
    late, last = _again(live, rng, 111), _again(live, rng, 112)
    builder.step("an increment", _dump(bucket, 112, last))
    return builder.step("the increment before it arrives late", _dump(bucket, 111, late)).steps


def _everything(rng: random.Random) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {name: [] for name in (USERS, MIGRATIONS, SESSIONS, PAGEVIEWS, SIGN_UP, CHECKOUT)}
    for person in _EVERYBODY:
        rows[USERS] += [_user(person, index) for index in range(len(person.ids))]
        rows[MIGRATIONS] += [
            {"from_user_id": alias, "to_user_id": person.id, "time": _at(hours=person.number)}
            for alias in person.aliases
        ]
        for visit in range(person.number % 5):
            event = _event(40_000 + 10 * person.number + visit, person, rng, hours=50 * visit)
            rows[SESSIONS].append(event)
            rows[PAGEVIEWS].append(event | {"event_id": event["event_id"] + 10_000, "path": "/pricing"})
        if person.number % 5 != 4:
            rows[SIGN_UP].append(_event(60_000 + person.number, person, rng, hours=person.number))
        # after one day, six and nine; and one day before
        for index, days in enumerate(((1, 6), (6,), (9,), (-1, 9))[person.number % 4]):
            event_id = 70_000 + 10 * person.number + index
            rows[CHECKOUT].append(_event(event_id, person, rng, hours=person.number + 24 * days))
    return rows


def _replaced(rng: random.Random) -> dict[str, list[Row]]:
    """Rows that no longer count: of persons who are gone, under other ids, and orders that were none."""
    rows = _everything(rng)
    gone = Person(_PEOPLE + 1)
    rows[USERS] += [_user(gone, 0), _user(gone, 1)]
    rows[MIGRATIONS] = [row | {"to_user_id": gone.id} for row in rows[MIGRATIONS]]
    rows[MIGRATIONS].append(rows[MIGRATIONS][0] | {"from_user_id": _EVERYBODY[3].id})
    for name in (SESSIONS, PAGEVIEWS, SIGN_UP, CHECKOUT):
        rows[name] += [row | {"event_id": row["event_id"] + 500_000, "session_id": 9} for row in rows[name]]
    for name, first in ((SIGN_UP, 780_000), (CHECKOUT, 790_000)):
        rows[name] += [_event(first + person.number, person, rng, person.number + 1) for person in _EVERYBODY]
    return rows


def _again(live: Mapping[str, Sequence[Row]], rng: random.Random, dump_id: int) -> dict[str, list[Row]]:
    """An increment: half of the users and events come again, events under another id of the person; and new ones."""
    rows: dict[str, list[Row]] = {MIGRATIONS: list(live[MIGRATIONS])}
    rows[USERS] = [
        row | {"email": row["email"] and f"dump{dump_id}-{row['email']}", "last_modified": _at(hours=24 * dump_id)}
        for row in live[USERS]
        if rng.random() < 0.5
    ]
    persons = {user_id: person for person in _EVERYBODY for user_id in person.ids}
    for name in (SESSIONS, PAGEVIEWS, SIGN_UP, CHECKOUT):
        again = [row for row in live[name] if rng.random() < 0.6]
        rows[name] = [_under_another_id(row, persons[row["user_id"]], rng, dump_id) for row in again]
        new = _event(900_000 + dump_id, _EVERYBODY[dump_id % _PEOPLE], rng, hours=dump_id)
        rows[name].append(new)
    return rows


def _under_another_id(row: Row, person: Person, rng: random.Random, dump_id: int) -> Row:
    """The same row, known by a person's other id. A session may have another event of its own then."""
    again = row | {"user_id": rng.choice(person.ids), "city": f"city of dump {dump_id}"}
    if row["session_id"] == row["event_id"] and row["event_id"] % 2:
        again["event_id"] += 1_000 * dump_id
    return again


def _user(person: Person, index: int) -> Row:
    """The identified user changed on the 2nd day; the anonymous ones joined earlier and changed later."""
    known = index == 0 and not person.anonymous
    return {
        "user_id": person.ids[index],
        "identity": person.identity if known else None,
        "email": person.identity if known else None,
        "plan_tier": None if known else "free",
        "joindate": _at(hours=-10 * index),
        "last_modified": _at(hours=24 + index * (person.number + 1)),
    }


def _event(event_id: int, person: Person, rng: random.Random, hours: int) -> Row:
    user = rng.choice(person.ids)
    return {"event_id": event_id, "user_id": user, "session_id": event_id, "city": "first", "time": _at(hours=hours)}


def _at(hours: int) -> str:
    return f"{_START + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"


def _dump(bucket: str, dump_id: int, rows: Mapping[str, Sequence[Row]], *, full: bool = False) -> Dump:
    """A dump with one file a table. Migrations are exported in full in every dump."""
    tables = []
    for name, of_table in rows.items():
        columns = columns_of(name)
        whole = tuple({column.name: row.get(column.name) for column in columns} for row in of_table)
        file = DataFile(f"sync_{dump_id}/{name}/part-00000.avro", columns, whole, FileStyle())
        tables.append(TableDump(name, not full and name != MIGRATIONS, (file,)))
    return Dump(dump_id, tuple(tables), bucket)


SCENARIOS: tuple[Scenario, ...] = (several_ids_of_a_person,)
