"""A bucket behind the inlet: its configuration, and a proxy that breaks what the inlet asks of it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from s3_servers import MotoServer
from simulators.heap.s3_server import S3Proxy, error
from simulators.server import Request, Response


def bucket_store(server: MotoServer, bucket: str, endpoint: str | None = None) -> dict[str, Any]:
    """The part `store` of a configuration."""
    return {
        "type": "bucket",
        "bucket": bucket,
        "prefix": "hooks/",
        "region": "us-east-1",
        "endpoint_url": endpoint or server.endpoint,
        "credentials": {
            "auth_type": "keys",
            "aws_access_key_id": server.admin.access_key,
            "aws_secret_access_key": server.admin.secret_key,
        },
    }


@dataclass
class Trouble:
    """What happens to the next `times` PUTs of segments.

    `slow_down` answers 503 and stores nothing; `lost` stores, and answers only after `seconds`, when the client has
    given up; `stolen` stores other bytes under the name before, so that the real answer is 412.
    """

    kind: str
    times: int = 1
    seconds: float = 20.0


@dataclass
class _Seen:
    puts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)


class BrokenBucket(S3Proxy):
    """Forwards to a real server, but for the troubles."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.troubles: list[Trouble] = []
        self.put_seconds = 0.0
        """How much longer each PUT takes."""
        self.seen = _Seen()
        self._choosing = threading.Lock()

    def answer(self, request: Request) -> Response:
        """The real answer, or trouble."""
        trouble = self._next(request)
        if trouble is not None and trouble.kind == "slow_down":
            return error(503, "SlowDown", "Please reduce your request rate.")
        if trouble is not None and trouble.kind == "stolen":
            self._steal(request)
        answer = super().answer(request)
        if request.method == "PUT":
            self.stopping.wait(self.put_seconds)
            self.seen.puts[request.path] += 1
            self.seen.statuses[answer.status] += 1
        if trouble is not None and trouble.kind == "lost":
            self.stopping.wait(trouble.seconds)
        return answer

    def _next(self, request: Request) -> Trouble | None:
        with self._choosing:
            if request.method != "PUT" or ".ndjson" not in request.path or not self.troubles:
                return None
            trouble = self.troubles[0]
            trouble.times -= 1
            if trouble.times == 0:
                self.troubles.pop(0)
            return trouble

    def _steal(self, request: Request) -> None:
        connection = HTTPConnection(urlsplit(f"http://{self.upstream}").netloc, timeout=10)
        try:
            connection.request("PUT", request.target, b"written by another", {"Content-Type": "text/plain"})
            assert connection.getresponse().status == 200
        finally:
            connection.close()
