"""Scenarios of dumps and their order: first sync, increments, full re-exports, late and repeated manifests."""

import random

from simulators.heap.account import Account, Part, full, more
from simulators.heap.avro_files import Column
from simulators.heap.catalog import MIGRATIONS, SESSIONS, USERS
from simulators.heap.layout import Dump, TableDump, noise, sync_report
from simulators.heap.scenarios.builder import Scenario, ScenarioBuilder, Step, Trouble

_EVENTS = "search_submit"


def _with_first_dump(bucket: str, seed: int, dump_id: int = 100) -> tuple[Account, ScenarioBuilder]:
    """An account and a bucket with its first dump, which is full for every table, and with `noise()`."""
    account = Account(seed=seed, bucket=bucket, with_properties=True, with_reports=True)
    builder = ScenarioBuilder(account)
    parts = {USERS: full(40), MIGRATIONS: full(2), SESSIONS: full(30, files=2), _EVENTS: full(30)}
    builder.step("the first dump, every table full", account.dump(dump_id, parts), more=noise())
    return account, builder


def _increment(account: Account, dump_id: int, **parts: Part) -> Dump:
    """An increment of four tables. `parts` replaces some of them."""
    usual = {USERS: more(5), MIGRATIONS: full(1), SESSIONS: more(10), _EVENTS: more(10)}
    return account.dump(dump_id, {**usual, **parts})


def first_sync(bucket: str, seed: int) -> list[Step]:
    """One dump, full for every table."""
    return _with_first_dump(bucket, seed)[1].steps


def no_new_dump(bucket: str, seed: int) -> list[Step]:
    """Nothing new except a sync report."""
    _, builder = _with_first_dump(bucket, seed)
    return builder.add("a failed sync left its report", [sync_report(101, 1714608000000, "timeout")]).steps


def one_new_dump(bucket: str, seed: int) -> list[Step]:
    """An increment."""
    account, builder = _with_first_dump(bucket, seed)
    return builder.step("an increment", _increment(account, 101)).steps


def several_new_dumps(bucket: str, seed: int) -> list[Step]:
    """Three increments between two syncs."""
    account, builder = _with_first_dump(bucket, seed)
    return builder.step("three increments", *(_increment(account, 101 + index) for index in range(3))).steps


def resync_in_the_newest(bucket: str, seed: int) -> list[Step]:
    """An increment, then a dump that exports sessions in full."""
    account, builder = _with_first_dump(bucket, seed)
    builder.step("an increment", _increment(account, 101))
    return builder.step("sessions in full", _increment(account, 102, sessions=full(10))).steps


def resync_in_the_middle(bucket: str, seed: int) -> list[Step]:
    """Four dumps between two syncs. The second one is full for sessions, so 101 is never read for them."""
    account, builder = _with_first_dump(bucket, seed)
    dumps = [
        _increment(account, 101),
        _increment(account, 102, sessions=full(10)),
        _increment(account, 103),
        _increment(account, 104),
    ]
    builder.step("four dumps, the second full for sessions", *dumps)
    return builder.step("an increment", _increment(account, 105)).steps


def two_resyncs_unread(bucket: str, seed: int) -> list[Step]:
    """Two full exports of sessions between two syncs. Only the later one counts."""
    account, builder = _with_first_dump(bucket, seed)
    dumps = [
        _increment(account, 101, sessions=full(10)),
        _increment(account, 102),
        _increment(account, 103, sessions=full(5)),
        _increment(account, 104),
    ]
    return builder.step("two full exports of sessions", *dumps).steps


def empty_resync(bucket: str, seed: int) -> list[Step]:
    """A full export without files empties the table. Later increments fill it again."""
    account, builder = _with_first_dump(bucket, seed)
    empty = full(0, files=0, kept=0)
    builder.step("sessions in full, without a file", _increment(account, 101, sessions=empty))
    builder.step("an increment", _increment(account, 102))
    empty_files = full(0, files=2, kept=0)
    return builder.step(
        "sessions in full, two files without rows", _increment(account, 103, sessions=empty_files)
    ).steps


def table_absent_from_the_newest(bucket: str, seed: int) -> list[Step]:
    """A dump without sessions. No rows are deleted."""
    account, builder = _with_first_dump(bucket, seed)
    builder.step("no sessions in it", account.dump(101, {USERS: more(5), MIGRATIONS: full(1)}))
    return builder.step("sessions again", _increment(account, 102)).steps


def table_returns_with_a_full_dump(bucket: str, seed: int) -> list[Step]:
    """A dump without sessions, then a dump with all of them, as for an event that is archived and restored."""
    account, builder = _with_first_dump(bucket, seed)
    builder.step("no sessions in it", account.dump(101, {USERS: more(5), MIGRATIONS: full(1)}))
    return builder.step("sessions in full", _increment(account, 102, sessions=full(10, kept=0.2))).steps


def new_table(bucket: str, seed: int) -> list[Step]:
    """An event is switched on in Heap: a new table."""
    account, builder = _with_first_dump(bucket, seed)
    return builder.step("a new event", _increment(account, 101, video_play=full(15))).steps


def no_full_dump_ever(bucket: str, seed: int) -> list[Step]:
    """The oldest manifests were deleted. The live rows start with the oldest remaining dump."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    dumps = [account.dump(500 + index, {USERS: more(10), SESSIONS: more(10)}) for index in range(2)]
    builder.step("two increments and nothing before them", *dumps)
    return builder.step("an increment", account.dump(502, {USERS: more(5), SESSIONS: more(5)})).steps


def manifest_without_its_folder(bucket: str, seed: int) -> list[Step]:
    """A lifecycle rule deleted the files of a dump but not its manifest. A later full export repairs every table."""
    account, builder = _with_first_dump(bucket, seed)
    dump = _increment(account, 101)
    builder.published[101] = dump
    lost = {table.name: Trouble.MISSING_FILE for table in dump.tables if table.files}
    builder.add("a manifest whose files are gone", [dump.manifest_object()], fails=lost)
    healing = {USERS: full(5), MIGRATIONS: full(1), SESSIONS: full(10), _EVENTS: full(10)}
    return builder.step("every table in full", account.dump(102, healing)).steps


def folder_without_a_manifest(bucket: str, seed: int) -> list[Step]:
    """The files of an unfinished dump are in the bucket. They do not count until the manifest arrives."""
    account, builder = _with_first_dump(bucket, seed)
    dump = _increment(account, 101)
    builder.add("files without a manifest", dump.data_objects())
    return builder.step("the manifest too", dump).steps


def redelivered_manifest(bucket: str, seed: int) -> list[Step]:
    """Heap writes a dump again: same id, other file names, another ETag. The old files are deleted."""
    account, builder = _with_first_dump(bucket, seed)
    dump = _increment(account, 101, sessions=more(20, files=4))
    builder.step("an increment in four files", dump)
    again = account.rewritten(dump, "retry")
    builder.step("the same dump, written again", again, delete=[file.key for file in dump.files()])
    return builder.step("an increment", _increment(account, 102)).steps


def late_lower_id(bucket: str, seed: int) -> list[Step]:
    """The dump 101, which exports more, finishes after 102."""
    account, builder = _with_first_dump(bucket, seed)
    late = _increment(account, 101)
    builder.step("102 is finished first", _increment(account, 102))
    builder.step("101 arrives", late)
    return builder.step("an increment", _increment(account, 103)).steps


def late_full_dump(bucket: str, seed: int) -> list[Step]:
    """The late dump 101 is full for sessions, so the rows of 102, which were read already, belong to its generation."""
    account, builder = _with_first_dump(bucket, seed)
    late = _increment(account, 101, sessions=full(10))
    builder.step("102 is finished first", _increment(account, 102))
    return builder.step("101 arrives, sessions in full", late).steps


def very_late_full_dump(bucket: str, seed: int) -> list[Step]:
    """The dump 101, full for sessions, is exported in the background. It is finished after sixty others."""
    account, builder = _with_first_dump(bucket, seed)
    late = _increment(account, 101, sessions=full(10))
    others = (account.dump(102 + index, {USERS: more(1), SESSIONS: more(1)}) for index in range(60))
    builder.step("sixty dumps are finished first", *others)
    builder.step("101 arrives, sessions in full", late)
    return builder.step("an increment", _increment(account, 200)).steps


def ids_cross_a_power_of_ten(bucket: str, seed: int) -> list[Step]:
    """Ids 998, 999, 1000, then ten digits. Sorted as text, `1000` would come before `999`."""
    account, builder = _with_first_dump(bucket, seed, dump_id=998)
    builder.step("999 is full for sessions", _increment(account, 999, sessions=full(10)))
    for dump_id in (1000, 999_999_999, 1_008_461_850):
        builder.step(f"dump {dump_id}", _increment(account, dump_id))
    return builder.steps


def more_than_a_thousand_manifests(bucket: str, seed: int) -> list[Step]:
    """1,050 dumps of users. The last full one is number 1,040. A LIST needs two pages."""
    account = Account(seed=seed, bucket=bucket)
    dumps = [account.dump(200 + index, {USERS: full(3) if index == 1_039 else more(1)}) for index in range(1_050)]
    return ScenarioBuilder(account).step("1,050 dumps", *dumps).steps


def migrations_in_every_dump(bucket: str, seed: int) -> list[Step]:
    """`user_migrations` is full in each dump and grows. The other tables are incremental."""
    account, builder = _with_first_dump(bucket, seed)
    account.migrated = 0.2
    for dump_id in (101, 102, 103):
        builder.step("an increment", _increment(account, dump_id, users=more(20), user_migrations=full(4)))
    return builder.steps


def missing_incremental_flag(bucket: str, seed: int) -> list[Step]:
    """A manifest without the flag `incremental` for sessions (never observed), then the same one with the flag."""
    account, builder = _with_first_dump(bucket, seed)
    dump = _increment(account, 101)
    tables = tuple(
        TableDump(table.name, None, table.files) if table.name == SESSIONS else table for table in dump.tables
    )
    flagless = Dump(101, tables, bucket)
    builder.published[101] = dump
    builder.add("no flag for sessions", flagless.objects(), fails={SESSIONS: Trouble.NO_FLAG})
    return builder.step("the flag is there", dump).steps


SCENARIOS: tuple[Scenario, ...] = (
    *(first_sync, no_new_dump, one_new_dump, several_new_dumps, resync_in_the_newest, resync_in_the_middle),
    *(two_resyncs_unread, empty_resync, table_absent_from_the_newest, table_returns_with_a_full_dump, new_table),
    *(no_full_dump_ever, manifest_without_its_folder, folder_without_a_manifest, redelivered_manifest),
    *(late_lower_id, late_full_dump, very_late_full_dump, ids_cross_a_power_of_ten, more_than_a_thousand_manifests),
    *(migrations_in_every_dump, missing_incremental_flag),
)


def random_history(seed: int, *, bucket: str = "heap-rs3-acme-prod", steps: int = 6) -> list[Step]:
    """A random history: increments, full dumps, missing tables, new columns, several dumps between two syncs."""
    rng = random.Random(seed)
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    dump_id = rng.choice((7, 97, 998, 999_999_990))
    for _ in range(steps):
        dumps = []
        for _ in range(rng.randint(1, 3)):
            dump_id += rng.randint(1, 3)
            dumps.append(account.dump(dump_id, _random_parts(rng, dump_id)))
        builder.step("whatever came", *dumps)
    return builder.steps


def _random_parts(rng: random.Random, dump_id: int) -> dict[str, Part]:
    parts: dict[str, Part] = {USERS: more(rng.randrange(5)), MIGRATIONS: full(1)}
    for table in (SESSIONS, _EVENTS, "video_play"):
        fate = rng.random()
        if fate < 0.2:
            continue
        add = (Column(f"custom_{dump_id}"),) if rng.random() < 0.2 else ()
        files, rows = rng.randrange(4), rng.randrange(12)
        if files == 0:
            parts[table] = Part(rows=0, incremental=fate > 0.4, files=0, kept=0, repeated=0)
        else:
            kept = rng.choice((0.0, 0.5, 1.0))
            parts[table] = Part(rows, incremental=fate > 0.4, files=files, kept=kept, add=add, repeated=0.2)
    return parts
