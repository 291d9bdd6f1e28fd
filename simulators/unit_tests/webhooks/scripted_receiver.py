"""A receiver that answers by a script: HTTP by hand, so that it can also be late, end or reset a connection."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from simulators.webhooks.connection import Failure
from simulators.webhooks.ledger import Ledger

_RST = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Received:
    """One post as it came."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes


#: The answer to the n-th post (from 0): a status, `eof`, `reset`, or `late:<seconds>` for a 200 that comes later
Script = Callable[[int, Received], int | str]
#: `send(script, count, ...)` of conftest.py
Send = Callable[..., tuple[list[Received], Ledger]]


@dataclass
class Receiver:
    """Serves from threads while the context is open."""

    script: Script
    posts: list[Received] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/in/path?x=1"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            while request := stream.readline():
                headers: dict[str, str] = {}
                while (line := stream.readline().decode().strip()) != "":
                    name, _, value = line.partition(": ")
                    headers[name.lower()] = value
                body = stream.read(int(headers["content-length"]))
                post = Received(time.monotonic(), request.split()[1].decode(), headers, body)
                with self._lock:
                    number = len(self.posts)
                    self.posts.append(post)
                if not self._answer(connection, self.script(number, post)):
                    return

    def _answer(self, connection: socket.socket, answer: int | Failure) -> bool:
        match answer:
            case int():
                connection.sendall(b"HTTP/1.1 %d Some words\r\nContent-Length: 2\r\n\r\nok" % answer)
                return True
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
                return False
            case "eof":
                return False
        time.sleep(float(answer.removeprefix("late:")))
        return self._answer(connection, 200)
