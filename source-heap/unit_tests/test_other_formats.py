"""Files of another format, should Heap send them one day: a sentence that names it."""

from __future__ import annotations

import gzip

import pytest
from heap_world import Heap, put_event
from simulators.heap.layout import StoredObject

FORMATS = {"Parquet": b"PAR1\x15\x04", "gzip": gzip.compress(b"x" * 100), "JSON": b'{"event_id": 1}\n'}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data"), FORMATS.items(), ids=FORMATS)
def test_another_format_is_named_by_check_and_read(name: str, data: bytes, heap: Heap) -> None:
    put_event(heap, 1, range(3))
    catalog = heap.discover().streams
    heap.server.put([StoredObject("sync_1/event/part-0.avro", data)])
    which = f"is a {name} file, which this release does not read."
    assert heap.check()["message"] == (
        f"The file sync_1/event/part-0.avro {which} Look for a newer release of this connector."
    )
    assert heap.read(catalog=catalog).failures["event"].message == (
        f"The file sync_1/event/part-0.avro of table event {which} The state stays before it; look for a newer release "
        "of this connector."
    )
