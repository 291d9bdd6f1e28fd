"""Answers with another part of a file than requested: no row is lost, and the file is not called broken."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from heap_world import Heap, run
from odd_server import OddServer, part
from simulators.faults import Fault
from simulators.heap.avro_files import blocks
from simulators.heap.scenarios import Step, scenario
from simulators.server import Request, Response
from test_kit.messages import Output

#: What is made of the answer to a request for the rest of a file: the whole file, where the rest begins, its ETag
Bend = Callable[[bytes, int, str], Response]


@pytest.fixture
def odd() -> Iterator[OddServer]:
    """A bucket with one file of 2,000 rows in many blocks."""
    with OddServer() as server:
        yield server


@pytest.fixture
def step(odd: OddServer) -> Step:
    (step,) = scenario("file_for_a_cut_transfer", bucket=odd.bucket)
    odd.apply(step)
    return step


def file_of(step: Step) -> bytes:
    return next(item.data for item in step.put if item.key.endswith(".avro"))


def require_truth(output: Output, step: Step) -> None:
    assert output.last_statuses == {"sessions": "COMPLETE"}
    wanted = [row.values["event_id"] for row in step.live["sessions"].rows]
    assert [row["event_id"] for row in output.records["sessions"]] == wanted


def is_of_file(request: Request) -> bool:
    return request.path.endswith(".avro")


BENDS: dict[str, Bend] = {
    "an earlier part": lambda data, at, etag: part(data, at // 2, at // 2 + len(data) - at, ETag=etag),
    "a later part": lambda data, at, etag: part(data, at + 100, len(data), ETag=etag),
    "the whole": lambda data, at, etag: Response(200, data, "binary/octet-stream", {"ETag": etag}),
    "the beginning": lambda data, at, etag: part(data, 0, at, ETag=etag),
    "a part of a longer file": lambda data, at, etag: Response(
        206, data[at:], "x/y", {"ETag": etag, "Content-Range": f"bytes {at}-{len(data) - 1}/{len(data) + 9}"}
    ),
    "a part of another version": lambda data, at, etag: part(data, at, len(data), ETag='"other"'),
    "a part that does not say which": lambda data, at, etag: part(data, at, len(data), ETag=etag, Content_Range=""),
    "a part that contradicts itself": lambda data, at, etag: Response(
        206, data[at:], "x/y", {"ETag": etag, "Content-Range": f"bytes {at}-{at + 9}/{len(data)}"}
    ),
    "a part, as a whole answer": lambda data, at, etag: Response(
        200, data[:at], "x/y", {"ETag": etag, "Content-Range": f"bytes 0-{at - 1}/{len(data)}"}
    ),
    "a shorter part than asked for": lambda data, at, etag: part(data, at, at + 100, ETag=etag),
    "no such part": lambda data, at, etag: Response(
        416, b"<Error><Code>InvalidRange</Code></Error>", "application/xml"
    ),
}


#: The same, of answers that are so every time
NEVER: dict[str, Bend] = {
    "several parts in one": lambda data, at, etag: Response(
        206, b"--x\r\n\r\n" + data[at:] + b"\r\n--x--\r\n", "multipart/byteranges; boundary=x", {"ETag": etag}
    ),
    "a part in another unit": lambda data, at, etag: part(
        data, at, len(data), ETag=etag, Content_Range=f"rows {at}-{len(data) - 1}/{len(data)}"
    ),
    "more than the file has": lambda data, at, etag: Response(
        206, data[at:] + b"more", "x/y", {"ETag": etag, "Content-Range": f"bytes {at}-{len(data) + 3}/*"}
    ),
    "nothing, as a success": lambda data, at, etag: Response(204, b"", "x/y", {"ETag": etag}),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BENDS)
def test_a_resume_that_is_answered_with_something_else_loses_no_row(what: str, odd: OddServer, step: Step) -> None:
    data, heap = file_of(step), Heap(odd)
    catalog = heap.discover().streams
    at = blocks(data)[5].end  # a reader that trusts the file alone would take what came until here for a whole one
    odd.faults.add(Fault("cut", path="/sessions/", at=at, times=1))
    odd.odd = lambda request, usual: (
        BENDS[what](data, at, usual.headers["ETag"])
        if request.headers.get("range") == f"bytes={at}-" and not odd.answered
        else None
    )
    output = heap.read("sessions", catalog=catalog)
    assert odd.answered == 1
    require_truth(output, step)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 1000])
def test_a_part_that_nobody_asked_for_is_not_taken_for_the_whole(times: int, odd: OddServer, step: Step) -> None:
    data, heap = file_of(step), Heap(odd)
    catalog = heap.discover().streams
    end = blocks(data)[5].end
    odd.odd = lambda request, usual: (
        part(data, 0, end, ETag=usual.headers["ETag"])
        if is_of_file(request) and "range" not in request.headers and odd.answered < times
        else None
    )
    output = heap.read("sessions", catalog=catalog)
    assert odd.answered
    require_truth(output, step)


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [
        "a later part",
        "a part of a longer file",
        "a part that does not say which",
        "a part that contradicts itself",
        "several parts in one",
        "a part in another unit",
        "more than the file has",
        "nothing, as a success",
    ],
)
def test_a_server_that_never_knows_how_to_go_on_is_asked_for_the_whole(what: str, odd: OddServer, step: Step) -> None:
    """Only a request without a range gets what it asked for, so the same request once more would heal nothing."""
    data, heap = file_of(step), Heap(odd)
    catalog = heap.discover().streams
    at = blocks(data)[5].end
    odd.faults.add(Fault("cut", path="/sessions/", at=at, times=1))
    bend = {**BENDS, **NEVER}[what]
    odd.odd = lambda request, usual: (
        bend(data, at, usual.headers["ETag"]) if is_of_file(request) and "range" in request.headers else None
    )
    require_truth(heap.read("sessions", catalog=catalog), step)
    assert odd.answered == 1


@pytest.mark.slow
def test_a_server_that_never_sends_what_is_asked_for_is_given_up(odd: OddServer, step: Step) -> None:
    data, heap = file_of(step), Heap(odd)
    catalog = heap.discover().streams
    odd.odd = lambda request, usual: part(data, 500, len(data)) if is_of_file(request) else None
    output = heap.read("sessions", catalog=catalog)
    assert output.last_statuses == {"sessions": "INCOMPLETE"}
    assert output.failures["sessions"].message.startswith("The server sent another part of the object sync_")
    assert output.failures["sessions"].failure_type == "transient_error"
    assert not output.records["sessions"]
    assert odd.answered == 5


def test_a_file_whose_parts_never_fit_together_is_given_up(odd: OddServer, step: Step) -> None:
    """Each answer brings something, so that no number of attempts would end it."""
    data, heap = file_of(step), Heap(odd)
    catalog = heap.discover().streams
    odd.odd = lambda request, usual: part(data, 0, 1000, ETag=f'"{odd.answered}"') if is_of_file(request) else None
    output = heap.read("sessions", catalog=catalog)
    assert output.last_statuses == {"sessions": "INCOMPLETE"}
    assert output.failures["sessions"].message.endswith("the next sync continues from the last state.")
    assert odd.answered < 30


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["check", "discover"])
@pytest.mark.parametrize(
    "bend",
    [
        lambda data, size: part(data, 100, 100 + size),
        lambda data, size: part(data, 0, 50),
        lambda data, size: part(data, 0, size, Content_Range=""),
    ],
)
def test_a_header_is_read_from_the_right_part(bend: Any, verb: str, odd: OddServer, step: Step) -> None:
    data, heap = file_of(step), Heap(odd)
    odd.odd = lambda request, usual: bend(data, 16384) if is_of_file(request) and not odd.answered else None
    if verb == "check":
        assert heap.check() == {"status": "SUCCEEDED"}
    else:
        output = heap.discover()
        assert "event_id" in output.stream("sessions")["json_schema"]["properties"]
        assert not output.logged("is not a complete Avro file")
    assert odd.answered == 1


@pytest.mark.slow
def test_a_checksum_of_the_whole_object_on_a_part_of_it_is_not_compared(odd: OddServer, step: Step) -> None:
    """Seen of rclone: the checksum of the whole comes with every part."""
    odd.odd = lambda request, usual: (
        Response(usual.status, usual.body, usual.content_type, {**usual.headers, "x-amz-checksum-crc32": "AAAAAA=="})
        if is_of_file(request)
        else None
    )
    assert Heap(odd).check() == {"status": "SUCCEEDED"}
    require_truth(Heap(odd).read("sessions"), step)


class _Whole(BaseHTTPRequestHandler):
    """Answers every request with a header and then 200 MB of nothing."""

    server: _WholeServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        usual = self.server.bucket.answer(
            Request("GET", self.path.partition("?")[0], {"prefix": ["manifests/"]}, {}, b"", self.path)
        )
        long = self.path.endswith(".avro")
        self.send_response(usual.status)
        self.send_header("Content-Length", str(200_000_000 if long else len(usual.body)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(usual.body)
        while long:
            try:
                self.wfile.write(b"\0" * 1_000_000)
            except OSError:
                return
            self.server.sent += 1_000_000


class _WholeServer(ThreadingHTTPServer):
    daemon_threads = True
    sent = 0

    def __init__(self, bucket: OddServer) -> None:
        self.bucket = bucket
        super().__init__(("127.0.0.1", 0), _Whole)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


@pytest.mark.usefixtures("step")
def test_a_server_that_knows_no_ranges_is_not_read_to_the_end_for_a_header(odd: OddServer) -> None:
    with _WholeServer(odd) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        config = Heap(odd).config(endpoint_url=f"http://127.0.0.1:{server.server_address[1]}")
        assert run("check", config=config).connection_status == {"status": "SUCCEEDED"}
        server.shutdown()
        assert server.sent < 20_000_000
