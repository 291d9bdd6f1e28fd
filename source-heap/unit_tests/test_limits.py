"""Manifests, lists and keys beyond a limit end with a sentence; many small ones do not use more memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from heap_world import Heap, Warehouse, put_event, put_manifest, table_entry
from simulators.heap.layout import StoredObject
from source_heap import dumps
from source_heap.manifest_store import ManifestStore
from source_heap.streams import key_parts
from source_heap.streams.key_parts import KeyFile, Parts, only_in


def long_manifest(dump_id: int, files: int) -> StoredObject:
    names = [f"sync_{dump_id}/long/part-{number:06d}.avro" for number in range(files)]
    tables = [{"name": "long", "incremental": False, "columns": [], "files": names}]
    return StoredObject(f"manifests/sync_{dump_id}.json", json.dumps({"dump_id": dump_id, "tables": tables}).encode())


@pytest.mark.slow
def test_a_manifest_that_is_too_long_is_named_and_stops_no_other(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "MANIFEST_BYTES", 1024 * 1024)
    heap.server.put([long_manifest(1, 40_000)])
    put_event(heap, 2, range(3))
    output = heap.read("event")
    assert output.last_statuses == {"event": "COMPLETE"}
    heap.server.put([long_manifest(3, 40_000)])
    sentence = (
        "The manifest manifests/sync_3.json is longer than the 1 MB that this connector reads, so its dump cannot "
    )
    assert heap.check()["message"].startswith(sentence)
    assert heap.discover().logged(
        "manifests/sync_3.json is longer than the 1 MB that this connector reads; its dump is"
    )
    assert heap.read("event").failures["event"].message.startswith(sentence)


@pytest.mark.slow
def test_manifests_are_read_in_turn_where_together_they_are_too_long(
    heap: Heap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes more than half of what may be parsed at a time."""
    longest = long_manifest(9, 1000).data
    monkeypatch.setattr(dumps, "MANIFEST_BYTES", len(longest) + 10)
    heap.server.put([long_manifest(dump_id, 800) for dump_id in range(1, 40)])
    output = heap.discover()
    assert [stream["name"] for stream in output.streams] == ["_heap_dumps", "long"]
    rows = heap.read("_heap_dumps", catalog=output.streams).records["_heap_dumps"]
    assert [(row["dump_id"], row["files"]) for row in rows] == [(dump_id, 800) for dump_id in range(1, 40)]


@pytest.mark.slow
def test_what_manifests_say_survives_its_stay_in_the_store(heap: Heap) -> None:
    """Every dump id that a name can hold, and names of any kind."""
    for dump_id in (7, 10**30):
        put_manifest(heap, dump_id, [table_entry("O'Brien \u00fc", False), table_entry("other", None)])
    rows = heap.read("_heap_dumps").records["_heap_dumps"]
    assert [(row["dump_id"], row["table_name"], row["incremental"], row["columns"]) for row in rows] == [
        (dump_id, name, incremental, ["event_id"])
        for dump_id in (7, 10**30)
        for name, incremental in (("O'Brien \u00fc", False), ("other", None))
    ]


def test_a_store_that_finds_no_room_says_so(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(store: ManifestStore, manifest: Any) -> int:
        store._database.execute("pragma max_page_count = 1")
        return keep(store, manifest)

    keep = ManifestStore.keep
    monkeypatch.setattr(ManifestStore, "keep", full)
    put_manifest(heap, 1, [table_entry(f"table_{number}", False) for number in range(200)])
    output = heap.read("_heap_dumps")
    assert output.failures["_heap_dumps"].message.startswith("Nothing can be written to the temporary directory ")


# ---------------------------------------------------------------------------------------------- deleted rows


@pytest.mark.slow
def test_tables_that_are_compared_at_the_same_time_take_one_descriptor_each(
    heap: Heap, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"t{number}" for number in range(8)]
    warehouse = Warehouse(heap, resync_mode="tombstones", num_workers=8)
    put_event(heap, 1, range(5))
    entries = [{"name": n, "incremental": False, "columns": [], "files": ["sync_1/event/part-0.avro"]} for n in names]
    put_manifest(heap, 1, entries)
    warehouse.sync(*names)
    put_event(heap, 2, range(4))
    put_manifest(heap, 2, [{**entry, "files": ["sync_2/event/part-0.avro"]} for entry in entries])
    most = [0]
    opened = KeyFile.__init__

    def counted(file: KeyFile) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        opened(file)
        most[0] = max(most[0], len(list(Path("/proc/self/fd").iterdir())) - before)

    monkeypatch.setattr(KeyFile, "__init__", counted)
    output = warehouse.sync(*names)
    assert set(output.last_statuses.values()) == {"COMPLETE"}
    for name in names:
        assert [row["event_id"] for row in output.records[name] if row["_ab_cdc_deleted_at"]] == [4]
    assert 0 < most[0] < 16


@pytest.mark.slow
def test_keys_are_parted_until_they_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_parts, "COMPARED_KEY_BYTES", 2_000)
    file = KeyFile()
    before, now = Parts(file), Parts(file)
    for number in range(60_000):
        before.add(b"[%d]\n" % number)
        now.add(b'["%d"]\n' % number if number % 7 else b"[%d]\n" % -number)  # a number and its text are one key
    for _ in range(5_000):  # one key too often to be parted
        before.add(b"[1]\n")
        now.add(b"[2]\n")
    parts = list(only_in(before, now, file))
    file.close()
    assert len(parts) > 64
    assert sorted(key[0] for part in parts for key in part) == list(range(7, 60_000, 7))
