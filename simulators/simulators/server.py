"""The base of the simulated vendors: request log, faults and control endpoints.

A vendor subclasses `Simulator` and implements `answer`, `truth` and `mutate`:

    with PendoSimulator(seed=1) as sim:          # binds 127.0.0.1 on a free port and serves from a thread
        requests.get(sim.url + "/api/v1/page")
        sim.faults.add(Fault("cut", path="aggregation"))
        assert sim.requests[0].path == "/api/v1/page"

The same over HTTP, for containers and child processes: `GET|POST|DELETE /_sim/faults`, `GET|DELETE /_sim/requests`,
`GET /_sim/truth/<stream>`, `POST /_sim/mutate` with `{"name": ..., <arguments>}`. Control requests are not logged, and
no fault hits them.
"""

from __future__ import annotations

import json
import signal
import threading
import time
import traceback
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from simulators.faults import Fault, Faults, faults_from_json
from simulators.http_messages import LoggedRequest, Request, RequestLog, Response, Row
from simulators.http_server import Connection, HttpServer, replacement

CONTROL_PREFIX = "/_sim/"

__all__ = [
    "Fault",
    "LoggedRequest",
    "Request",
    "RequestLog",
    "Response",
    "Row",
    "Simulator",
    "run_until_signal",
    "set_by_signal",
]


class Simulator:
    """A vendor on loopback.

    `answer`, `truth` and `mutate` run in several threads at the same time. A subclass must lock its data.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, compress: bool = False) -> None:
        """`port` 0 takes a free port. With `compress` answers use gzip if the client accepts it."""
        self.compress = compress
        self.faults = Faults()
        self.requests = RequestLog()
        self.errors: list[str] = []
        """Tracebacks of the simulator's own bugs. A test can assert that there are none."""
        self.stopping = threading.Event()
        self._address = (host, port)
        self._server: HttpServer | None = None
        self._thread: threading.Thread | None = None

    def answer(self, request: Request) -> Response:
        """Answer a vendor request. Subclasses implement this."""
        raise NotImplementedError

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a complete warehouse holds now, with the vendor's field names.

        KeyError for an unknown stream.
        """
        raise NotImplementedError

    def mutate(self, name: str, **arguments: Any) -> Any:
        """Change the vendor's data or behavior. KeyError for an unknown name."""
        raise NotImplementedError

    def config(self) -> dict[str, Any] | None:
        """The configuration with which the vendor's connector reads this simulator. None if there is none."""
        return None

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end."""
        if self._server is None:
            message = "the simulator is not running: use it as a context manager or call start()"
            raise RuntimeError(message)
        return f"http://{self._address[0]}:{self._server.server_port}"

    def start(self) -> None:
        """Open the port and serve from a thread."""
        self.stopping.clear()
        self._server = HttpServer(
            self._address, self._serve, compress=self.compress, stopping=self.stopping, errors=self.errors
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="simulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and the port. A second call does nothing."""
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
                    return Response.json(self.faults.remaining())
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

    def _serve(self, request: Request, connection: Connection) -> None:
        if request.path.startswith(CONTROL_PREFIX):
            connection.send(self.control(request))
            return
        line = self.requests.add(request)
        try:
            fault = self.faults.take(request.method, request.target, request.body)
            if fault is not None:
                line.fault = fault.kind
                if fault.kind == "delay":
                    self.stopping.wait(fault.seconds)
            response = (fault and replacement(fault)) or self._safe_answer(request)
            line.status = response.status
            connection.send_compressed(response, fault)
        finally:
            line.ended = time.monotonic()

    def _safe_answer(self, request: Request) -> Response:
        """Call `answer`. An exception is a bug of the simulator: it is kept in `errors` and answered with a 500."""
        try:
            return self.answer(request)
        except Exception:
            self.errors.append(traceback.format_exc())
            return Response.text("bug in the simulator:\n" + self.errors[-1], 500)


def run_until_signal(simulator: Simulator) -> int:
    """Serve until SIGINT or SIGTERM.

    Prints `listening on <url>` when the port is open, for which a parent process waits, then the connector's
    configuration as a line of JSON.
    """
    ended = set_by_signal()
    try:
        simulator.start()
    except OSError as error:
        message = f"{error.strerror}: give another address or port (--host, --port; 0 takes a free port)"
        raise SystemExit(message) from error
    print(f"listening on {simulator.url}", flush=True)
    if config := simulator.config():
        print(json.dumps(config), flush=True)
    ended.wait()
    simulator.stop()
    return 0


def set_by_signal() -> threading.Event:
    """An event that SIGINT and SIGTERM set, instead of what they do otherwise. For the main thread."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended
