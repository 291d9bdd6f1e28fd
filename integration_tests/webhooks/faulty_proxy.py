"""A server on loopback that passes requests on to a bucket's server, and spoils the PUTs that a test wants spoiled."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: What may happen to a PUT. `after`: the server behind has carried it out.
FAULTS = ("503 before", "503 after", "reset before", "reset after", "silence before", "silence after", "cut answer")
#: Another process has written other bytes under the name before
STOLEN = "stolen"


@dataclass
class Proxy:
    """`fault` says for each PUT what happens to it, None for nothing; `delay` is added to each, in seconds.

    `seen` has the fault of each PUT, or "passed"; `puts` counts the PUTs of each name, `statuses` their real answers.
    """

    endpoint: str
    fault: Callable[[], str | None] = lambda: None
    delay: float = 0.0
    seen: list[str] = field(default_factory=list)
    puts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    def spoil(self, fault: str, times: int = 1) -> None:
        """The next PUTs get this fault."""
        left = iter([fault] * times)
        self.fault = lambda: next(left, None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    target: str

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = None
        if self.command == "PUT":
            time.sleep(self.proxy.delay)
            fault = self.proxy.fault()
            self.proxy.seen.append(fault or "passed")
            self.proxy.puts[self.path] += 1
        if fault and fault.endswith("before"):
            self._spoil(fault)
            return
        if fault == STOLEN:
            self._steal()
        status, headers, answer = self._forward(body)
        if self.command == "PUT":
            self.proxy.statuses[status] += 1
        if fault and fault.endswith("after"):
            self._spoil(fault)
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = _length_of(headers) if self.command == "HEAD" else len(answer)
        self.send_header("Content-Length", str(length))
        if fault == "cut answer":
            self.wfile.flush()
            self._spoil("reset after")
            return
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_one

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.target, timeout=20)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def _steal(self) -> None:
        connection = http.client.HTTPConnection(self.target, timeout=20)
        connection.request("PUT", self.path, b"written by another", {"Content-Type": "text/plain"})
        assert connection.getresponse().status == 200
        connection.close()

    def _spoil(self, fault: str) -> None:
        self.close_connection = True
        if fault.startswith("503"):
            text = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>"
            self.send_response_only(503)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        if fault.startswith("silence"):
            with contextlib.suppress(OSError):  # until the other side gives up
                self.connection.settimeout(20)
                self.connection.recv(1)
            return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no end
        self.connection.close()
        self.rfile.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


def _length_of(headers: list[tuple[str, str]]) -> int:
    """The length that an answer without a body announces."""
    return next((int(value) for name, value in headers if name.lower() == "content-length"), 0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break here on purpose."""


@contextlib.contextmanager
def faulty_proxy(endpoint: str) -> Iterator[Proxy]:
    """A proxy before the server at `endpoint`. At its end it also ends the connections that clients keep."""
    proxy = Proxy("")
    handler = type("Handler", (_Handler,), {"proxy": proxy, "target": urlsplit(endpoint).netloc})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
            for connection in list(server.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
