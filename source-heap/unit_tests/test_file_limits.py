"""Files beyond a limit: the table fails with a sentence that names the file, and the other tables are read."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avro_by_hand import PACKERS, block, file, header, put_tables, read_table, record, text
from decoding import DECODERS
from heap_world import Heap, command
from simulators.heap.avro_files import long_bytes
from test_kit.memory import PeakMemory
from test_kit.messages import Output

with_both_decoders = pytest.mark.usefixtures("decoder")

EVENT = record(("event_id", "long"), ("t", "string"))
LIST = {"type": "array", "items": "null"}
#: Each row holds another one
CHAIN = record(("event_id", "long"), ("next", ["null", "topLevelRecord"]))
GOOD = file(EVENT, [long_bytes(1) + text("a")])


def long_text(size: int, character: bytes = b"a") -> bytes:
    """A row of EVENT with a text of so many bytes."""
    return long_bytes(1) + text(character * size)


def chain(depth: int) -> bytes:
    """A row of CHAIN with so many others within."""
    return (long_bytes(1) + b"\x02") * depth + long_bytes(1) + b"\0"


def doubling(times: int) -> Any:
    """A record with two fields of a record with two fields of ..., each defined once."""
    kind: Any = "long"
    for index in range(times):
        kind = record(("x", kind), ("y", kind if isinstance(kind, str) else kind["name"]), name=f"d{index}")
    return record(("event_id", "long"), ("d", kind))


BEYOND: dict[str, tuple[Callable[[], bytes], str]] = {
    **{
        f"a bomb in {codec}": (
            lambda codec=codec: header(EVENT, codec) + block(1, long_text(40_000_000), codec),
            "a block holds more than 16 MiB, decompressed",
        )
        for codec in PACKERS
    },
    "a header that is said to be long": (
        lambda: b"Obj\x01" + long_bytes(1) + text("avro.schema") + long_bytes(2**50) + bytes(100_000),
        "its header is longer than 1 MiB",
    ),
    "a header that is long": (
        lambda: b"Obj\x01" + long_bytes(2**50) + text("a") * 2_000_000,
        "its header is longer than 1 MiB",
    ),
    "a schema that doubles": (lambda: header(doubling(40)), "its schema has more than 10,000 values in a row"),
    "a schema of too many columns": (
        lambda: header(record(*((f"c{index}", "long") for index in range(10_000)))),
        "its schema has more than 10,000 values in a row",
    ),
    "a schema of too many types": (
        lambda: header(record(("event_id", ["null"] * 60_000))),
        "its schema has more than 50,000 types",
    ),
    "a long row": (
        lambda: header(EVENT) + block(2, long_text(9) + long_text(6_000_000)),
        "a row is longer than 5 MiB",
    ),
    "a row that is long as JSON": (
        lambda: header(EVENT) + block(1, long_text(4_000_000, b"\x01")),
        "a row is longer than 10 MiB as JSON",
    ),
    "a row of bytes that are no text": (
        lambda: header(EVENT) + block(1, long_text(4_000_000, b"\xff")),
        "a row is longer than 10 MiB as JSON",
    ),
    "a long row of bytes that are no text": (
        lambda: header(EVENT) + block(2, long_text(9) + long_text(6_000_000, b"\xff")),
        "a row is longer than 5 MiB",
    ),
    "items of no bytes": (
        lambda: file(record(("event_id", "long"), ("l", LIST)), [long_bytes(1) + long_bytes(2**40) + b"\0"]),
        "a row has more than 250,000 values",
    ),
    "a row of too many values": (
        lambda: file(
            record(("event_id", "long"), ("l", {"type": "array", "items": "long"})),
            [long_bytes(1) + long_bytes(300_000) + b"\2" * 300_000 + b"\0"],
        ),
        "a row has more than 250,000 values",
    ),
    "a deep row": (lambda: file(CHAIN, [chain(30_000)]), "a row has values nested more than 900 levels deep"),
    "rows of no bytes": (
        lambda: header(record(("n", "null"))) + block(10**15, b""),
        "it has more than 1,000,000 rows of no bytes",
    ),
}


@pytest.mark.slow
@with_both_decoders
@pytest.mark.parametrize(("data", "clause"), BEYOND.values(), ids=BEYOND)
def test_beyond_a_limit_a_sentence_names_the_file_and_the_limit(
    data: Callable[[], bytes], clause: str, heap: Heap
) -> None:
    put_tables(heap, {"ev": data(), "good": GOOD})
    output = heap.read()
    assert_refused(output, clause)


def assert_refused(output: Output, clause: str) -> None:
    """The table `ev` failed with the sentence, and `good` was read."""
    failure = output.failures["ev"]
    assert failure.message == (
        f"The file sync_1/ev/part-0.avro of table ev exceeds a limit of this connector: {clause}. The state stays "
        "before it; remove the table from the connection, or ask Heap to export it again."
    )
    assert failure.failure_type == "system_error"
    assert (output.last_statuses["ev"], output.last_statuses["good"]) == ("INCOMPLETE", "COMPLETE")
    assert len(output.records["good"]) == 1


@pytest.mark.slow
@with_both_decoders
def test_beyond_a_limit_it_is_the_same_behind_many_good_rows(heap: Heap) -> None:
    rows = block(6_000, (long_bytes(1) + text("a")) * 6_000, "deflate")
    data = header(EVENT, "deflate") + rows + block(1, long_text(40_000_000), "deflate")
    put_tables(heap, {"ev": data, "good": GOOD})
    assert_refused(heap.read(num_workers=1), "a block holds more than 16 MiB, decompressed")


def test_a_type_that_contains_itself_without_end_is_no_file(heap: Heap) -> None:
    put_tables(heap, {"ev": file(record(("event_id", "long"), ("r", "topLevelRecord")), [long_bytes(1)])})
    assert "is not a complete Avro file: a row cannot be decoded" in heap.read("ev").failures["ev"].message


def test_check_names_a_file_beyond_a_limit(heap: Heap) -> None:
    put_tables(heap, {"ev": header(doubling(40))})
    said = heap.check()
    assert said["status"] == "FAILED"
    assert "sync_1/ev/part-0.avro is more than this connector reads: its schema has more than 10,000" in said["message"]


# ---------------------------------------------------------------------------------------------- within the limits


@pytest.mark.parametrize("number", [1.5, float("nan")])
def test_a_row_nested_six_hundred_deep_is_emitted(number: float, heap: Heap) -> None:
    schema = record(("event_id", "long"), ("d", "double"), ("next", ["null", "topLevelRecord"]))
    here = long_bytes(1) + struct.pack("<d", 1.5)
    last = long_bytes(2) + struct.pack("<d", number)
    put_tables(heap, {"ev": file(schema, [(here + b"\x02") * 600 + last + b"\0"])})
    output = heap.read("ev")
    [row] = output.records["ev"]
    depth = 0
    while row.get("next"):
        row, depth = row["next"], depth + 1
    assert (depth, row) == (600, {"event_id": 2, "d": None if number != number else 1.5, "next": None})
    if number != number:
        path = "next." * 600 + "d"
        assert output.changes["ev"][0][1] == [
            {"field": path, "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}
        ]


@pytest.mark.slow
def test_a_type_nested_six_hundred_deep_is_discovered_and_emitted(heap: Heap) -> None:
    kind: Any = "long"
    for _ in range(600):
        kind = {"type": "array", "items": kind}
    row = long_bytes(1) + long_bytes(1) * 600 + long_bytes(5) + b"\0" * 600
    put_tables(heap, {"ev": file(record(("event_id", "long"), ("l", kind)), [row])})
    [found] = heap.read("ev").records["ev"]
    value = found["l"]
    for _ in range(600):
        [value] = value
    assert value == 5


def test_records_that_refer_to_each_other_are_discovered_in_time(heap: Heap) -> None:
    names = [f"k{index}" for index in range(15)]
    kind: Any = "long"
    for index in range(15)[::-1]:
        others = ((f"to_{name}", ["null", name]) for name in names[:index])
        kind = record(("inner", ["null", kind]), *others, name=names[index])
    schema = record(("event_id", "long"), ("first", ["null", kind]), *((f"a_{name}", ["null", name]) for name in names))
    put_tables(heap, {"ev": file(schema, [long_bytes(1) + b"\0" * 16])})
    assert read_table(heap)[1] == [{"event_id": 1}]


@pytest.mark.slow
@with_both_decoders
@pytest.mark.parametrize("nested", [False, True])
def test_a_large_block_of_rows_is_read(nested: bool, heap: Heap) -> None:
    columns = [("event_id", "long"), ("t", "string")] + ([("l", LIST)] if nested else [])
    rows = [long_bytes(index) + text("ü" * 400) + (b"\0" if nested else b"") for index in range(12_000)]
    put_tables(heap, {"ev": header(record(*columns), "deflate") + block(12_000, b"".join(rows), "deflate")})
    found = heap.read("ev").records["ev"]
    assert [row["event_id"] for row in found] == list(range(12_000))
    assert {row["t"] for row in found} == {"ü" * 400}


@pytest.mark.slow
@with_both_decoders
def test_a_row_of_five_thousand_columns_is_read(heap: Heap) -> None:
    names = [f"a_rather_long_name_of_a_property_{index}" for index in range(5_000)]
    schema = record(("event_id", "long"), *((name, ["null", "string"]) for name in names))
    put_tables(heap, {"ev": file(schema, [long_bytes(1) + (b"\x02" + text("x")) * 5_000])})
    assert read_table(heap)[1] == [{"event_id": 1, **dict.fromkeys(names, "x")}]


# ---------------------------------------------------------------------------------------------- the process


def put_long_rows(heap: Heap, count: int) -> None:
    """Two tables of small rows, then of rows of 5 MB."""
    small = block(200, (long_bytes(1) + text("a")) * 200, "deflate")
    data = header(EVENT, "deflate") + small + block(1, long_text(5_000_000), "deflate") * count
    put_tables(heap, {"ev": data, "pv": data})


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_read_of_long_rows_from_two_tables_at_a_time_stays_below_300_mb(
    decoder: str, heap: Heap, tmp_path: Path
) -> None:
    put_long_rows(heap, 20)
    with (
        subprocess.Popen(
            command(heap, tmp_path, decoder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process,
        PeakMemory(process.pid, every_seconds=0.02) as memory,
    ):
        process.wait()
    assert process.returncode == 0
    assert 50_000_000 < memory.peak < 300_000_000


@pytest.mark.slow
@pytest.mark.parametrize("closed", [(0,), (0, 2)])
def test_a_read_that_is_started_with_stdin_closed_ends(closed: tuple[int, ...], heap: Heap, tmp_path: Path) -> None:
    put_long_rows(heap, 3)
    redirected = " ".join({0: "<&-", 2: "2>&-"}[descriptor] for descriptor in closed)
    shell = ["bash", "-c", f'exec "$@" {redirected}', "read", *command(heap, tmp_path)]
    done = subprocess.run(shell, stdout=subprocess.PIPE, timeout=100, check=True)
    assert done.stdout.count(b'{"type":"RECORD"') == 2 * 203
