"""What goes over the wire between a client and a simulated vendor, and the log of it."""

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
    """A request as the vendor sees it. `path` is undecoded and without the query; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    target: str

    @property
    def segments(self) -> list[str]:
        """The parts of the path, percent-decoded one by one: `/visitor/a%2Fb` has two of them."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def param(self, name: str, default: str | None = None) -> str | None:
        """First value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> Any:
        """Body as JSON; raises orjson.JSONDecodeError (a ValueError)."""
        return orjson.loads(self.body)


@dataclass
class LoggedRequest:
    """A line of the request log, without secrets.

    `started` and `ended` are a monotonic clock in seconds. `status` is None until the answer starts, `ended` until it
    is sent.
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
        """Body as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An answer: status, body, headers (Content-Length is added) and, unless the standard one will do, a reason."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None

    @classmethod
    def json(cls, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Encode a document as the body."""
        return cls(status, orjson.dumps(document), headers=headers or {})

    @classmethod
    def text(cls, text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """Answer in plain text, as vendors do for many errors."""
        return cls(status, text.encode(), "text/plain; charset=utf-8", headers or {})


class RequestLog(Sequence[LoggedRequest]):
    """What was asked so far, oldest first. Safe to read while requests run."""

    def __init__(self) -> None:
        self._lines: list[LoggedRequest] = []

    def __getitem__(self, index: Any) -> Any:
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(list(self._lines))

    def add(self, request: Request) -> LoggedRequest:
        """Write a request down; secrets are starred out."""
        headers = {name: "***" if name in SECRET_HEADERS else value for name, value in request.headers.items()}
        body = request.body.decode("utf-8", "replace")
        line = LoggedRequest(request.method, request.path, request.query, headers, body, time.monotonic())
        self._lines.append(line)
        return line

    def clear(self) -> None:
        """Forget everything."""
        self._lines = []
