"""A TCP proxy that breaks connections: what a network between a connector and its vendor can do to both.

    with FaultProxy(sim.url) as proxy:
        proxy.add(Trouble("cut", after=5_000))                  # the next connection
        proxy.add(Trouble("hang"), Trouble("hang"), skip=2)     # the two after the next two
        ...                                                     # proxy.url in place of sim.url
        proxy.refuse_for(1.5)                                   # the port refuses connections

It knows nothing of HTTP: `after` counts the bytes of all answers on one connection, heads included. Faults that know
requests are those of the simulators (`simulators.faults`).
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

KINDS = ("delay", "drip", "cut", "reset", "hang", "stall")
_CHUNK_BYTES = 65_536
_RST = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Trouble:
    """What happens to one connection, once `after` bytes of answers have gone through.

    `delay` holds the answer back for `seconds`, once; `drip` passes one byte every `seconds`; `cut` closes it
    properly; `reset` resets it; `hang` never passes a byte in either direction, though the connection was accepted;
    `stall` stops passing answers and keeps the connection open, as a firewall does that forgot it.
    """

    kind: str
    after: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind


class FaultProxy:
    """A port on loopback that leads to `upstream`; trouble that is added breaks its connections."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        assert address.hostname
        assert address.port
        self._upstream = (address.hostname, address.port)
        self._port = 0
        self._listener = self._listen()
        self._port = self._listener.getsockname()[1]
        self._troubles: deque[Trouble | None] = deque()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.connections = 0
        """How many were accepted."""
        self.met: list[Trouble] = []
        """The troubles that happened, in their order."""

    @property
    def url(self) -> str:
        """The address to use instead of the upstream's."""
        return f"http://127.0.0.1:{self._port}"

    def add(self, *troubles: Trouble, skip: int = 0) -> None:
        """Break the connections after the first `skip`, one for each trouble, in the order in which they are made."""
        with self._lock:
            self._troubles.extend([None] * skip)
            self._troubles.extend(troubles)

    def clear(self) -> None:
        """Break no connection from now on."""
        with self._lock:
            self._troubles.clear()

    def refuse_for(self, seconds: float) -> None:
        """End all connections and refuse new ones for a while."""
        self._close_listener()
        self.drop()
        timer = threading.Timer(seconds, self._accept_again)
        timer.daemon = True
        timer.start()

    def drop(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._serve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._close_listener()
        self.drop()

    def _listen(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(64)
        return listener

    def _close_listener(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _accept_again(self) -> None:
        if not self._stopping.is_set():
            self._listener = self._listen()
            self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), name="fault-proxy", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                trouble = self._troubles.popleft() if self._troubles else None
                self._open.add(client)
            threading.Thread(target=self._connect, args=(client, trouble), daemon=True).start()

    def _connect(self, client: socket.socket, trouble: Trouble | None) -> None:
        if trouble is not None and trouble.kind == "hang":
            self.met.append(trouble)
            self._stopping.wait()
            return self._end(client)
        try:
            server = socket.create_connection(self._upstream, timeout=10)
        except OSError:
            return self._end(client)
        server.settimeout(None)
        with self._lock:
            self._open.add(server)
        threading.Thread(target=self._pass_questions, args=(client, server), daemon=True).start()
        with suppress(OSError):
            self._pass_answers(client, server, trouble)
        self._end(server)
        return self._end(client)

    @staticmethod
    def _pass_questions(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(_CHUNK_BYTES):
                server.sendall(chunk)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _pass_answers(self, client: socket.socket, server: socket.socket, trouble: Trouble | None) -> None:
        passed = 0
        while chunk := server.recv(_CHUNK_BYTES):
            if trouble is not None and passed + len(chunk) > trouble.after:
                at = trouble.after - passed
                client.sendall(chunk[:at])
                self.met.append(trouble)
                if not self._break(client, chunk[at:], trouble):
                    return
                trouble = None
            else:
                client.sendall(chunk)
            passed += len(chunk)

    def _break(self, client: socket.socket, rest: bytes, trouble: Trouble) -> bool:
        """Do what the trouble says with the rest of a chunk; returns whether the connection still works."""
        match trouble.kind:
            case "delay":
                self._stopping.wait(trouble.seconds)
                client.sendall(rest)
                return True
            case "drip":
                return self._drip(client, rest, trouble.seconds)
            case "stall":
                self._stopping.wait()
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        return False

    def _drip(self, client: socket.socket, rest: bytes, seconds: float) -> bool:
        for position in range(len(rest)):
            if self._stopping.wait(seconds):
                return False
            client.sendall(rest[position : position + 1])
        return True

    def _end(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        with suppress(OSError):
            reset = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RST)) == _RST
            # a thread that still receives keeps the socket open; SHUT_RD wakes it and sends nothing before the RST
            connection.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        connection.close()
