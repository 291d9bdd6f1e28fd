"""The compiled decoder writes what the reference decoder writes, byte for byte, and that one what fastavro reads."""

from __future__ import annotations

import io
import json
import random
import shutil
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fastavro
import orjson
import pytest
from avro_by_hand import PACKERS, block, header
from decoding import compiled
from fastavro.read import LOGICAL_READERS
from random_tables import Table, random_table
from source_heap.avro import logical, native_decoder, reference, skim
from source_heap.avro.chunks import Chunk
from source_heap.avro.declared import declared
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.file import AvroFile
from source_heap.avro.reference import ReferenceDecoder, projected
from source_heap.avro.values import Projection

needs_compiled = pytest.mark.skipif(
    native_decoder.MISSING is not None, reason=f"the compiled decoder is missing: {native_decoder.MISSING}"
)
BROKEN = "broken"


def test_where_there_is_a_compiler_the_decoder_is_compiled() -> None:
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if shutil.which("cc") and headers.exists():
        assert native_decoder.MISSING is None


def written(chunks: Iterable[Chunk]) -> bytes | str:
    """All lines, or what is wrong. Decoders may notice a broken file in other ways, so its words do not matter."""
    try:
        return b"".join(chunk.lines for chunk in chunks)
    except BeyondLimit as error:
        return str(error)
    except BrokenFile:
        return BROKEN


def assert_same(table: Table) -> bytes | str:
    """Both decoders write the same lines for a table. Returns them."""
    schema = declared(table.schema)
    rows = b"".join(table.rows)
    blocks = [(len(table.rows), rows)] if table.rows else []
    got = written(compiled(schema, table.projection).chunks(blocks))
    wanted = written(ReferenceDecoder(schema, table.projection).chunks(blocks))
    if table.mutated and got == BROKEN:
        return got  # fastavro does not mind some wrong bytes, such as a boolean of 2 or an integer of 70 bits
    assert got == wanted, table
    return got


def assert_same_for_seeds(seeds: range, tables: int, make: Callable[[random.Random], Table] = random_table) -> None:
    for seed in seeds:
        rng = random.Random(seed)
        for _ in range(tables):
            assert_same(make(rng))


@needs_compiled
@pytest.mark.parametrize("seed", range(4))
def test_random_tables_are_written_alike(seed: int) -> None:
    assert_same_for_seeds(range(seed, seed + 1), 100)


@needs_compiled
@pytest.mark.slow
def test_many_random_tables_are_written_alike() -> None:
    assert_same_for_seeds(range(1_000, 1_010), 800)


@needs_compiled
@pytest.mark.soak
def test_a_hundred_thousand_random_tables_are_written_alike() -> None:
    assert_same_for_seeds(range(10_000, 10_100), 1_000)


@needs_compiled
@pytest.mark.parametrize(("limit", "most"), [("ROW_BYTES", 60), ("LINE_BYTES", 150)])
def test_random_tables_meet_the_same_limit(limit: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(limit)
    refused = 0
    for _ in range(200):
        size = rng.randint(1, most)
        monkeypatch.setattr(native_decoder, limit, size)
        monkeypatch.setattr({"ROW_BYTES": skim, "LINE_BYTES": reference}[limit], limit, size)
        monkeypatch.setattr(native_decoder, "CHUNK_BYTES", rng.randint(1, 300))
        refused += isinstance(assert_same(random_table(rng, mutate=False)), str)
    assert 50 < refused < 150


@needs_compiled
@pytest.mark.parametrize("codec", [*PACKERS])
def test_whole_files_of_random_tables_are_written_alike(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(codec)
    for _ in range(8):
        table = random_table(rng, most_rows=60, mutate=False)
        middle = len(table.rows) // 2
        parts = [part for part in (table.rows[:middle], table.rows[middle:]) if part]
        blocks = [block(len(part), b"".join(part), codec) for part in parts]
        (tmp_path / "file.avro").write_bytes(header(table.schema, codec) + b"".join(blocks))
        file = AvroFile.open(tmp_path / "file.avro")
        got = written(file.rows(table.projection))
        with monkeypatch.context() as without:
            without.setattr(native_decoder, "MISSING", "for comparison")
            assert got == written(file.rows(table.projection)), table


def without_oddities(schema: dict[str, Any]) -> dict[str, Any]:
    """A random table's schema, as far as fastavro takes it: symbols are names, and UUIDs in texts are UUIDs."""
    text = json.dumps(schema).replace(json.dumps(['B"x', "2024-05-01 00:00:00"])[1:-1], '"B", "C"')
    found: dict[str, Any] = json.loads(text.replace('"string", "logicalType": "uuid"', '"string"'))
    return found


def by_fastavro(schema: dict[str, Any], table: Table) -> list[dict[str, Any]]:
    """The rows of a table, read with the schema as it was written."""
    file = io.BytesIO(b"".join(table.rows))
    read: Any = fastavro.schemaless_reader
    return [read(file, schema, None, handle_unicode_errors="backslashreplace") for _ in table.rows]


@pytest.mark.parametrize("seed", range(2))
def test_the_reference_writes_what_fastavro_reads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for (kind, name), read in logical.READERS.items():
        monkeypatch.setitem(LOGICAL_READERS, f"{kind}-{name}", read)
    rng = random.Random(seed)
    compared = 0
    for _ in range(100):
        table = random_table(rng, mutate=False)
        schema = without_oddities(table.schema)
        projection = Projection(table.projection.columns, table.projection.constants)
        blocks = [(len(table.rows), b"".join(table.rows))]
        chunks = list(ReferenceDecoder(declared(schema), projection).chunks(blocks))
        targets = {field["name"]: projection.target(field["name"]) for field in table.schema["fields"]}
        wanted = [
            orjson.dumps(projected(row, targets, projection.constants, [])[0]) for row in by_fastavro(schema, table)
        ]
        assert b"".join(chunk.lines for chunk in chunks).splitlines() == wanted, table
        compared += len(wanted)
    assert compared > 100
