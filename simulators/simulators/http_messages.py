"""Requests and responses of the simulated vendors, and the log of requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote

import orjson

SECRET_HEADERS = frozenset({"authorization", "cookie", "x-pendo-integration-key"})
JSON_TYPE = "application/json"

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request as the vendor receives it.

    `path` is not percent-decoded and has no query. `target` is path and query. Header names are in lower case.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    target: str

    @property
    def segments(self) -> list[str]:
        """The parts of the path, each percent-decoded: `/visitor/a%2Fb` has two parts."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def param(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> Any:
        """The body as JSON. Raises orjson.JSONDecodeError (a ValueError)."""
        return orjson.loads(self.body)


@dataclass
class LoggedRequest:
    """A line of the request log, without secrets.

    `started` and `ended` are seconds of a monotonic clock. `status` is None until the answer starts, and `ended` is
    None until the answer is sent. `fault` is the kind of the fault that hit the request.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: str
    started: float
    ended: float | None = None
    status: int | None = None
    fault: str | None = None

    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An answer. The server adds Content-Length. `reason` None sends the standard reason phrase of the status."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None

    @classmethod
    def json(cls, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """An answer with a JSON body."""
        return cls(status, orjson.dumps(document), headers=headers or {})

    @classmethod
    def text(cls, text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """An answer in plain text, the form of many errors."""
        return cls(status, text.encode(), "text/plain; charset=utf-8", headers or {})


class RequestLog(Sequence[LoggedRequest]):
    """The requests so far, oldest first. Safe to read while requests run."""

    def __init__(self) -> None:
        self._lines: list[LoggedRequest] = []

    def __getitem__(self, index: Any) -> Any:
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(list(self._lines))

    def add(self, request: Request) -> LoggedRequest:
        """Add a request. Headers with secrets are logged as `***`."""
        headers = {name: "***" if name in SECRET_HEADERS else value for name, value in request.headers.items()}
        body = request.body.decode("utf-8", "replace")
        line = LoggedRequest(request.method, request.path, request.query, headers, body, time.monotonic())
        self._lines.append(line)
        return line

    def clear(self) -> None:
        """Empty the log."""
        self._lines = []
