"""A bucket on loopback, the connector that reads it, and a small warehouse that takes what it writes."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from simulators.heap.avro_files import Column, encode
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import BucketServer
from source_heap import SourceHeap
from source_kit.run import launch

Row = dict[str, Any]
KEYS = {"auth_type": "keys", "aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
ADDED = ("_heap_dump_id", "_heap_generation", "_heap_file", "_ab_cdc_deleted_at")


class Failure(NamedTuple):
    """The error trace of a stream."""

    message: str
    internal_message: str
    failure_type: str
    stack_trace: str


@dataclass
class Output:
    """What one run of the connector put out."""

    code: int
    messages: list[dict[str, Any]]
    records: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    changes: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    estimates: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    logs: list[str] = field(default_factory=list)
    catalog: list[Row] = field(default_factory=list)
    check: Row = field(default_factory=dict)

    def __post_init__(self) -> None:
        for message in self.messages:
            if message["type"] in ("SPEC", "DEBUG"):
                continue
            getattr(self, f"_{message['type'].lower()}")(message)

    def _record(self, message: Row) -> None:
        record = message["record"]
        self.records[record["stream"]].append(record["data"])
        if record.get("meta"):
            self.changes[record["stream"]].append((record["data"], record["meta"]["changes"]))

    def _state(self, message: Row) -> None:
        stream = message["state"]["stream"]
        self.states[stream["stream_descriptor"]["name"]].append(stream["stream_state"])

    def _trace(self, message: Row) -> None:
        trace = message["trace"]
        if trace["type"] == "STREAM_STATUS":
            self.statuses[trace["stream_status"]["stream_descriptor"]["name"]] = trace["stream_status"]["status"]
        elif trace["type"] == "ESTIMATE":
            self.estimates[trace["estimate"]["name"]].append(trace["estimate"]["row_estimate"])
        else:
            error = trace["error"]
            name = (error.get("stream_descriptor") or {}).get("name", "")
            self.failures[name] = Failure(
                error["message"], error["internal_message"], error["failure_type"], error.get("stack_trace") or ""
            )

    def _log(self, message: Row) -> None:
        self.logs.append(f"{message['log']['level']}: {message['log']['message']}")

    def _catalog(self, message: Row) -> None:
        self.catalog = message["catalog"]["streams"]

    def _connection_status(self, message: Row) -> None:
        self.check = message["connectionStatus"]

    @property
    def text(self) -> str:
        """Everything, as it was written."""
        return "\n".join(json.dumps(message) for message in self.messages)

    def stream(self, name: str) -> Row:
        """A stream of the discovered catalog."""
        return next(stream for stream in self.catalog if stream["name"] == name)

    def logged(self, text: str) -> list[str]:
        """The log lines that hold the text."""
        return [line for line in self.logs if text in line]


def run(verb: str, *, debug: bool = False, **files: Any) -> Output:
    """The command line in this process. `files` become JSON files, one an option; one that is None is left out."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        args = [verb] + (["--debug"] if debug else [])
        for option, content in files.items():
            if content is not None:
                path = Path(folder) / f"{option}.json"
                path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
                args += [f"--{option}", str(path)]
        with _stdout_into(out.fileno()):
            try:
                code = launch(SourceHeap, args)
            except SystemExit as exit_:
                code = int(exit_.code or 0)
        out.seek(0)
        return Output(code, [json.loads(line) for line in out.read().splitlines()])


@contextmanager
def _stdout_into(descriptor: int) -> Iterator[None]:
    """What is written to file descriptor 1 goes elsewhere; what the connector changes in the process is undone."""
    hook, handlers, stdout = sys.excepthook, logging.getLogger().handlers[:], os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        assert sys.__stdout__ is not None
        sys.__stdout__.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
        sys.excepthook, logging.getLogger().handlers[:] = hook, handlers


def configured(stream: Mapping[str, Any], mode: str = "incremental") -> Row:
    """A stream of a configured catalog."""
    return {"stream": dict(stream), "sync_mode": mode, "destination_sync_mode": "append"}


def state_messages(states: Mapping[str, Row]) -> list[Row]:
    """States as the platform hands them back."""
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}
        for name, state in states.items()
    ]


class Heap:
    """A bucket server, and the connector pointed at it."""

    def __init__(self, server: BucketServer) -> None:
        self.server = server

    def config(self, **options: Any) -> Row:
        """A configuration for the bucket; an option that is None is left out."""
        config = {"bucket": self.server.bucket, "endpoint_url": self.server.url, "credentials": KEYS, **options}
        return {name: value for name, value in config.items() if value is not None}

    def check(self, **options: Any) -> Row:
        """What `check` says."""
        return run("check", config=self.config(**options)).check

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
        found = self.discover(**options).catalog if catalog is None else catalog
        streams = [configured(stream, mode) for stream in found if not names or stream["name"] in names]
        return run(
            "read",
            debug=debug,
            config=self.config(**options),
            catalog={"streams": streams},
            state=state_messages(state) if state else None,
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
            self.schemas = {stream["name"]: stream for stream in self.heap.discover(**self.options).catalog}
        catalog = list(self.schemas.values())
        output = self.heap.read(*names, state=self.states, mode=mode, catalog=catalog, **self.options)
        for name, records in output.records.items():
            self.rows[name] += records
        for name, states in output.states.items():
            self.states[name] = states[-1]
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
        key = [path[0] for path in self.schemas[table].get("source_defined_primary_key") or []]
        if not key:
            return self.live(table)
        generation = self.generation(table)
        last: dict[tuple[Any, ...], Row] = {}
        for row in sorted(self.rows[table], key=lambda row: row["_heap_dump_id"]):
            if row["_heap_generation"] == generation:
                last[tuple(row[name] for name in key)] = plain(row)
        return list(last.values())


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
