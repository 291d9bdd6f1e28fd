"""Toy streams, a toy source, and ways to run them: in this process, or in a child with pipes of its own."""

from __future__ import annotations

import io
import logging
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import (
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
    ConnectorSpecification,
)
from airbyte_cdk.sources.streams import Stream
from source_kit import activity
from source_kit.cli import launch
from source_kit.options import Options
from source_kit.output import Writer
from source_kit.source import Source
from source_kit.stream import BatchStream, Checkpoint, SliceItem
from test_kit.catalogs import configured_stream
from test_kit.command import arguments, written
from test_kit.messages import Message, decoded


class ToyStream(BatchStream):
    """`slices` slices of `rows` records, read in batches, with a checkpoint after every batch.

    State: `{"slice": k, "row": r}`, everything before row r of slice k was read; with independent slices
    `{"read": {slice: rows}}`, which `merge_state` changes in place, as a careless stream would.
    """

    primary_key = "id"
    cursor_field = "slice"

    def __init__(self, name: str, *, slices: int = 4, rows: int = 20, batch: int = 5, jitter: float = 0.0) -> None:
        self._name = name
        self.count = slices
        self.rows = rows
        self.batch = batch
        self.jitter = jitter
        self.started_with: Mapping[str, Any] = {}
        self.random = random.Random(name)

    @property
    def name(self) -> str:
        return self._name

    def get_json_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"id": {"type": "string"}, "slice": {"type": "integer"}}}

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self.started_with = dict(state)

    def slices(self) -> Iterable[Any]:
        """Waits before each, like a stream that asks a server for them."""
        for slice_ in range(0 if self.independent_slices else self.started_with.get("slice", 0), self.count):
            self.pause()
            yield slice_

    def first_row(self, slice_: int) -> int:
        if self.independent_slices:
            return int(self.started_with.get("read", {}).get(str(slice_), 0))
        return int(self.started_with.get("row", 0)) if slice_ == self.started_with.get("slice") else 0

    def pause(self) -> None:
        if self.jitter:
            time.sleep(self.random.random() * self.jitter)

    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        for row in range(self.first_row(slice_), self.rows, self.batch):
            self.pause()
            end = min(row + self.batch, self.rows)
            yield [{"id": f"{self.name}/{slice_}/{n}", "slice": slice_} for n in range(row, end)]
            yield Checkpoint(self.update(slice_, end))

    def update(self, slice_: int, end: int) -> dict[str, Any]:
        if self.independent_slices:
            return {str(slice_): end}
        return {"slice": slice_ + 1, "row": 0} if end == self.rows else {"slice": slice_, "row": end}

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        if not self.independent_slices:
            return super().merge_state(state, update)
        changed = dict(state)
        changed.setdefault("read", {}).update(update)
        return changed

    def covered(self, state: Mapping[str, Any]) -> set[str]:
        """The ids that a state says were read."""
        if self.independent_slices:
            read = {int(slice_): rows for slice_, rows in state.get("read", {}).items()}
        else:
            read = dict.fromkeys(range(state.get("slice", 0)), self.rows) | {state.get("slice", 0): state.get("row", 0)}
        return {f"{self.name}/{slice_}/{n}" for slice_, rows in read.items() for n in range(rows)}

    @property
    def truth(self) -> set[str]:
        return {f"{self.name}/{slice_}/{n}" for slice_ in range(self.count) for n in range(self.rows)}


class ParallelStream(ToyStream):
    parallel_slices = True


class IndependentStream(ToyStream):
    independent_slices = True


class ToySource(Source[Options]):
    """Has the streams it is given and a spec with secrets at the top and inside of a oneOf."""

    options = Options

    def __init__(self, *streams: Stream, workers: int = 4) -> None:
        self.toys = list(streams)
        self.worker_count = workers

    def workers(self, config: Options) -> int:
        return self.worker_count

    def all_streams(self, config: Options) -> list[Stream]:
        return self.toys

    def probe(self, logger: logging.Logger, config: Options) -> str | None:
        return None

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:
        secret = {"type": "string", "airbyte_secret": True}
        way = {"type": "object", "properties": {"kind": {"const": "token"}, "token": secret}}
        properties = {
            "api_key": secret,
            "spare_key": {"type": ["string", "null"], "airbyte_secret": True},
            "pages": {"type": "integer"},
            "credentials": {"type": "object", "oneOf": [way]},
        }
        return ConnectorSpecification(connectionSpecification={"type": "object", "properties": properties})


def catalog(*streams: Stream | str, mode: str = "incremental") -> dict[str, Any]:
    """A configured catalog of these streams."""
    names = [stream if isinstance(stream, str) else stream.name for stream in streams]
    return {"streams": [configured_stream(name, mode == "incremental") for name in names]}


def read(source: ToySource, configured: Mapping[str, Any], states: Sequence[Mapping[str, Any]] = ()) -> list[Message]:
    """Reads in this process, through the engine and the writer; what a reader of stdout would see, in order."""
    out = io.BytesIO()
    writer = Writer(out)
    engine = source.engine(
        logging.getLogger("airbyte.toy"),
        {},
        ConfiguredAirbyteCatalogSerializer.load(dict(configured)),
        [AirbyteStateMessageSerializer.load(dict(state)) for state in states],
    )
    for item in engine.items():
        writer.write(item)
    writer.flush()
    return decoded(out.getvalue())


def readable(descriptor: int, seconds: float) -> bool:
    """Whether it can be read, or has ended, within this time. `select` takes no numbers from 1,024 on."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Child:
    """Work in a forked process whose stdout is a pipe. It starts a second faster than a new process."""

    def __init__(self, work: Callable[[], int]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        read_end, write_end = os.pipe()
        sys.__stdout__.flush()  # type: ignore[union-attr]
        sys.__stderr__.flush()  # type: ignore[union-attr]
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read_end)
            self._become(work, write_end)
        os.close(write_end)
        self.stdout = io.FileIO(read_end)
        self._watch = os.pidfd_open(self.pid)
        self._ended = False

    def _become(self, work: Callable[[], int], write_end: int) -> None:
        code = 1
        try:
            os.dup2(write_end, 1)
            os.dup2(self._errors.fileno(), 2)
            os.close(write_end)
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            PRINT_BUFFER.buffer = io.StringIO()
            code = work()
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code; a child that does not end is killed, and the test fails."""
        ended = readable(self._watch, seconds)
        if not ended:
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        self._ended = True
        os.close(self._watch)
        self.stdout.close()
        assert ended, f"the child did not end within {seconds} s; stderr: {self.stderr}"
        return os.waitstatus_to_exitcode(status)

    def finish(self, seconds: float = 20.0) -> tuple[int, list[Message]]:
        """The exit code and every message."""
        output = self.stdout.read()
        while more := self.stdout.read():
            output += more
        return self.wait(seconds), decoded(output)

    @property
    def stderr(self) -> str:
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode()

    def close(self) -> None:
        if not self._ended:  # its test failed
            self.kill()
            self.wait()
        self._errors.close()


class CommandLine:
    """The toy connector's command line: writes the files and runs `launch` in a child process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: list[Child] = []

    def file(self, name: str, content: Any) -> str:
        """Writes a document, or raw text, and returns its path."""
        return written(self._folder / name, content)

    def start(self, source: ToySource, *args: str) -> Child:
        """Starts the connector with exactly these arguments."""
        child = Child(lambda: launch(lambda: source, args))
        self.children.append(child)
        return child

    def start_read(
        self,
        source: ToySource,
        *,
        config: Any = None,
        configured: Any = None,
        states: Any = None,
        debug: bool = False,
    ) -> Child:
        """Starts a read of all streams, unless the catalog says otherwise."""
        files = {"config": {} if config is None else config, "catalog": configured or catalog(*source.toys)}
        flags = ["--debug"] if debug else []
        return self.start(source, *arguments(self._folder, "read", flags, {**files, "state": states}))

    def read(self, source: ToySource, **options: Any) -> tuple[int, list[Message]]:
        """Exit code and messages of a read."""
        return self.start_read(source, **options).finish()


def sleep_visibly(seconds: float) -> None:
    """What a stream does while it waits for a vendor."""
    activity.current().wait(seconds, "the vendor is slow")


if __name__ == "__main__":
    sys.exit(launch(lambda: ToySource(ToyStream("toy")), sys.argv[1:]))
