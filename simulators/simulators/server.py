"""The HTTP server under the simulated vendors: HTTP/1.1 with keep-alive, request log, faults and control endpoints.

A vendor subclasses `Simulator` and implements `answer`, `truth` and `mutate`:

    with PendoSimulator(seed=1) as sim:          # binds 127.0.0.1 on a free port and serves from a thread
        requests.get(sim.url + "/api/v1/page")
        sim.faults.add(Fault("cut", path="aggregation"))
        assert sim.requests[0].path == "/api/v1/page"

The same over HTTP, for containers and child processes: `GET|POST|DELETE /_sim/faults`, `GET|DELETE /_sim/requests`,
`GET /_sim/truth/<stream>`, `POST /_sim/mutate` with `{"name": ..., <arguments>}`. Control requests are never logged and
never spoiled.
"""

from __future__ import annotations

import contextlib
import gzip
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from simulators.exchange import JSON_TYPE, LoggedRequest, Request, RequestLog, Response, Row
from simulators.faults import HTML_PAGE, Fault, Faults, faults_from_json

CONTROL_PREFIX = "/_sim/"

__all__ = ["Fault", "LoggedRequest", "Request", "RequestLog", "Response", "Row", "Simulator", "run_until_signal"]


class Simulator:
    """A vendor on loopback.

    `answer`, `truth` and `mutate` are called from several threads at a time: subclasses lock what they share.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, compress: bool = False) -> None:
        """`port` 0 takes a free one. `compress` answers with gzip where the client accepts it."""
        self.compress = compress
        self.faults = Faults()
        self.requests = RequestLog()
        self.errors: list[str] = []
        """Tracebacks of the simulator's own mistakes; a test may assert that there are none."""
        self.stopping = threading.Event()
        self._address = (host, port)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def answer(self, request: Request) -> Response:
        """Answer a vendor request. Subclasses implement this."""
        raise NotImplementedError

    def truth(self, stream: str, **options: str) -> list[Row]:
        """Rows that a perfect warehouse holds now, in the vendor's field names; KeyError for an unknown stream."""
        raise NotImplementedError

    def mutate(self, name: str, **arguments: Any) -> Any:
        """Change the vendor's data or behavior; KeyError for an unknown name."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end."""
        if self._server is None:
            message = "the simulator is not running: use it as a context manager or call start()"
            raise RuntimeError(message)
        return f"http://{self._address[0]}:{self._server.server_port}"

    def start(self) -> None:
        """Bind and serve from a thread."""
        self.stopping.clear()
        self._server = _Server(self._address, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="simulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and the port. Calling it twice is harmless."""
        if self._server is None or self._thread is None:
            return
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def control(self, request: Request) -> Response:
        """Answer a `/_sim/` request."""
        what, *rest = request.path.removeprefix(CONTROL_PREFIX).split("/", 1)
        try:
            match (request.method, what):
                case ("GET", "faults"):
                    return Response.json(self.faults.left())
                case ("POST", "faults"):
                    self.faults.add(*faults_from_json(request.json()))
                    return Response.json({})
                case ("DELETE", "faults"):
                    self.faults.clear()
                    return Response.json({})
                case ("GET", "requests"):
                    return Response.json([asdict(line) for line in self.requests])
                case ("DELETE", "requests"):
                    self.requests.clear()
                    return Response.json({})
                case ("GET", "truth") if rest:
                    options = {name: values[0] for name, values in request.query.items()}
                    return Response.json(self.truth(unquote(rest[0]), **options))
                case ("POST", "mutate"):
                    return Response.json({"result": self.mutate(**request.json())})
        except (KeyError, TypeError, ValueError) as error:
            return Response.json({"error": f"{type(error).__name__}: {error}"}, 400)
        return Response.json({"error": f"no control endpoint {request.method} {request.path}"}, 404)

    def safe_answer(self, request: Request) -> Response:
        """Call `answer`; a bug of the simulator becomes a 500 that says so, and is kept in `errors`."""
        try:
            return self.answer(request)
        except Exception:
            self.errors.append(traceback.format_exc())
            return Response.text("bug in the simulator:\n" + self.errors[-1], 500)


class _Server(ThreadingHTTPServer):
    """Threads are daemons, so a forgotten simulator cannot hold its process; `stop` waits for them all the same."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self.reset_connections: set[Any] = set()
        self._connections: set[Any] = set()
        self._changed = threading.Condition()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host's name that http.server does, which can take seconds."""
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
            # zero linger time makes close() send RST; a shutdown before it would send a polite FIN first
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.reset_connections.discard(request)
            request.close()
        else:
            super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; anything else is a bug and goes to `errors`."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            self.simulator.errors.append(traceback.format_exc())

    def close_connections(self) -> None:
        """End idle keep-alive connections and wait for their threads."""
        with self._changed:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet: stdout and stderr belong to whoever runs the simulator."""

    def _serve(self) -> None:
        simulator = self.server.simulator
        request = self._read()
        if request.path.startswith(CONTROL_PREFIX):
            self._send(simulator.control(request))
            return
        line = simulator.requests.add(request)
        try:
            self._answer(simulator, request, line)
        finally:
            line.ended = time.monotonic()

    def _answer(self, simulator: Simulator, request: Request, line: LoggedRequest) -> None:
        fault = simulator.faults.take(request.method, request.target, request.body)
        if fault is None:
            response = simulator.safe_answer(request)
            line.status = response.status
            self._send(self._compressed(response))
            return
        line.fault = fault.kind
        if fault.kind == "delay":
            simulator.stopping.wait(fault.seconds)
        response = _replacement(fault) or simulator.safe_answer(request)
        line.status = response.status
        _SENDERS.get(fault.kind, _Handler._send_properly)(self, self._compressed(response), fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _read(self) -> Request:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        return Request(self.command, parts.path, query, headers, body, self.path)

    def _compressed(self, response: Response) -> Response:
        accepted = self.headers.get("Accept-Encoding", "")
        if not self.server.simulator.compress or "gzip" not in accepted or not response.body:
            return response
        headers = {**response.headers, "Content-Encoding": "gzip"}
        body = gzip.compress(response.body, compresslevel=1, mtime=0)
        return Response(response.status, body, response.content_type, headers, response.reason)

    def _head(self, response: Response, framing: Mapping[str, str]) -> None:
        self.send_response(response.status, response.reason or _phrase(response.status))
        for name, value in {"Content-Type": response.content_type, **response.headers, **framing}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, response: Response) -> None:
        self._head(response, {"Content-Length": str(len(response.body))})
        self.wfile.write(response.body)

    def _send_properly(self, response: Response, fault: Fault) -> None:
        self._send(response)

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
            if self.server.simulator.stopping.wait(fault.seconds):
                self.close_connection = True
                return
            self.wfile.write(response.body[position : position + 1])


_SENDERS: Mapping[str, Callable[[_Handler, Response, Fault], None]] = {
    "cut": _Handler._send_cut,
    "cut_chunked": _Handler._send_cut,
    "cut_silent": _Handler._send_cut,
    "reset": _Handler._send_reset,
    "drip": _Handler._send_drip,
}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _replacement(fault: Fault) -> Response | None:
    """What a fault answers in place of the vendor; None where it only spoils the way."""
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


def run_until_signal(simulator: Simulator) -> int:
    """Serve until SIGINT or SIGTERM.

    Prints `listening on <url>` once the port is open: the line that a parent process waits for.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with simulator:
        print(f"listening on {simulator.url}", flush=True)
        ended.wait()
    return 0
