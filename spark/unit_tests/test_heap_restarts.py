"""Random histories of a bucket, and streams that stop anywhere: no live file is left out.

Without S3 and without rows: a file counts as read when its batch is committed. A query stops before a batch whose
offset is logged, and within one; each restart has another process and maybe another limit.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from product_analytics_spark.errors import ConnectorError
from product_analytics_spark.heap import stream as stream_module
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.stream import HeapStreamReader
from source_heap.manifest import ManifestObject

NAME = "heap-rs3-acme"
KEYS = {"aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
LOAD = HeapLoad.of({"path": "sessions", "bucket": NAME, **KEYS})
#: A file that was read: its generation, dump and key
File = tuple[int, int, str]


class Bucket:
    """Manifests in memory."""

    name = NAME

    def __init__(self) -> None:
        self.clock = datetime(2024, 5, 1, tzinfo=UTC)
        self._stored: dict[int, tuple[ManifestObject, bytes]] = {}

    def put(self, dump_id: int, incremental: bool, keys: list[str] | None, age: timedelta) -> None:
        """A manifest arrives; `keys` is None for one without the table."""
        files = [f"s3://{NAME}/{key}" for key in keys or ()]
        tables = [] if keys is None else [{"name": "sessions", "incremental": incremental, "files": files}]
        data = json.dumps({"dump_id": dump_id, "tables": tables, "at": str(self.clock)}).encode()
        etag, key = hashlib.md5(data, usedforsecurity=False).hexdigest(), f"manifests/sync_{dump_id}.json"
        self._stored[dump_id] = ManifestObject(dump_id, key, etag, self.clock - age, len(data)), data

    def manifests(self) -> list[ManifestObject]:
        return [found for _, (found, _) in sorted(self._stored.items())]

    def read(self, key: str, most: int) -> bytes:
        return next(data for found, data in self._stored.values() if found.key == key)

    def live(self) -> set[tuple[int, str]]:
        """The dump and key of each file that a complete sink has."""
        live: set[tuple[int, str]] = set()
        for dump_id, (_, data) in sorted(self._stored.items()):
            for table in json.loads(data)["tables"]:
                live = live if table["incremental"] else set()
                live |= {(dump_id, file.removeprefix(f"s3://{NAME}/")) for file in table["files"]}
        return live


class History:
    """What happens to a bucket: dumps come late, again, many at a time, in full, without files or without the table."""

    def __init__(self, rng: random.Random, always_full: bool) -> None:
        self.bucket, self._rng = Bucket(), rng
        self._full_rate = rng.choice((0, 0.03, 0.1, 0.3))
        self._last = 1000
        self._deliveries = 0
        self._late: list[int] = []
        self._with_table: set[int] = set()
        self._kinds: dict[int, bool] = {1000: not (always_full or rng.random() < 0.6)}
        self._deliver(1000, 2)

    def go_on(self) -> None:
        """Some dumps come."""
        for _ in range(60 if self._rng.random() < 0.1 else self._rng.randrange(5)):
            self._last += self._rng.randint(1, 3)
            self._kinds[self._last] = self._rng.random() >= self._full_rate
            if self._rng.random() < 0.15:
                self._late.append(self._last)
            else:
                self._deliver(self._last)
        for _ in range(self._rng.randrange(20) if self._rng.random() < 0.3 else 0):
            if self._late:
                self._deliver(self._late.pop(self._rng.randrange(len(self._late))))
        for _ in range(self._rng.choice((1, 1, 3, 30)) if self._rng.random() < 0.3 else 0):
            self._deliver(self._rng.choice(self.bucket.manifests()).dump_id, self._rng.randint(1, 3))

    def _deliver(self, dump_id: int, files: int | None = None) -> None:
        self._deliveries += 1
        incremental = self._kinds[dump_id]
        if files is None:
            files = self._rng.choice((0, 1, 1, 2, 5))
        if dump_id == 1000 or not incremental or self._rng.random() < 0.8:
            self._with_table.add(dump_id)  # and so has each later delivery
        keys = [f"sync_{dump_id}/sessions/{self._deliveries}-{number}.avro" for number in range(files)]
        age = timedelta(hours=self._rng.choice((0, 0, 0, 1, 20)))  # the time of a replica is that of the original
        self.bucket.put(dump_id, incremental, keys if dump_id in self._with_table else None, age)
        self.bucket.clock += timedelta(seconds=self._rng.choice((0, 1, 3_600, 7 * 3_600)))


class Query:
    """A checkpoint and a sink of whole batches."""

    def __init__(self, rng: random.Random, before_4_2: bool) -> None:
        self._rng, self._before_4_2 = rng, before_4_2
        self._offsets: list[str] = []
        self._committed = 0
        self._sink: set[File] = set()

    def run(self, history: History, to_end: bool) -> None:
        """A new process, to the end of the bucket or until it stops somewhere."""
        reader = HeapStreamReader(LOAD, pa.schema([]))
        if not self._before_4_2 and self._rng.random() < 0.5:
            reader.prepareForTriggerAvailableNow()
        if not self._offsets:
            self._offsets.append(json.dumps(reader.initialOffset()))
        while self._plan(reader):
            if not to_end and self._rng.random() < 0.2:
                return
            if not to_end and self._rng.random() < 0.2:
                history.go_on()
            start, end = (json.loads(offset) for offset in self._offsets[-2:])
            parts = [part for partition in reader.partitions(start, end) for part in partition.parts]  # type: ignore[attr-defined]
            if not to_end and self._rng.random() < 0.1:
                return
            self._sink |= {(part.generation, part.dump_id, part.key) for part in parts}
            self._committed += 1

    def _plan(self, reader: HeapStreamReader) -> bool:
        """Logs the offset of the next batch, if none is logged. False at the end of the bucket."""
        if self._committed < len(self._offsets) - 1:
            return True
        start: Mapping[str, Any] = json.loads(self._offsets[-1])
        if self._before_4_2:
            end = json.dumps(reader.latestOffset())
        else:
            end = json.dumps(reader.latestOffset(start, Limit(self._rng.choice((None, 1, 2, 5, 50)))))  # type: ignore[arg-type]
        if end != self._offsets[-1]:
            self._offsets.append(end)
        return end != json.dumps(start)

    def live(self) -> set[tuple[int, str]]:
        """The dump and key of each file of the newest generation in the sink."""
        generation = json.loads(json.loads(self._offsets[-1])["state"])["generation"]
        return {(dump_id, key) for of, dump_id, key in self._sink if of == generation}


class Limit:
    """As pyspark's `ReadMaxFiles`, or without a limit."""

    def __init__(self, max_files: int | None) -> None:
        self.max_files = max_files


def assert_complete(seed: int, before_4_2: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    # Spark before 4.2 needs a full dump to go on from a checkpoint, see `_require_full_dump`
    history, query = History(rng, before_4_2), Query(rng, before_4_2)
    monkeypatch.setattr(stream_module, "HeapBucket", lambda _: history.bucket)
    steps = rng.randint(3, 10)
    for step in range(steps):
        history.go_on()
        try:
            query.run(history, step == steps - 1)
        except ConnectorError:  # a manifest changed between listing and reading it: the next process lists again
            query.run(history, step == steps - 1)
    missing = history.bucket.live() - query.live()
    assert not missing, f"seed {seed}: {sorted(missing)[:5]}"


@pytest.mark.parametrize("before_4_2", [False, True])
def test_random_restarts_lose_no_file(before_4_2: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(40):
        assert_complete(seed, before_4_2, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("before_4_2", [False, True])
def test_many_random_restarts_lose_no_file(before_4_2: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(1_000, 2_000):
        assert_complete(seed, before_4_2, monkeypatch)
