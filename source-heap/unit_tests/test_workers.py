"""`num_workers` tables are read at a time, one file of each: the files of a table, and so its states, stay in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from avro_by_hand import file, record, text
from heap_world import Heap, put_manifest, table_entry
from simulators.heap.avro_files import long_bytes
from simulators.heap.layout import StoredObject
from source_heap.avro.chunks import Chunk
from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection
from test_kit.messages import Output

TABLES = ("clicks", "visits", "views")
FILES = 3


class Observer:
    """Counts the files that are decoded at a time. Each waits for `together` of them, but only so many seconds."""

    def __init__(self, together: int, seconds: float) -> None:
        self.most = 0
        self._together, self._seconds = together, seconds
        self._now = 0
        self._changed = threading.Condition()

    def rows(self, file: AvroFile, projection: Projection) -> Iterator[Chunk]:
        """As `AvroFile.rows`."""
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._together, self._seconds)
        yield from _ROWS(file, projection)
        with self._changed:
            self._now -= 1


_ROWS = AvroFile.rows


def put_tables_of_files(heap: Heap) -> None:
    """A dump in which each table has several files of one row."""
    schema = record(("event_id", "long"), ("t", "string"))
    entries = []
    for name in TABLES:
        keys = [f"sync_1/{name}/part-{number}.avro" for number in range(FILES)]
        for number, key in enumerate(keys):
            heap.server.put([StoredObject(key, file(schema, [long_bytes(number) + text("a")]))])
        entries.append({**table_entry(name, False), "columns": ["event_id", "t"], "files": keys})
    put_manifest(heap, 1, entries)


def read_observed(heap: Heap, monkeypatch: pytest.MonkeyPatch, tables: int, workers: int, observer: Observer) -> Output:
    """Reads so many tables with so many workers."""
    put_tables_of_files(heap)
    found = heap.discover()
    monkeypatch.setattr(AvroFile, "rows", lambda file, projection: observer.rows(file, projection))
    return heap.read(catalog=list(map(found.stream, TABLES[:tables])), num_workers=workers).succeeded()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_so_many_tables_are_decoded_at_a_time(workers: int, heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(workers, seconds=20)
    output = read_observed(heap, monkeypatch, len(TABLES), workers, observer)
    assert observer.most == workers
    for name in TABLES:
        assert [row["event_id"] for row in output.records[name]] == list(range(FILES))
        kinds = [kind for kind, stream in output.order if stream == name and kind in ("record", "state")]
        assert kinds[: 2 * FILES] == ["record", "state"] * FILES


@pytest.mark.slow
def test_more_workers_do_not_decode_two_files_of_one_table_at_a_time(
    heap: Heap, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Observer(2, seconds=0.1)
    output = read_observed(heap, monkeypatch, 1, 4, observer)
    assert observer.most == 1
    assert [row["event_id"] for row in output.records["clicks"]] == list(range(FILES))
