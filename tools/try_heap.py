"""Decodes a small Avro file with the source-heap that is installed: `try_heap.py native` or `try_heap.py reference`.

It fails if a row is wrong, or if the package decodes the other way: `native` is its compiled module, `reference` is
fastavro, for a package that was built without a C compiler. The release runs it with each wheel.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import fastavro
from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection

SCHEMA = {
    "type": "record",
    "name": "topLevelRecord",
    "fields": [
        {"name": "user_id", "type": ["long", "null"]},
        {"name": "time", "type": ["string", "null"]},
        {"name": "title", "type": ["string", "null"]},
        {"name": "amount", "type": ["null", "double"]},
    ],
}
ROWS = [
    {"user_id": 2**53 + 1, "time": "2026-03-01 04:00:00", "title": 'a "quoted" title', "amount": 1.5},
    {"user_id": None, "time": None, "title": "ä€𝄞", "amount": None},
]
LINES = (
    '{"user_id":9007199254740993,"time":"2026-03-01T04:00:00.000000Z","title":"a \\"quoted\\" title","amount":1.5}\n'
    '{"user_id":null,"time":null,"title":"ä€𝄞","amount":null}\n'
)


def lines() -> str:
    """The rows as source-heap writes them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.avro"
        with path.open("wb") as file:
            fastavro.writer(file, SCHEMA, ROWS, codec="deflate")
        chunks = AvroFile.open(path).rows(Projection(None, {}, normalize_times=True))
        return b"".join(chunk.lines for chunk in chunks).decode()


def main(expected: str) -> int:
    """0 if all is well; else a line says what is wrong."""
    way = "native" if importlib.util.find_spec("source_heap.avro.native") else "reference"
    written = lines()
    if way != expected:
        print(f"try_heap: it decodes with the {way} decoder, not with the {expected} one")
    elif written != LINES:
        print(f"try_heap: the {way} decoder wrote\n{written}instead of\n{LINES}", end="")
    else:
        print(f"try_heap: the {way} decoder works")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
