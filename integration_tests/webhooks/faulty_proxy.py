"""A server on loopback that passes requests on to a bucket's server, and spoils the PUTs that a test wants spoiled."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from simulators.faults import Fault
from simulators.heap.s3_server import S3Proxy, error
from simulators.http_messages import Request, Response
from simulators.http_server import Connection

#: What may happen to a PUT. `after`: the server behind has carried it out.
FAULTS = ("503 before", "503 after", "reset before", "reset after", "silence before", "silence after", "cut answer")
#: Another process has written other bytes under the name before
STOLEN = "stolen"
_BUSY = error(503, "SlowDown", "Please reduce")


class Proxy(S3Proxy):
    """`fault` says for each PUT what happens to it, None for nothing; `delay` is added to each, in seconds.

    `seen` has the fault of each PUT, or "passed"; `puts` counts the PUTs of each name, `statuses` their real answers.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.fault: Callable[[], str | None] = lambda: None
        self.delay = 0.0
        self.seen: list[str] = []
        self.puts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()

    def spoil(self, fault: str, times: int = 1) -> None:
        """The next PUTs get this fault."""
        left = iter([fault] * times)
        self.fault = lambda: next(left, None)

    def _serve(self, request: Request, connection: Connection) -> None:
        if request.method != "PUT":
            super()._serve(request, connection)
            return
        time.sleep(self.delay)
        fault = self.fault() or "passed"
        self.seen.append(fault)
        self.puts[request.path] += 1
        if fault == STOLEN:
            stolen = replace(request, body=b"written by another", headers={"content-type": "text/plain"})
            assert self.answer(stolen).status == 200
        answer = _BUSY
        if not fault.endswith("before"):
            answer = self.answer(request)
            self.statuses[answer.status] += 1
        self._send(answer, fault.partition(" ")[0], connection)

    def _send(self, answer: Response, fault: str, connection: Connection) -> None:
        if fault == "silence":
            connection.close_connection = True
            with contextlib.suppress(OSError):  # until the other side gives up
                connection.connection.settimeout(20)
                connection.connection.recv(1)
        elif fault in ("reset", "cut"):
            if fault == "cut":
                connection.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
            connection.send_compressed(answer, Fault("reset"))
        else:
            connection.send(_BUSY if fault == "503" else answer)
