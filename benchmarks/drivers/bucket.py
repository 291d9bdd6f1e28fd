"""An S3 server with a bucket of Heap's dumps, which counts its requests: for the curves.

    python benchmarks/drivers/bucket.py table ROWS FILES       one dump of the benchmark's table
    python benchmarks/drivers/bucket.py nested ROWS            one dump of a table with maps and lists, in one file
    python benchmarks/drivers/bucket.py dumps NUMBER           a dump a day, each with one file of ten rows

`POST /_sim/mutate {"name": "grow"}` adds the dump of the next day to the last one.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
from simulators.heap.bench_table import BenchTable
from simulators.heap.layout import DEFAULT_BUCKET, StoredObject
from simulators.heap.s3_server import BucketServer
from simulators.server import run_until_signal

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "heap-bench"
TABLE = "purchases"
FIRST_DUMP = 1_000
ROWS_OF_A_DUMP = 10
_COLUMNS: dict[str, Any] = {
    "event_id": "long",
    "user_id": "long",
    "time": "string",
    "properties": {"type": "map", "values": ["null", "string", "double"]},
    "items": {
        "type": "array",
        "items": {
            "type": "record",
            "name": "item",
            "fields": [{"name": n, "type": "string"} for n in ("sku", "title")],
        },
    },
}


class Bucket(BucketServer):
    """A bucket to which dumps are added."""

    def __init__(self) -> None:
        super().__init__()
        self.dumps = 0

    def mutate(self, name: str, **arguments: Any) -> Any:
        """`grow`: one more dump."""
        if name != "grow":
            raise KeyError(name)
        self.add_dumps(1)

    def add_dumps(self, number: int) -> None:
        """Adds small dumps behind those that are there."""
        numbers = range(self.dumps, self.dumps + number)
        self.put(one for index in numbers for one in dump(FIRST_DUMP + index, flat_rows(index), incremental=index > 0))
        self.dumps += number


def dump(
    dump_id: int, rows: Sequence[dict[str, Any]], *, incremental: bool, table: str = TABLE
) -> Iterator[StoredObject]:
    """The data file and the manifest of a dump with one table."""
    schema = {
        "type": "record",
        "name": table,
        "fields": [{"name": name, "type": ["null", _COLUMNS[name]]} for name in rows[0]],
    }
    key, file = f"sync_{dump_id}/{table}/part-00000-c000.avro", io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), rows, codec="snappy", sync_marker=b"bench-of-dumps--")
    yield StoredObject(key, file.getvalue())
    entry = {
        "name": table,
        "incremental": incremental,
        "files": [f"s3://{DEFAULT_BUCKET}/{key}"],
        "columns": list(rows[0]),
    }
    document = json.dumps({"dump_id": dump_id, "tables": [entry]}).encode()
    yield StoredObject(f"manifests/sync_{dump_id}.json", document)


def flat_rows(number: int) -> list[dict[str, Any]]:
    """Rows of primitive columns."""
    numbers = range(number * ROWS_OF_A_DUMP, (number + 1) * ROWS_OF_A_DUMP)
    return [{"event_id": one, "user_id": one % 97, "time": f"2024-05-01 00:{one % 60:02d}:00"} for one in numbers]


def nested_rows(number: int) -> list[dict[str, Any]]:
    """Rows with a map and a list of records."""
    return [
        {
            "event_id": one,
            "user_id": one % 997,
            "time": f"2024-05-01 {one % 24:02d}:{one % 60:02d}:00",
            "properties": {"plan": "gold", "channel": f"channel-{one % 13}", "value": one / 7, "coupon": None},
            "items": [{"sku": f"sku-{one % 101}", "title": "Linen shirt"}] * (one % 4),
        }
        for one in range(number)
    ]


def main(kind: str, *numbers: str) -> int:
    """Fills the bucket and serves it until a signal."""
    server = Bucket()
    if kind == "table":
        rows, files = map(int, numbers)
        server.put(BenchTable(rows, files).cached_objects(CACHE, DEFAULT_BUCKET))
    elif kind == "nested":
        server.put(dump(FIRST_DUMP, nested_rows(int(numbers[0])), incremental=False, table="orders"))
    else:
        server.add_dumps(int(numbers[0]))
    return run_until_signal(server)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
