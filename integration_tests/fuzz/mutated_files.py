"""Decodes random and damaged Avro files by the native decoder and by the reference decoder, and compares.

    python mutated_files.py --folder /tmp/files --seconds 60 [--seed 1] [--only 4711]

Both must give identical lines, or both must fail with BrokenFile; and the native decoder's arrays must hold the values
of the lines. A file that only the native decoder refuses must
break the format: fastavro reads some of those. Stops at the first finding: prints it, keeps the file in the folder,
exits 1. The last line counts what was decoded.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fuzz import avro_writer
from fuzz.comparing import Finding, summary
from fuzz.native_arrays import native_columns, rows_of_arrays, without_record
from source_heap.avro import native_decoder
from source_heap.avro.container import read_blocks
from source_heap.avro.faults import BrokenFile
from source_heap.avro.file import AvroFile
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.values import Projection

TARGETS = ("any", "string", "integer", "number", "boolean", "time", "null", "any or instant", "string or instant")
SINCE = "2024-05-01T12:34:56.000000Z"
HEAD = b'{"type":"RECORD","record":{"stream":"s","data":'


def invent_file(rng: random.Random) -> bytes:
    """A file: a valid one, or one with mistakes in its rows, its schema, its blocks or anywhere."""
    schema = avro_writer.schema(rng)
    blocks = []
    for _ in range(rng.choice((1, 1, 2))):
        count = rng.choice((0, 1, 3, 20))
        rows = b"".join(avro_writer.value(field["type"], rng) for _ in range(count) for field in schema["fields"])
        blocks.append((count, rows))
    codec = rng.choice(tuple(avro_writer.PACKERS))
    match rng.randrange(10):
        case 0 | 1 | 2:  # the codecs' checksums would keep mistakes in compressed rows away from the decoder
            blocks = [(count, avro_writer.mutated(rows, rng)) for count, rows in blocks]
        case 3:
            return avro_writer.file(avro_writer.mutated(json.dumps(schema).encode(), rng), blocks, codec)
        case 4:
            claimed = rng.choice((0, 1, 2**31, 2**62, 2**63 - 1, -1))
            return avro_writer.file(schema, [(claimed, rows) for _, rows in blocks], codec)
        case 5:
            return avro_writer.mutated(avro_writer.file(schema, blocks, codec), rng)
    return avro_writer.file(schema, blocks, codec)


def invent_projection(rng: random.Random) -> Projection:
    """What is emitted of the file."""
    columns = None
    if rng.random() < 0.6:
        columns = {name: rng.choice(TARGETS) for name in avro_writer.NAMES if rng.random() < 0.8}
    since = SINCE if rng.random() < 0.4 else None
    constants = rng.choice(({}, {"_heap_dump_id": 5, "_heap_file": "ä"}))
    return Projection(columns, constants, since, rng.random() < 0.7, rng.choice((b"", HEAD)))


def outcome(chunks: Iterable[Any]) -> tuple[bytes, str | None]:
    """The lines until the end or a fault, and the fault."""
    lines = []
    try:
        for chunk in chunks:
            assert chunk.lines.count(b"\n") == chunk.count
            lines.append(chunk.lines)
    except BrokenFile as error:
        return b"".join(lines), str(error)
    return b"".join(lines), None


def compare(file: AvroFile, projection: Projection) -> str:
    """Decodes a file in both ways; returns what became of it. Raises Finding."""
    got, got_fault = outcome(file.rows(projection))
    try:
        reference = ReferenceDecoder(file.header.schema, projection)
    except BrokenFile:
        return "schema that fastavro refuses"
    with file.path.open("rb") as data:
        expected, fault = outcome(reference.chunks(read_blocks(data, file.header, file.size)))
    if got_fault and not fault and breaks_format(file):
        return "broken; fastavro reads it"
    if bool(got_fault) != bool(fault):
        raise Finding(f"the native decoder says {got_fault}, the reference decoder {fault}")
    same = min(len(got), len(expected)) if fault else None
    if got[:same] != expected[:same]:
        pairs = zip(got.splitlines(), expected.splitlines(), strict=False)
        raise Finding("lines differ: {} instead of {}".format(*next(pair for pair in pairs if pair[0] != pair[1])))
    compare_arrays(file, without_record(projection), got_fault)
    return "broken" if fault else "decoded"


def compare_arrays(file: AvroFile, projection: Projection, fault: str | None) -> None:
    """Reads a file by the native decoder's arrays, and compares with its lines, which end with the fault.

    Raises Finding.
    """
    native = native_columns(file, projection)
    if native is None:
        return
    got, got_fault = [], None
    try:
        got.extend(rows_of_arrays(native, file, projection))
    except BrokenFile as error:
        got_fault = str(error)
    if got_fault != fault:
        raise Finding(f"with arrays the native decoder says {got_fault}, with lines {fault}")
    expected = [json.loads(line) for line in outcome(file.rows(projection))[0].splitlines()]
    for one, other in zip(got, expected, strict=not fault):
        numbers = {name for name, value in one.items() if isinstance(value, float)}
        if one != {name: float(value) if name in numbers else value for name, value in other.items()}:
            raise Finding(f"arrays differ: {one} instead of {other}")


def breaks_format(file: AvroFile) -> bool:
    """Whether a row holds an integer of more than 64 bits, a negative branch, or a boolean that is neither 0 nor 1."""
    types = [field["type"] for field in file.header.schema.record["fields"]]
    try:
        with file.path.open("rb") as opened:
            for count, data in read_blocks(opened, file.header, file.size):
                at = 0
                for _ in range(count):
                    for kind in types:
                        at = _end(kind, data, at)
    except (ArithmeticError, BrokenFile):
        return True
    except (IndexError, MemoryError):
        return False
    return False


def _end(kind: Any, data: bytes, at: int) -> int:
    """The position after a value. ArithmeticError if it breaks the format."""
    if isinstance(kind, list):
        branch, at = _integer(data, at)
        if branch < 0:
            raise ArithmeticError
        return _end(kind[branch], data, at)
    if not isinstance(kind, str):
        return at + kind["size"] if kind["type"] == "fixed" else _end(kind["type"], data, at)
    match kind:
        case "boolean":
            if data[at] > 1:
                raise ArithmeticError
            return at + 1
        case "int" | "long":
            return _integer(data, at)[1]
        case "string" | "bytes":
            size, at = _integer(data, at)
            return at + size
    return at + {"null": 0, "float": 4, "double": 8}[kind]


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if value >= 2**64 or shift > 70:
            raise ArithmeticError
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def attempt(seed: int, number: int, folder: Path) -> str:
    """One file, which stays in the folder if this raises or the process dies."""
    rng = random.Random(f"{seed} {number}")
    path = folder / f"{seed}-{number}.avro"
    path.write_bytes(invent_file(rng))
    projection = invent_projection(rng)
    try:
        file = AvroFile.open(path)
    except BrokenFile:
        found = "refused when opened"
    else:
        found = compare(file, projection)
    path.unlink()
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are written")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of the one file to decode")
    given = parser.parse_args(arguments)
    assert native_decoder.MISSING is None, native_decoder.MISSING
    counts: Counter[str] = Counter()
    end = time.monotonic() + given.seconds
    number = given.only or 0
    while time.monotonic() < end:
        try:
            counts[attempt(given.seed, number, given.folder)] += 1
        except Exception as error:  # any other exception is a finding, too
            print(f"file {number} of seed {given.seed}: {type(error).__name__}: {error}", flush=True)
            if not isinstance(error, Finding):
                raise
            return 1
        number += 1
        if given.only is not None:
            break
    print(summary(counts, "files"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
