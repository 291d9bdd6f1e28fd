"""Posts over raw HTTP/1.1: one connection has one post at a time. Cheap, so that the sender is not what is measured."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeVar, cast
from urllib.parse import urlsplit

import uvloop

T = TypeVar("T")

#: A post that ends without an answer: what the sender saw instead of a status
Failure = str
EOF, REFUSED, RESET, TIMEOUT, DNS, CERTIFICATE, LOST, BROKEN = (
    "eof",
    "refused",
    "reset",
    "timeout",
    "dns",
    "certificate",
    "lost",  # we closed the connection before the answer
    "broken",  # any other fault, e.g. an answer that is no HTTP
)


class Outcome(NamedTuple):
    """How a post ended: a status or a `Failure`, seconds since the post began, the body of the answer."""

    answer: int | Failure
    seconds: float
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        """Whether the receiver answered 2xx."""
        return is_accepted(self.answer)


def is_accepted(answer: int | Failure) -> bool:
    """Whether an answer is a 2xx."""
    return isinstance(answer, int) and 200 <= answer < 300


@dataclass(frozen=True, slots=True)
class Target:
    """Where posts go. `path` has the query, too."""

    host: str
    port: int
    path: str
    secure: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """From an address `http://host:port/path`. ValueError if it is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"an address begins with http:// or https:// and has a host, this one does not: {url}"
            raise ValueError(message)
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or (443 if secure else 80), path, secure)

    def request(self, body: bytes, headers: bytes = b"", *, method: bytes = b"POST") -> bytes:
        """The bytes of a request. `headers` are whole lines, each with its end."""
        return b"%b %b HTTP/1.1\r\nHost: %b:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
            method,
            self.path.encode(),
            self.host.encode(),
            self.port,
            len(body),
            headers,
            body,
        )


class Connection(asyncio.Protocol):
    """A client's connection. It reads answers with a length, in chunks, or up to the end of the connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.usable = False
        self._received = b""
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self.transport, self.usable = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._waiting is None or self._waiting.done():
            return
        try:
            answer = self._answer()
        except ValueError as error:
            self.usable = False
            self._waiting.set_exception(error)
            return
        if answer is not None:
            self._received = b""
            self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or EOFError("the connection ended before the answer"))

    def send(self, request: bytes, timeout: float) -> asyncio.Future[tuple[int, bytes]]:
        """Sends a request. The future ends with status and body, or OSError, EOFError, TimeoutError, ValueError."""
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        timer = loop.call_later(timeout, _time_out, waiting)
        waiting.add_done_callback(lambda _: timer.cancel())
        self.transport.write(request)
        return waiting

    def close(self) -> None:
        """Ends the connection."""
        self.usable = False
        if self.transport is not None:
            self.transport.abort() if self._unread() else self.transport.close()

    def _unread(self) -> bool:
        return self._waiting is not None and not self._waiting.done()

    def _answer(self) -> tuple[int, bytes] | None:
        """The answer if it is whole. An interim answer (1xx) is passed over."""
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        if not head.startswith(b"HTTP/1."):
            message = f"the answer is no HTTP/1: {head[:20]!r}"
            raise ValueError(message)
        status, lines = int(head[9:12]), head.lower()
        if status < 200:
            self._received = rest
            return self._answer()
        if b"\r\nconnection: close" in lines:
            self.usable = False
        if b"\r\ntransfer-encoding: chunked" in lines:
            return (status, rest) if rest.endswith(b"0\r\n\r\n") else None
        length = int(lines.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
        return (status, rest[:length]) if len(rest) >= length else None


def _time_out(waiting: asyncio.Future[Any]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


@dataclass
class Poster:
    """Posts to targets: on connections that stay open (`keep_alive`), or on a new one for each post."""

    keep_alive: bool = True
    tls: ssl.SSLContext | None = None
    _idle: dict[tuple[str, int], list[Connection]] = field(default_factory=dict)

    async def post(self, target: Target, request: bytes, timeout: float, *, lose_answer: bool = False) -> Outcome:
        """One post. It never raises for what the receiver or the network does.

        With `lose_answer` the connection is closed when the request was written, before any answer.
        """
        began = time.monotonic()
        connection: Connection | None = None
        try:
            connection = await self._connection(target, timeout)
            waiting = connection.send(request, timeout)
            if lose_answer:
                await asyncio.sleep(0.001)  # what is still in our buffer would be thrown away
                waiting.cancel()
                return Outcome(LOST, time.monotonic() - began)
            status, body = await waiting
        except (OSError, EOFError, ValueError) as error:
            return Outcome(_failure(error), time.monotonic() - began)
        else:
            if self.keep_alive and connection.usable:
                self._idle.setdefault((target.host, target.port), []).append(connection)
                connection = None
            return Outcome(status, time.monotonic() - began, body)
        finally:
            if connection is not None:
                connection.close()

    def close(self) -> None:
        """Ends the connections that wait for the next post."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _connection(self, target: Target, timeout: float) -> Connection:
        idle = self._idle.get((target.host, target.port), [])
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        if target.secure and self.tls is None:
            self.tls = ssl.create_default_context()
        tls = self.tls if target.secure else None
        _, made = await asyncio.wait_for(loop.create_connection(Connection, target.host, target.port, ssl=tls), timeout)
        assert made.transport is not None
        with suppress(OSError):
            made.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def _failure(error: Exception) -> Failure:
    match error:
        case TimeoutError():
            return TIMEOUT
        case ConnectionRefusedError():
            return REFUSED
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return RESET
        case EOFError():
            return EOF
        case socket.gaierror():
            return DNS
        case ssl.SSLCertVerificationError():
            return CERTIFICATE
        # a name with several addresses, and each of them refused
        case OSError() if f"[Errno {errno.ECONNREFUSED}]" in str(error):
            return REFUSED
    return BROKEN


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
