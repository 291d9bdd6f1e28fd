"""HTTP/1.1 on loopback: reads requests, sends answers, and breaks the answers that a fault names.

It knows nothing of vendors: `server.py` gives it one function that answers a request. It is on the standard library's
server because faults break connections (a reset, a body that is cut or drips), which frameworks hide; a request costs
two thirds of the CPU time that Starlette on uvicorn takes.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from simulators.faults import HTML_PAGE, Fault
from simulators.http_messages import JSON_TYPE, Request, Response

Serve: TypeAlias = "Callable[[Request, Connection], None]"


class HttpServer(ThreadingHTTPServer):
    """One thread for each connection.

    The threads are daemons, so a test that forgets to stop a simulator still ends. `close_connections` waits for them.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], serve: Serve, *, compress: bool, stopping: threading.Event, errors: list[str]
    ) -> None:
        """`serve` answers one request. `stopping` ends waits. Tracebacks of our own bugs are appended to `errors`."""
        self.serve = serve
        self.compress = compress
        self.stopping = stopping
        self.errors = errors
        self.reset_connections: set[Any] = set()
        self._connections: set[Any] = set()
        self._changed = threading.Condition()
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        """Bind without http.server's reverse lookup of the host name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        if request in self.reset_connections:
            # With a linger time of zero close() sends RST. A shutdown before it would send FIN, an orderly end.
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.reset_connections.discard(request)
            request.close()
        else:
            super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed its connection. Everything else is a bug and goes to `errors`."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            self.errors.append(traceback.format_exc())

    def close_connections(self) -> None:
        """End idle keep-alive connections and wait for their threads."""
        with self._changed:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, timeout=5)


class Connection(BaseHTTPRequestHandler):
    """One client connection: reads its requests and sends their answers, whole or broken."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: stdout and stderr belong to the process that runs the simulator."""

    def _handle(self) -> None:
        self.server.serve(self._read(), self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _read(self) -> Request:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        return Request(self.command, parts.path, query, headers, body, self.path)

    def send(self, response: Response) -> None:
        """Send an answer as it is."""
        self._head(response, {"Content-Length": str(len(response.body))})
        self.wfile.write(response.body)

    def send_compressed(self, response: Response, fault: Fault | None = None) -> None:
        """Send an answer, with gzip if both sides want it, and broken in the way that the fault names."""
        response = self._compressed(response)
        send_broken = _BROKEN.get(fault.kind) if fault else None
        if fault and send_broken:
            send_broken(self, response, fault)
        else:
            self.send(response)

    def _compressed(self, response: Response) -> Response:
        accepted = self.headers.get("Accept-Encoding", "")
        if not self.server.compress or "gzip" not in accepted or not response.body:
            return response
        headers = {**response.headers, "Content-Encoding": "gzip"}
        return replace(response, body=gzip.compress(response.body, compresslevel=1, mtime=0), headers=headers)

    def _head(self, response: Response, framing: Mapping[str, str]) -> None:
        self.send_response(response.status, response.reason or _phrase(response.status))
        for name, value in {"Content-Type": response.content_type, **response.headers, **framing}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_cut(self, response: Response, fault: Fault) -> None:
        part = response.body[: len(response.body) // 2 if fault.at is None else fault.at]
        self.close_connection = True
        if fault.kind == "cut":
            self._head(response, {"Content-Length": str(len(response.body))})
        elif fault.kind == "cut_chunked":
            self._head(response, {"Transfer-Encoding": "chunked"})
            part = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
        else:
            self._head(response, {"Connection": "close"})
        self.wfile.write(part)

    def _send_reset(self, response: Response, fault: Fault) -> None:
        self.close_connection = True
        if fault.at:
            self._head(response, {"Content-Length": str(len(response.body))})
            self.wfile.write(response.body[: fault.at])
        self.server.reset_connections.add(self.connection)

    def _send_drip(self, response: Response, fault: Fault) -> None:
        self._head(response, {"Content-Length": str(len(response.body))})
        at = fault.at or 0
        self.wfile.write(response.body[:at])
        for position in range(at, len(response.body)):
            if self.server.stopping.wait(fault.seconds):
                self.close_connection = True
                return
            self.wfile.write(response.body[position : position + 1])


_BROKEN: Mapping[str, Callable[[Connection, Response, Fault], None]] = {
    "cut": Connection._send_cut,
    "cut_chunked": Connection._send_cut,
    "cut_silent": Connection._send_cut,
    "reset": Connection._send_reset,
    "drip": Connection._send_drip,
}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def replacement(fault: Fault) -> Response | None:
    """The answer that a fault sends in place of the vendor's; None if the fault keeps the vendor's answer."""
    if fault.kind == "status":
        is_json = fault.answer.lstrip().startswith(("{", "["))
        content_type = JSON_TYPE if is_json else "text/plain; charset=utf-8"
        return Response(fault.status or 500, fault.answer.encode(), content_type, fault.headers)
    if fault.kind == "html":
        page = (fault.answer or HTML_PAGE).encode()
        return Response(fault.status or 200, page, "text/html; charset=utf-8", fault.headers)
    if fault.kind == "empty":
        return Response(fault.status or 200, b"", headers=fault.headers)
    return None
