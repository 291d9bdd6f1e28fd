"""What is written to stdout, when, and what never is."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import mmap
import os
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import StreamDescriptor
from kit_toys import CommandLine, ParallelStream, ToySource, ToyStream, catalog, read, readable, sleep_visibly
from source_kit import engine
from source_kit.limits import IN_FLIGHT_BYTES
from source_kit.output import RECORD_TAIL, Batch, Channel, Writer, record_head, state_message
from source_kit.secrets import secret_shapes
from source_kit.stream import Checkpoint, Estimate, RecordLines, SliceItem
from test_kit.messages import decoded, errors, logs, records, states, statuses

SECRET = 'k"ey+y/ü=%&\\z 1'


class Chatty(ParallelStream):
    """Logs at every level from every worker, prints, and writes to `sys.stdout`."""

    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        for item in super().read_slice(slice_):
            self.logger.debug("debug %s", slice_, extra={"headers": {"x": "y" * 200}})
            self.logger.warning("a line\nand another " + "w" * 300)
            print("a library prints")  # noqa: T201
            sys.stdout.write("and writes\n")
            yield item


@pytest.mark.parametrize("debug", [False, True])
def test_what_workers_log_or_print_never_breaks_a_line(toy: CommandLine, debug: bool) -> None:
    streams = [Chatty(f"s{n}", slices=10, rows=20, batch=2) for n in range(3)]
    child = toy.start_read(ToySource(*streams, workers=6), debug=debug)
    code, messages = child.finish()
    assert code == 0
    assert len(records(messages)) == 600
    assert "a library prints" in child.stderr
    assert any(message["type"] == "DEBUG" for message in messages) == debug


def test_a_log_line_that_cannot_be_written_does_not_end_a_stream(toy: CommandLine) -> None:
    class Surrogate(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            self.logger.info("visitor \ud800")
            yield from super().read_slice(slice_)

    code, messages = toy.read(ToySource(Surrogate("s")))
    assert (code, errors(messages)) == (0, [])


class Leaky(ToyStream):
    """Puts a secret into every output, in every encoding."""

    def __init__(self, secret: str) -> None:
        super().__init__("leaky")
        raw = secret.encode()
        basic = [base64.b64encode(user + raw + b"\n").decode() for user in (b"u:", b"us:", b"usr:")]
        self.texts = [
            secret,
            json.dumps({"key": secret}),
            repr({"key": secret}),
            urllib.parse.urlencode({"key": secret}),
            urllib.parse.quote(secret, safe="").lower(),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
            *basic,
        ]

    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        yield [{"id": "1"}]
        for text in self.texts:
            self.logger.info(f"asked with {text}")
            self.logger.debug("asked", extra={"headers": {"Authorization": text}, "body": text.encode()})
        raise ValueError(*self.texts)


@pytest.mark.parametrize("config", [{"api_key": SECRET}, {"credentials": {"kind": "token", "token": SECRET}}])
def test_secrets_are_masked_in_every_encoding_at_every_log_level(toy: CommandLine, config: dict[str, Any]) -> None:
    child = toy.start_read(ToySource(Leaky(SECRET)), config=config | {"spare_key": None}, debug=True)
    code, messages = child.finish()
    assert code == 1
    (error,) = errors(messages)
    assert "ValueError" in error["stack_trace"]
    assert "****" in error["stack_trace"]
    assert "****" in logs(messages)
    whole = json.dumps(messages, ensure_ascii=False) + repr(messages) + child.stderr
    for shape in secret_shapes(SECRET):
        assert shape not in whole
    middle = base64.b64encode(SECRET.encode())[4:-4].decode()
    assert middle not in whole


def test_a_secret_within_other_base64_is_masked() -> None:
    shapes = secret_shapes("abcdefgh12345678")
    for user in ("u:", "us:", "user:"):
        encoded = base64.b64encode(f"{user}abcdefgh12345678;x".encode()).decode()
        assert any(len(shape) > 15 and shape in encoded for shape in shapes)


def test_a_null_option_masks_nothing(toy: CommandLine) -> None:
    class SaysNone(ToyStream):
        def slices(self) -> Any:
            self.logger.info("None of them")
            return super().slices()

    _, messages = toy.read(ToySource(SaysNone("s")), config={"spare_key": None, "api_key": ""})
    assert "None of them" in logs(messages)


def test_a_reader_has_every_record_and_state_while_the_connector_waits(toy: CommandLine) -> None:
    go_on, signal_end = os.pipe()

    class Waits(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield [{"id": "1"}]
            yield Checkpoint({"slice": 1})
            yield [{"id": "2"}]
            os.read(go_on, 1)

    child = toy.start_read(ToySource(Waits("s", slices=1)))
    output = b""
    while b'"id":"2"' not in output:
        assert readable(child.stdout.fileno(), 5), "no output although two records were read"
        output += child.stdout.read(65536)
    assert b'"slice":1' in output
    os.write(signal_end, b"x")
    assert child.finish()[0] == 0
    os.close(go_on)
    os.close(signal_end)


def test_a_state_is_flushed_even_while_more_is_ready() -> None:
    out = io.BytesIO()
    writer = Writer(io.BufferedWriter(Raw(out), 1 << 20))
    writer.write(Batch("s", b'{"type":"RECORD"}\n', 1))
    assert out.getvalue() == b""
    writer.write(state_message(StreamDescriptor(name="s"), {"slice": 1}))
    assert [message["type"] for message in decoded(out.getvalue())] == ["RECORD", "STATE"]


class Raw(io.RawIOBase):
    """What was passed to the operating system."""

    def __init__(self, out: io.BytesIO) -> None:
        self.out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.out.write(data)


@pytest.mark.slow
def test_a_log_line_names_the_wait(toy: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HEARTBEAT_SECONDS", 0.05)

    class Slow(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            sleep_visibly(0.3)
            yield [{"id": "1"}]

    code, messages = toy.read(ToySource(Slow("s", slices=1)))
    assert code == 0
    beats = [line for line in logs(messages).splitlines() if line.startswith("INFO: Still reading:")]
    assert len(beats) >= 2
    assert all("waiting 0 s: the vendor is slow (for " in beat for beat in beats)


def test_a_sync_ends_as_soon_as_its_last_stream_does(toy: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Channel.get
    # a writer that is not woken up at the end waits until this test times out
    monkeypatch.setattr(Channel, "get", lambda channel, timeout: get(channel, timeout=3_600.0))
    assert toy.read(ToySource(ToyStream("s")))[0] == 0


class Endless(ParallelStream):
    """Many megabytes. Counts what it produced in memory that the parent shares."""

    PIECE = RecordLines(record_head("endless") + b'{"id":"' + b"x" * 1_000_000 + b'"}' + RECORD_TAIL, 1)

    def __init__(self) -> None:
        super().__init__("endless", slices=4)
        self.produced = mmap.mmap(-1, self.count)

    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        for number in range(200):
            self.produced[slice_] = number + 1
            yield self.PIECE


@pytest.mark.slow
def test_with_a_slow_reader_memory_is_bounded(toy: CommandLine) -> None:
    stream = Endless()
    child = toy.start_read(ToySource(stream, workers=4))
    produced, before = -1, -2
    while produced != before:
        time.sleep(0.15)
        before, produced = produced, sum(bytes(stream.produced))
    child.kill()
    child.wait()
    in_the_writer, held_by_workers = 2, 4
    assert 1 < produced <= IN_FLIGHT_BYTES / 1_000_000 + in_the_writer + held_by_workers + 1


@pytest.mark.parametrize("after", [0, 100_000])
def test_a_closed_stdout_ends_the_process_without_output(toy: CommandLine, after: int) -> None:
    child = toy.start_read(ToySource(Endless()))
    while after > 0:
        after -= len(child.stdout.read(65536))
    child.stdout.close()
    assert child.wait(10) == 1
    assert child.stderr == ""


def test_estimates_and_ready_lines_have_airbytes_shape(toy: CommandLine) -> None:
    class Special(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield Estimate(rows=2)
            yield []
            lines = (record_head("s") + data + RECORD_TAIL for data in (b'{"id":"2"}', b'{"id":"3"}'))
            yield RecordLines(b"".join(lines), 2)

    code, messages = toy.read(ToySource(Special("s", slices=1)))
    assert code == 0
    assert [record["id"] for record in records(messages)] == ["2", "3"]
    (estimate,) = (m["trace"]["estimate"] for m in messages if m.get("trace", {}).get("type") == "ESTIMATE")
    assert estimate == {"name": "s", "type": "STREAM", "row_estimate": 2}


def test_an_empty_stream_is_never_running(toy: CommandLine) -> None:
    code, messages = toy.read(ToySource(ToyStream("s", slices=0)), configured=catalog("s"))
    assert code == 0
    assert statuses(messages, "s") == ["STARTED", "COMPLETE"]
    assert states(messages) == [{"__ab_no_cursor_state_message": True}]


def test_a_second_sync_in_the_same_process_can_wait_again() -> None:
    """The end of one sync must not end the waits of a later command, such as a check."""
    stream = ToyStream("s")
    read(ToySource(stream), catalog(stream))
    started_at = time.monotonic()
    sleep_visibly(0.01)
    assert time.monotonic() - started_at >= 0.01
    assert threading.active_count() < 20


@pytest.mark.parametrize(("given", "then"), [(None, 1024 * 1024), (4096, 4096)], ids=["usual", "chosen"])
def test_a_pipe_gets_more_room_unless_it_has_a_size_of_its_own(toy: CommandLine, given: int | None, then: int) -> None:
    limit = int(Path("/proc/sys/fs/pipe-max-size").read_text())
    child = toy.start_read(ToySource(ToyStream("s")))
    with os.fdopen(os.dup(child.stdout.fileno()), "rb") as pipe:
        if given:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, given)
        assert child.finish()[0] == 0
        assert fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) == min(then, limit)
