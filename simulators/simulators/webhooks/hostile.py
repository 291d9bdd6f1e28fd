"""Clients that want to do harm, or are broken. Each function says what the receiver did, and after how long.

They use plain sockets, because no HTTP client would send this.
"""

from __future__ import annotations

import gzip
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simulators.webhooks.connection import Target

_RST = struct.pack("ii", 1, 0)
MIB = 1024 * 1024


@dataclass(frozen=True)
class Seen:
    """The status of the first answer (None: none), how the connection ended, seconds until then, all bytes.

    `end` is `closed` by the receiver, `reset`, or `open` if it was still open after the time-out.
    """

    status: int | None
    end: str
    seconds: float
    received: bytes


def talk(url: str, pieces: Iterable[bytes | float], *, timeout: float = 10.0) -> Seen:
    """Sends bytes and rests for numbers of seconds, then reads to the end of the connection or to the time-out."""
    target = Target.parse(url)
    began = time.monotonic()
    received, end = bytearray(), "closed"
    with socket.create_connection((target.host, target.port), timeout=timeout) as connection:
        try:
            for piece in pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                else:
                    connection.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            end = "reset"  # an answer may have come before
        try:
            while data := connection.recv(65_536):
                received += data
        except TimeoutError:
            end = "open"
        except ConnectionResetError:
            end = "reset"
    return _seen(received, end, began)


def post(
    url: str, body: bytes = b"{}", headers: bytes = b"", *, method: bytes = b"POST", timeout: float = 10.0
) -> Seen:
    """A well-formed request that asks for the end of the connection."""
    request = Target.parse(url).request(body, headers + b"Connection: close\r\n", method=method)
    return talk(url, [request], timeout=timeout)


def get(url: str, *, method: bytes = b"GET") -> Seen:
    """What a link checker or a browser sends."""
    return talk(url, [_head(url, method=method) + b"Connection: close\r\n\r\n"])


def slow_head(url: str, *, timeout: float = 60.0, pause: float = 0.5) -> Seen:
    """A slow loris: a byte of the head every `pause` seconds, without end."""
    return _dripping(url, b"", (b"X-Slow: " + b"a" * 100_000)[:1_000], pause, timeout)


def slow_body(url: str, *, timeout: float = 60.0, pause: float = 0.5) -> Seen:
    """A whole head, then a byte of the body every `pause` seconds."""
    return _dripping(url, b"Content-Length: 100000\r\n\r\n", b" " * 1_000, pause, timeout)


def half_body(url: str, *, timeout: float = 20.0) -> Seen:
    """Half of what the length says, then silence."""
    return talk(url, [_head(url) + b"Content-Length: 1000\r\n\r\n" + b"x" * 500], timeout=timeout)


def half_body_and_end(url: str) -> None:
    """Half of what the length says, then the client ends the connection."""
    with _connected(url) as connection:
        connection.sendall(_head(url) + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)


def reset_in_the_middle(url: str) -> None:
    """Half of what the length says, then the client resets the connection."""
    with _connected(url) as connection:
        connection.sendall(_head(url) + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)


def shorter_length(url: str, body: bytes = b'{"event_id":"01SHORTER"}') -> Seen:
    """The length is less than what comes; the rest is no request."""
    return talk(url, [_head(url) + b"Content-Length: 3\r\n\r\n" + body])


def wrong_length(url: str, length: bytes) -> Seen:
    """A length that is no number, or negative, or too long a number."""
    return talk(url, [_head(url) + b"Content-Length: " + length + b"\r\n\r\n{}"])


def two_lengths(url: str) -> Seen:
    """Two lengths that do not agree: proxies and servers have been tricked by that."""
    return talk(url, [_head(url) + b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}"])


def broken_chunks(url: str) -> Seen:
    """Chunks whose size is no number."""
    return talk(url, [_head(url) + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"])


def endless_chunks(url: str, *, limit: int = 64 * MIB) -> Seen:
    """Chunks without end, up to `limit` bytes."""
    chunk = b"%x\r\n%b\r\n" % (65_536, b"a" * 65_536)
    head = _head(url) + b"Transfer-Encoding: chunked\r\n\r\n"
    return talk(url, [head, *([chunk] * (limit // 65_536))])


def large_body(url: str, size: int = 10 * MIB, headers: Callable[[bytes], bytes] = lambda _: b"") -> Seen:
    """A body of `size` bytes, unsigned, or with the header lines that `headers` makes for it."""
    body = b'{"event_id":"01LARGE","content":"' + b"a" * size + b'"}'
    return post(url, body, headers(body), timeout=30)


def gzip_bomb(url: str, size: int = 512 * MIB, headers: Callable[[bytes], bytes] = lambda _: b"") -> Seen:
    """A small body that inflates to `size` zeros; the signature is over what is sent."""
    body = gzip.compress(b"0" * MIB) * (size // MIB)  # members one after the other are one stream
    return post(url, body, b"Content-Encoding: gzip\r\n" + headers(body), timeout=30)


def many_headers(url: str, count: int = 5_000) -> Seen:
    """More header lines than any sender has."""
    return talk(url, [_head(url) + b"".join(b"X-%d: a\r\n" % number for number in range(count)) + b"\r\n"])


def long_header(url: str, size: int = MIB) -> Seen:
    """One header line of `size` bytes."""
    return talk(url, [_head(url) + b"X-Long: " + b"a" * size + b"\r\n\r\n"])


def garbage(url: str) -> Seen:
    """No HTTP at all: the beginning of a TLS connection."""
    return talk(url, [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)])


def idle_connections(url: str, count: int) -> list[socket.socket]:
    """Connections that send nothing. The caller closes them."""
    return [_connected(url) for _ in range(count)]


def _connected(url: str) -> socket.socket:
    target = Target.parse(url)
    return socket.create_connection((target.host, target.port), timeout=10)


def _head(url: str, *, method: bytes = b"POST") -> bytes:
    target = Target.parse(url)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, target.path.encode(), target.host.encode())


def _dripping(url: str, head: bytes, drops: bytes, pause: float, timeout: float) -> Seen:
    """Sends drop after drop until the receiver ends the connection."""
    target = Target.parse(url)
    began, received = time.monotonic(), bytearray()
    with socket.create_connection((target.host, target.port), timeout=pause) as connection:
        end = "open"
        try:
            connection.sendall(_head(url) + head)
            for position in range(len(drops)):
                if time.monotonic() - began > timeout:
                    break
                connection.sendall(drops[position : position + 1])
                try:
                    data = connection.recv(65_536)
                except TimeoutError:
                    continue
                received += data
                if not data:
                    end = "closed"
                    break
        except (ConnectionResetError, BrokenPipeError):
            end = "reset"
    return _seen(received, end, began)


def _seen(received: bytearray, end: str, began: float) -> Seen:
    status = int(received[9:12]) if received.startswith(b"HTTP/1.1 ") else None
    return Seen(status, end, time.monotonic() - began, bytes(received))
