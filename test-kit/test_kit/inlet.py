"""A webhook-inlet in memory that shares no code with the real one: `/log`, `/status`, the bearer token."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

#: 2026-11-26T22:01:00Z in microseconds
FIRST_AT = 1_795_730_460_000_000
TOKEN = "read-token-4711"


def line(key: str, body: bytes, at: int = FIRST_AT, *, embed: bool | None = None, **more: Any) -> bytes:
    """A line of the log without its line feed. `embed` None embeds what is JSON, as the inlet does."""
    head = {"v": 1, "key": key, "at": at, "inlet": "prod", "sig": 0, "headers": {"content-type": "application/json"}}
    if embed is None:
        embed = b"\n" not in body and _is_json(body)
    rest = b',"body":%b}' % body if embed else b',"body_b64":"%b"}' % base64.b64encode(body)
    return json.dumps({**head, **more}, separators=(",", ":")).encode()[:-1] + rest


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode(), parse_constant=lambda constant: 1 / 0)
    except (ValueError, RecursionError, ZeroDivisionError):
        return False
    return True


@dataclass
class Segment:
    """Lines, and whether more may come."""

    lines: list[bytes] = field(default_factory=list)
    sealed: bool = True


@dataclass
class FakeLane:
    """The segments by number. `first` is the oldest that is kept, `last` the newest."""

    segments: dict[int, Segment] = field(default_factory=dict)
    last: int = 0

    def add(self, *lines: bytes, sealed: bool = True) -> None:
        """One more segment."""
        self.last += 1
        self.segments[self.last] = Segment(list(lines), sealed)

    def remove_before(self, number: int) -> None:
        """What retention does."""
        for old in [one for one in self.segments if one < number]:
            del self.segments[old]

    def listed(self, name: str) -> dict[str, Any]:
        first = min(self.segments, default=self.last + 1)
        lines = len(self.segments[self.last].lines) if self.last in self.segments else 0
        return {"lane": name, "first": first, "last": self.last, "lines": lines, "closed": False}


class FakeInlet:
    """The log of the inlet `prod`. `hooks` are called with the path of each request, before it is answered."""

    def __init__(self) -> None:
        self.lanes: dict[str, FakeLane] = {}
        self.status: dict[str, Any] | None = None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.queries: list[tuple[str, dict[str, list[str]]]] = []
        self.hooks: list[Callable[[str], None]] = []
        self.answer: tuple[int, str, bytes] | None = None  # in place of all others
        self.url = ""

    def lane(self, name: str = "20261126T220100Z-aaaaaa") -> FakeLane:
        """The lane of this name, made when it is new."""
        return self.lanes.setdefault(name, FakeLane())

    def reply(self, target: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a GET."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.requests.append((path, headers))
        self.queries.append((path, query))
        for hook in self.hooks:
            hook(path)
        if self.answer:
            return self.answer[0], {"Content-Type": self.answer[1]}, self.answer[2]
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"WWW-Authenticate": "Bearer"}, b'{"error": "The token is missing or wrong."}'
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["status"] if self.status is not None:
                return _json(200, self.status)
            case ["log", "v1", "prod"]:
                return _json(200, {"lanes": [lane.listed(name) for name, lane in self.lanes.items()]})
            case ["log", "v1", "prod", name, number]:
                segment = self.lanes.get(name, FakeLane()).segments.get(int(number))
                if segment is None:
                    return _json(404, {"error": "There is no such segment.", "code": "no_segment"})
                behind = segment.lines[int(query.get("line", ["0"])[0]) :]
                sealed = "true" if segment.sealed else "false"
                found = {"Content-Type": "application/x-ndjson", "Webhook-Log-Sealed": sealed}
                return 200, found, b"".join(one + b"\n" for one in behind)
            case ["log", "v1", _, *_]:
                return _json(404, {"error": "There is no such inlet.", "code": "unknown_inlet"})
        return 404, {"Content-Type": "text/plain"}, b"Not Found"


def _json(status: int, document: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


@contextmanager
def running_inlet() -> Iterator[FakeInlet]:
    """The inlet behind an address on this machine. An error in it fails the test."""
    inlet, errors = FakeInlet(), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                asked = {name.lower(): value for name, value in self.headers.items()}
                status, headers, body = inlet.reply(self.path, asked)
            except Exception as error:
                errors.append(error)
                raise
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    inlet.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield inlet
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert errors == []
