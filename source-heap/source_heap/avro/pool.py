"""Decodes files in worker processes and returns the rows in the order of the file.

A file is cut into spans of blocks. Spans are assigned to the processes in turn, and the rows are collected in the same
order. A process that is ahead waits, so memory stays bounded for any size of file, and a single file keeps all cores
busy. The processes start when the first large file is there or expected, and serve all streams.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from source_heap.avro import frames
from source_heap.avro.container import Header, Span, read_blocks, read_header, scan
from source_heap.avro.decoder import Chunk, Decoder
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.values import Projection
from source_heap.limits import EMPTY_ROWS

logger = logging.getLogger("airbyte")

#: First guess at a header's length. Bytes.
_HEADER_BYTES = 64 * 1024
#: Least rows of a span, which is whole blocks. Its output should fit into the memory that is shared with a process, so
#: that a process can be one span ahead. Heap's blocks are 64,000 bytes before compression, about 200 rows (observed).
_SPAN_ROWS = 1_200
#: A file with fewer rows is decoded in this process: distributing it would take longer.
_WORTH_A_PROCESS_ROWS = 5_000

#: Makes glibc keep freed memory. Without it, returning and fetching hundreds of kilobytes for every chunk took a
#: seventh of a process's time (measured).
_KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TOP_PAD_": "4194304",
}

_ERRORS = {frames.BROKEN: BrokenFile, frames.BEYOND_LIMIT: BeyondLimit, frames.FAILED: RuntimeError}


class ProcessLost(Exception):
    """A decoding process ended unexpectedly. The text gives its signal or exit code."""


@dataclass(frozen=True)
class AvroFile:
    """An Avro file on disk whose structure was checked."""

    path: Path
    header: Header
    spans: list[Span]

    @classmethod
    def open(cls, path: Path) -> AvroFile:
        """Reads the header and finds the blocks. Raises BrokenFile if the file is cut or is not an Avro file."""
        with path.open("rb") as data:
            header = read_header(partial(_first, data), _HEADER_BYTES)
            file = cls(path, header, list(scan(data, header, path.stat().st_size, _SPAN_ROWS)))
        if not header.schema.row.least and file.rows > EMPTY_ROWS:
            raise BeyondLimit(f"it has more than {EMPTY_ROWS:,} rows of no bytes")
        return file

    @property
    def rows(self) -> int:
        return sum(span.rows for span in self.spans)


def _first(file: BinaryIO, size: int) -> bytes:
    file.seek(0)
    return file.read(size)


class DecoderPool:
    """A number of decoding processes; with fewer than two, everything is decoded in this process.

    The processes end with the pool or with the connector.
    """

    def __init__(self, processes: int) -> None:
        self._size = processes if processes > 1 else 0
        self._idle: list[_Process] = []
        self._running: list[_Process] = []
        self._changed = threading.Condition()
        self.close = weakref.finalize(self, _kill_all, self._running)

    def prepare(self) -> None:
        """Starts the processes before the first file is there."""
        with self._changed:
            self._start_missing()

    def decode(self, file: AvroFile, projection: Projection) -> Iterator[Chunk]:
        """The rows of a file, in order. Raises BrokenFile or ProcessLost."""
        processes = self._take() if self._size and file.rows >= _WORTH_A_PROCESS_ROWS else []
        if not processes:
            yield from _decode_here(file, projection)
            return
        clean = False
        try:
            yield from _collect(processes, file, projection)
            clean = True
        except BrokenFile:
            clean = len(processes) == 1  # a single process sends nothing after its error
            raise
        finally:
            self._give_back(processes, clean)

    def _take(self) -> list[_Process]:
        """All idle processes, after starting missing ones; waits for at least one. Empty if none can be started."""
        with self._changed:
            while not self._idle and 0 < self._size == len(self._running):
                self._changed.wait()
            self._start_missing()
            taken, self._idle = self._idle, []
            return taken

    def _start_missing(self) -> None:
        while len(self._running) < self._size:
            try:
                process = _Process()
            except OSError as error:  # a limit on processes, descriptors or the size of files, or no memory
                self._size = len(self._running)
                logger.warning(f"Decoding with {self._size or 'no'} processes beside this one: {error}")
                return
            self._running.append(process)
            self._idle.append(process)

    def _give_back(self, processes: list[_Process], clean: bool) -> None:
        with self._changed:
            if clean:
                self._idle.extend(processes)
            else:
                for process in processes:
                    process.kill()
                    self._running.remove(process)
            self._changed.notify_all()


def _kill_all(processes: Iterable[_Process]) -> None:
    for process in processes:
        process.kill()


def _decode_here(file: AvroFile, projection: Projection) -> Iterator[Chunk]:
    decoder = Decoder(file.header.schema, projection)
    with file.path.open("rb") as data:
        yield from decoder.chunks(read_blocks(data, file.header.codec, file.spans))


def _collect(processes: Sequence[_Process], file: AvroFile, projection: Projection) -> Iterator[Chunk]:
    for turn, process in enumerate(processes):
        process.begin(file, projection, file.spans[turn :: len(processes)])
    for number in range(len(file.spans)):
        yield from processes[number % len(processes)].span()


class _Process:
    def __init__(self) -> None:
        acknowledged, acknowledge = os.pipe()
        memory = -1
        try:
            memory = os.memfd_create("source-heap")
            os.ftruncate(memory, frames.MEMORY_BYTES)
            # -P: never import a file of the working directory as a module
            command = [sys.executable, "-P", "-m", "source_heap.avro.worker", str(memory), str(acknowledged)]
            self._process = subprocess.Popen(  # noqa: S603 - no part of the command comes from outside
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(memory, acknowledged),
                process_group=0,  # Ctrl-C goes to the connector only; this process ends with its stdin
                env={**_KEEP_MEMORY, **os.environ},
            )
            self._jobs = cast(BinaryIO, self._process.stdin)
            self._answers = cast(BinaryIO, self._process.stdout)
            self._frames = frames.Receiver(self._answers, memory, acknowledge)
        except BaseException:
            os.close(acknowledge)
            raise
        finally:
            os.close(acknowledged)
            if memory >= 0:
                os.close(memory)

    def begin(self, file: AvroFile, projection: Projection, spans: Sequence[Span]) -> None:
        """Sends the process its spans of a file."""
        job = {
            "path": str(file.path),
            "schema": file.header.text.decode("latin-1"),
            "codec": file.header.codec,
            "spans": [astuple(span) for span in spans],
            "projection": asdict(projection),
        }
        try:
            self._jobs.write(orjson.dumps(job) + b"\n")
            self._jobs.flush()
        except BrokenPipeError:
            raise self._lost() from None

    def span(self) -> Iterator[Chunk]:
        """The rows of the next span."""
        while True:
            try:
                kind, chunk = self._frames.next()
            except EOFError:
                raise self._lost() from None
            if kind == frames.SPAN_END:
                return
            if kind != frames.ROWS:
                raise _ERRORS[kind](chunk.lines.decode())
            yield chunk

    def _lost(self) -> ProcessLost:
        code = self._process.wait()
        return ProcessLost(f"signal {-code}" if code < 0 else f"exit code {code}")

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._jobs, self._answers, self._frames):
            with contextlib.suppress(OSError):
                pipe.close()
