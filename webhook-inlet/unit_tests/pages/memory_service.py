"""A service whose store is in memory, and its pages on a real server of a free port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send
from webhook_inlet.config import Config, InletConfig, VolumeConfig
from webhook_inlet.lines import line
from webhook_inlet.service import Inlet, Service
from webhook_inlet.store import Lane, Lines, NoSuchSegment, StoreError

TOKEN = "read-token-of-the-test"
LANE = "20261126T220100Z-abc123"


class MemoryStore:
    """Lanes as lists of segments; all but the last one of a lane are sealed, and that one too if the lane is closed."""

    gather_seconds = 0.0

    def __init__(self) -> None:
        self.segments: dict[str, dict[str, list[list[bytes]]]] = {}
        self.first: dict[str, int] = {}  # by lane
        self.closed: set[str] = set()
        self.reads = 0
        self.failing: Exception | None = None
        self.words: str | None = None
        self.free: int | None = 50 * 2**30

    def add(self, inlet: str, lane: str, *segments: int, at: float = 1_764_200_000.0) -> None:
        """Segments with so many lines, one second apart."""
        kept = self.segments.setdefault(inlet, {}).setdefault(lane, [])
        for lines in segments:
            start = int(at * 1_000_000)
            kept.append([event(number, start + number * 1_000_000, inlet) for number in range(lines)])

    def open(self) -> None:
        """Nothing to repair."""

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        for inlet, lines in batches.items():
            lanes = self.segments.setdefault(inlet, {})
            lanes.setdefault(LANE, [[]])[-1].extend(lines)
        return {}

    def maintain(self) -> None:
        """Nothing to seal."""

    def hurry(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to end."""

    def recent_keys(self, inlet: str) -> Iterator[bytes]:
        yield from ()

    def newest_at(self, inlet: str) -> int | None:
        return None

    def lanes(self, inlet: str) -> list[Lane]:
        self._fail()
        return [
            Lane(lane, self.first.get(lane, 1), len(segments), len(segments[-1]), lane in self.closed)
            for lane, segments in sorted(self.segments.get(inlet, {}).items())
        ]

    def read(self, inlet: str, lane: str, segment: int, line: int) -> Lines:
        self.reads += 1
        self._fail()
        segments = self.segments.get(inlet, {}).get(lane, [])
        if not self.first.get(lane, 1) <= segment <= len(segments):
            raise NoSuchSegment
        lines = segments[segment - 1][line:]
        return Lines(b"".join(each + b"\n" for each in lines), segment < len(segments) or lane in self.closed)

    def remove_before(self, at: int) -> int:
        return 0

    def problem(self) -> str | None:
        return self.words

    def free_bytes(self) -> int | None:
        return self.free

    def _fail(self) -> None:
        if self.failing:
            raise self.failing


class IdleWriter:
    """A writer for which nothing waits."""

    queued_lines = 3
    queued_bytes = 4_096
    fatal: str | None = None

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def submit(self, inlet: str, line: bytes) -> asyncio.Future[None]:
        raise AssertionError("the pages write nothing")

    async def close(self) -> None:
        """Nothing to end."""


def event(number: int, at: int, inlet: str) -> bytes:
    """A line of the log."""
    key = f'customerio:"{number}"'  # a quote, so that readers of lines meet an escaped one
    body = b'{"event_id":"%d"}' % number
    return line(key=key, at=at, inlet=inlet, sig=0, headers={}, body=body, embed=True, truncated=False)


def inlet_of(name: str, source: str = "customerio") -> Inlet:
    """An inlet with two secrets."""
    config = InletConfig.model_validate(
        {
            "name": name,
            "source": source,
            "path": SecretStr("a-path-that-nobody-may-see-" + name),
            "secrets": (SecretStr("c2lnbmluZy1rZXktb25lLW9mLXRlc3Q="), SecretStr("c2lnbmluZy1rZXktdHdvLW9mLXRlc3Q=")),
        }
    )
    return Inlet(config)


def service_of(store: MemoryStore, *inlets: Inlet) -> Service:
    """A service with the inlets `prod` (Customer.io) and `guides` (Pendo), or those given."""
    inlets = inlets or (inlet_of("prod"), inlet_of("guides", "pendo"))
    config = Config(
        store=VolumeConfig(type="volume", path=Path("/data")),
        read_token=SecretStr(TOKEN),
        inlets=tuple(inlet.config for inlet in inlets),
    )
    return Service(config, store, IdleWriter(store), {inlet.config.name: inlet for inlet in inlets})


class Server:
    """A real server on a free port of this machine, for one application after another."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)

    @contextmanager
    def running(self) -> Iterator[str]:
        """The address."""
        server = uvicorn.Server(
            uvicorn.Config(self, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            deadline = time.monotonic() + 120
            while not server.started:
                assert thread.is_alive(), "the server ended while it started"
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


class Client:
    """Sends the right token by default."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(
        self, path: str, *, method: str = "GET", token: str | None = TOKEN, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """One request on a connection of its own."""
        sent = {"Accept": "*/*", "User-Agent": "airbyte-source-customerio/0.1", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return requests.request(method, self.address + path, headers=sent, timeout=20, allow_redirects=False)
