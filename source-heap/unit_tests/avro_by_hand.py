"""Avro files byte by byte, as any writer may write them, and a bucket with such tables."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Iterable
from typing import Any

import cramjam
from heap_world import Heap, plain, put_manifest, table_entry
from jsonschema import Draft7Validator
from simulators.heap.avro_files import long_bytes
from simulators.heap.layout import StoredObject
from test_kit.catalogs import Row
from test_kit.messages import Output

MARKER = bytes(range(16))
PACKERS = {
    "null": bytes,
    "deflate": lambda data: zlib.compress(data, wbits=-15),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)) + zlib.crc32(data).to_bytes(4, "big"),
    "zstandard": lambda data: bytes(cramjam.zstd.compress(data)),
}


def text(value: str | bytes) -> bytes:
    """A string or bytes value."""
    data = value.encode() if isinstance(value, str) else value
    return long_bytes(len(data)) + data


def header(schema: Any, codec: str = "null") -> bytes:
    """A file's header. A schema that is bytes stands there as it is."""
    written = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return (
        b"Obj\x01" + long_bytes(2) + text("avro.schema") + text(written) + text("avro.codec") + text(codec) + b"\0"
    ) + MARKER


def block(count: int, rows: bytes, codec: str = "null") -> bytes:
    """A block; one of no rows has no bytes."""
    packed = PACKERS[codec](rows) if rows else b""
    return long_bytes(count) + text(packed) + MARKER


def file(schema: Any, rows: Iterable[bytes], codec: str = "null") -> bytes:
    """A file with a block for each row."""
    return header(schema, codec) + b"".join(block(1, row, codec) for row in rows)


def record(*fields: tuple[str, Any], name: str = "topLevelRecord") -> Row:
    """The schema of rows with these columns."""
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind} for field, kind in fields]}


def put_tables(heap: Heap, tables: dict[str, bytes], dump: int = 1, incremental: bool = False) -> None:
    """A dump with one file of each table."""
    keys = {name: f"sync_{dump}/{name}/part-0.avro" for name in tables}
    heap.server.put([StoredObject(keys[name], data) for name, data in tables.items()])
    entries = [{**table_entry(name, incremental), "columns": [], "files": [keys[name]]} for name in tables]
    put_manifest(heap, dump, entries)


def read_table(heap: Heap, name: str = "ev", **options: Any) -> tuple[Output, list[Row]]:
    """Discovers and reads one table. Its rows without the added columns, each as the discovered schema says."""
    stream = heap.discover(**options).stream(name)
    output = heap.read(catalog=[stream], **options)
    validator = Draft7Validator(stream["json_schema"])
    for row in output.records[name]:
        validator.validate(row)
    return output, [plain(row) for row in output.records[name]]
