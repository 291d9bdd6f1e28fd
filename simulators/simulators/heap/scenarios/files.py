"""Scenarios of files: many files, damaged, lost and archived files, and every way to write them."""

from itertools import product

from simulators.heap.account import Account, full, more
from simulators.heap.avro_files import Codec, Damage, UnionOrder
from simulators.heap.catalog import MIGRATIONS, PAGEVIEWS, SESSIONS, USERS
from simulators.heap.layout import FileStyle, Naming
from simulators.heap.scenarios.builder import Scenario, ScenarioBuilder, Step, Trouble

_SMALL_BLOCKS = FileStyle(block_bytes=2_000)


def many_files_in_a_dump(bucket: str, seed: int) -> list[Step]:
    """Forty files of pageviews in one dump and ten in the next, for tests that crash after some files."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    builder.step("forty files", account.dump(100, {USERS: full(10), PAGEVIEWS: full(400, files=40)}))
    return builder.step("ten files", account.dump(101, {USERS: more(2), PAGEVIEWS: more(100, files=10)})).steps


def three_thousand_files(bucket: str, seed: int) -> list[Step]:
    """3,000 files of one row each in one dump, then a sync with nothing new."""
    account = Account(seed=seed, bucket=bucket, style=FileStyle(codec=Codec.NULL))
    builder = ScenarioBuilder(account)
    builder.step("3,000 files", account.dump(100, {"video_play": full(3_000, files=3_000)}))
    return builder.add("nothing new").steps


def _broken(bucket: str, seed: int, damage: Damage, trouble: Trouble | None) -> list[Step]:
    """Three files of sessions with small blocks. The second one is damaged, then repaired."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    builder.step("a sound dump", account.dump(100, {USERS: full(10), SESSIONS: full(30)}))
    part = more(120, files=3, damage={1: damage}, style=_SMALL_BLOCKS)
    dump = account.dump(101, {USERS: more(2), SESSIONS: part})
    fails = {SESSIONS: trouble} if trouble else {}
    builder.step(f"the second file of sessions: {damage}", dump, fails=fails)
    return builder.repair("the file is whole", [file for file in dump.files() if file.damage]).steps


def zero_byte_file(bucket: str, seed: int) -> list[Step]:
    """An object of zero bytes."""
    return _broken(bucket, seed, Damage.EMPTY, Trouble.UNREADABLE_FILE)


def file_cut_in_a_block(bucket: str, seed: int) -> list[Step]:
    """Half of the blocks, and the last of them is incomplete."""
    return _broken(bucket, seed, Damage.CUT_IN_BLOCK, Trouble.UNREADABLE_FILE)


def file_that_is_not_avro(bucket: str, seed: int) -> list[Step]:
    """An error page instead of a file."""
    return _broken(bucket, seed, Damage.NOT_AVRO, Trouble.UNREADABLE_FILE)


def file_with_a_bad_checksum(bucket: str, seed: int) -> list[Step]:
    """The CRC-32 of a snappy block is wrong."""
    return _broken(bucket, seed, Damage.BAD_CHECKSUM, Trouble.BAD_CHECKSUM)


def file_of_a_header_only(bucket: str, seed: int) -> list[Step]:
    """A file without blocks is a valid file without rows."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    builder.step("a sound dump", account.dump(100, {USERS: full(10), SESSIONS: full(30)}))
    return builder.step("no rows", account.dump(101, {SESSIONS: more(0, files=2, repeated=0)})).steps


def file_for_a_cut_transfer(bucket: str, seed: int) -> list[Step]:
    """One intact file of many small blocks. If a transfer ends at `blocks(data)[k].end`, the part is well-formed.

    A stored object with such a cut looks like a whole file, so there is no scenario of it.
    """
    account = Account(seed=seed, bucket=bucket)
    part = full(2_000, style=FileStyle(block_bytes=8_000))
    return ScenarioBuilder(account).step("one file", account.dump(100, {SESSIONS: part})).steps


def archived_file(bucket: str, seed: int) -> list[Step]:
    """A lifecycle rule moved the sessions of a dump to Glacier. Then they are restored."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    archived = full(30, storage_class="GLACIER")
    dump = account.dump(100, {USERS: full(10), SESSIONS: archived})
    builder.step("sessions are archived", dump, fails={SESSIONS: Trouble.ARCHIVED_FILE})
    return builder.repair("sessions are restored", [file for file in dump.files() if file.storage_class]).steps


def lost_file(bucket: str, seed: int) -> list[Step]:
    """One file of three is missing, then it is back."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    builder.step("a sound dump", account.dump(100, {USERS: full(10), SESSIONS: full(30)}))
    dump = account.dump(101, {SESSIONS: more(30, files=3)})
    lost = list(dump.files())[1]
    builder.published[101] = dump
    rest = [item for item in dump.objects() if item.key != lost.key]
    builder.add("the second file is missing", rest, fails={SESSIONS: Trouble.MISSING_FILE})
    return builder.repair("the file is back", [lost]).steps


def lost_dead_dump(bucket: str, seed: int) -> list[Step]:
    """The files of a dump are missing. A later full dump replaces it, so no reader needs them."""
    account = Account(seed=seed, bucket=bucket)
    dead = account.dump(100, {USERS: full(10), SESSIONS: full(30)})
    alive = account.dump(101, {USERS: full(2), SESSIONS: full(10)})
    builder = ScenarioBuilder(account).step("two full dumps, the first already gone", dead, alive)
    gone = {file.key for file in dead.files()}
    first = builder.steps.pop()
    return builder.add(first.note, [item for item in first.put if item.key not in gone]).steps


def bucket_alias(bucket: str, seed: int) -> list[Step]:
    """`files` names another bucket: the reader uses a replica or an alias with the same keys."""
    account = Account(seed=seed, bucket=bucket)
    dump = account.dump(100, {USERS: full(10), SESSIONS: full(20)}, uri_bucket=f"{bucket}-origin")
    return ScenarioBuilder(account).step("addresses with another bucket's name", dump).steps


def every_file_style(bucket: str, seed: int) -> list[Step]:
    """Each union order with each codec, all three forms of file names, and manifests with files in random order."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    namings = list(Naming)
    for index, (order, codec) in enumerate(product(UnionOrder, Codec)):
        style = FileStyle(namings[index % len(namings)], order, codec)
        parts = {
            USERS: more(5, style=style),
            MIGRATIONS: full(1, style=style),
            SESSIONS: more(20, files=3, style=style, shuffled=True),
        }
        if index == 0:
            parts = {USERS: full(20, style=style), SESSIONS: full(20, style=style)}
        builder.step(f"{order}, {codec}, {style.naming}", account.dump(100 + index, parts))
    return builder.steps


SCENARIOS: tuple[Scenario, ...] = (
    *(many_files_in_a_dump, three_thousand_files, zero_byte_file, file_cut_in_a_block, file_that_is_not_avro),
    *(file_with_a_bad_checksum, file_of_a_header_only, file_for_a_cut_transfer, archived_file, lost_file),
    *(lost_dead_dump, bucket_alias, every_file_style),
)
