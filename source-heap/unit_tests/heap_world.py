"""A bucket on loopback, the connector that reads it, and a warehouse that keeps what it writes."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators.heap.avro_files import Column, encode
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import BucketServer
from source_heap import SourceHeap
from source_kit.cli import launch
from test_kit.catalogs import Row, configured_stream, primary_key, stream_states
from test_kit.command import arguments, run_here
from test_kit.destination import upserted
from test_kit.messages import Output

KEYS = {"auth_type": "keys", "aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
ADDED = ("_heap_dump_id", "_heap_generation", "_heap_file", "_ab_cdc_deleted_at")


def run(verb: str, *flags: str, **files: Any) -> Output:
    """The command line in this process; see `test_kit.command`."""
    return run_here(lambda argv: launch(SourceHeap, argv), verb, *flags, **files)


def command(heap: Heap, folder: Path, decoder: str = "compiled", names: Sequence[str] = ("ev", "pv")) -> list[str]:
    """The command that reads these tables, as a process of its own; `decoder` as in `decoding.DECODERS`."""
    catalog = {"streams": [configured_stream(name, incremental=False) for name in names]}
    program = [str(Path(sys.executable).parent / "source-heap")]
    if decoder == "fastavro":  # as where the compiled module is not installed
        program = [sys.executable, "-c", "import sys; sys.modules['source_heap.avro.native'] = None\n" + _RUN]
    return [*program, *arguments(folder, "read", (), {"config": heap.config(), "catalog": catalog})]


_RUN = "from source_heap.run import run; run()"


class Heap:
    """A bucket server, and the connector pointed at it."""

    def __init__(self, server: BucketServer) -> None:
        self.server = server

    def config(self, **options: Any) -> Row:
        """A configuration for the bucket; an option that is None is dropped."""
        config = {"bucket": self.server.bucket, "endpoint_url": self.server.url, "credentials": KEYS, **options}
        return {name: value for name, value in config.items() if value is not None}

    def check(self, **options: Any) -> Row:
        """What `check` says."""
        return run("check", config=self.config(**options)).connection_status

    def discover(self, **options: Any) -> Output:
        """What `discover` says."""
        return run("discover", config=self.config(**options))

    def read(
        self,
        *names: str,
        state: Mapping[str, Row] | None = None,
        mode: str = "incremental",
        catalog: Sequence[Row] | None = None,
        debug: bool = False,
        **options: Any,
    ) -> Output:
        """Reads streams, all unless some are named, with the discovered schemas unless others are given."""
        found = self.discover(**options).streams if catalog is None else catalog
        chosen = [stream for stream in found if not names or stream["name"] in names]
        return run(
            "read",
            *(["--debug"] if debug else []),
            config=self.config(**options),
            catalog={"streams": [configured_stream(stream, mode == "incremental") for stream in chosen]},
            state=stream_states(state),
        )

    def files_read(self, table: str = "") -> list[str]:
        """The keys of the data files that were asked for whole, in order."""
        return [
            request.path.split("/", 2)[2]
            for request in self.server.requests
            if request.path.endswith(".avro") and f"/{table}" in request.path and "range" not in request.headers
        ]


class Warehouse:
    """Keeps every record and the last states, and knows which rows are live as the documentation says."""

    def __init__(self, heap: Heap, **options: Any) -> None:
        self.heap = heap
        self.options = options
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.states: dict[str, Row] = {}
        self.schemas: dict[str, Row] = {}

    def sync(self, *names: str, mode: str = "incremental", discover: bool = True) -> Output:
        """One incremental sync of all streams, or of some; without `discover` with the schemas that are known."""
        if discover or not self.schemas:
            self.schemas = {stream["name"]: stream for stream in self.heap.discover(**self.options).streams}
        catalog = list(self.schemas.values())
        output = self.heap.read(*names, state=self.states, mode=mode, catalog=catalog, **self.options)
        for name, records in output.records.items():
            self.rows[name] += records
        self.states |= output.last_states()
        return output

    def generation(self, table: str) -> int:
        """The dump that the live rows of a table start from."""
        known = [row["generation"] for row in self.rows["_heap_dumps"] if row["table_name"] == table]
        return max(generation for generation in known if generation is not None)

    def live(self, table: str) -> list[Row]:
        """The live rows in the order of their arrival, without nulls and without our columns."""
        generation = self.generation(table)
        return [plain(row) for row in self.rows[table] if row["_heap_generation"] == generation]

    def latest(self, table: str) -> list[Row]:
        """Of the live rows the last one for each key, a later dump counting more; all of a table without a key."""
        key = primary_key(self.schemas[table])
        if not key:
            return self.live(table)
        generation = self.generation(table)
        rows = [row for row in self.rows[table] if row["_heap_generation"] == generation]
        return upserted(key, map(plain, sorted(rows, key=lambda row: row["_heap_dump_id"])))


def plain(row: Row) -> Row:
    """A row without nulls and without the columns that the connector adds."""
    return {name: value for name, value in row.items() if value is not None and name not in ADDED}


def unordered(rows: Sequence[Row]) -> list[str]:
    """Rows so that two lists of them can be compared as bags."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


#: The columns of the table `event`
EVENT = (Column("event_id", "long"), Column("user_id", "long"), Column("time", "string"))


def put_event(heap: Heap, dump_id: int, ids: Sequence[int], columns: Sequence[Column] = EVENT, files: int = 1) -> None:
    """A full dump of the table `event` with these ids, which users share; as text where the columns say so."""
    kinds = {column.name: column.type for column in columns}
    rows = [
        {name: str(value) if kinds[name] == "string" else value for name, value in row.items()}
        for row in ({"event_id": i, "user_id": i % 2, "time": "2026-01-01 00:00:00"} for i in ids)
    ]
    names = [f"sync_{dump_id}/event/part-{number}.avro" for number in range(files)]
    heap.server.put([StoredObject(name, encode(columns, rows)) for name in names[:1]])
    put_manifest(heap, dump_id, [{"name": "event", "incremental": False, "columns": list(kinds), "files": names}])


def put_manifest(heap: Heap, dump_id: int, tables: Sequence[Any]) -> None:
    """A manifest with these entries, and no file."""
    data = json.dumps({"dump_id": dump_id, "tables": tables}).encode()
    heap.server.put([StoredObject(f"manifests/sync_{dump_id}.json", data)])


def table_entry(name: str, incremental: Any = True) -> dict[str, Any]:
    """What a manifest says of a table of which it has no file."""
    return {"name": name, "incremental": incremental, "columns": ["event_id"], "files": []}
