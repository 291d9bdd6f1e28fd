"""An inlet that is restarted at will, a proxy in front of it, and senders that never stop posting."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from harness.suite import ROOT

CADDY = ROOT / ".cache" / "caddy" / "bin" / "caddy"
INLET = Path(sys.executable).parent / "webhook-inlet"
TOKEN, PATH, SECRET = "t" * 43, "p" * 43, "s" * 43
#: Customer.io gives up after so many seconds (certain: its documentation)
SENDER_SECONDS = 4.0
#: Caddy holds a post back for longer than this
HELD_SECONDS = 3.3
CONFIG = {
    "read_token": TOKEN,
    "drain_seconds": 0,
    "inlets": [{"name": "prod", "source": "customerio", "path": PATH, "secrets": [SECRET]}],
}


def free_port() -> int:
    """A port that nobody listens on now. Servers here need a port that stays the same over a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Inlet:
    """`webhook-inlet serve` with a volume, as a process that can end and come again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        config = self.folder / "inlet.yaml"
        config.write_text(
            yaml.safe_dump({"store": {"type": "volume", "path": str(self.folder / "data")}, **CONFIG}),
            encoding="utf-8",
        )
        command = [str(INLET), "serve", "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("listening on ")

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Ends it with a signal, and waits until it is gone."""
        assert self.process is not None
        self.process.send_signal(by)
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None


@contextmanager
def running_inlet(folder: Path) -> Iterator[Inlet]:
    """An inlet that runs at first, and is ended at last if it still runs."""
    inlet = Inlet(folder)
    inlet.start()
    try:
        yield inlet
    finally:
        if inlet.process is not None:
            inlet.end(signal.SIGKILL)


@contextmanager
def caddy(folder: Path, upstream: int) -> Iterator[int]:
    """Caddy with the repository's Caddyfile in front of a port. Yields its own port."""
    port = free_port()
    environment = {
        **os.environ,
        "INLET_HOST": f"http://127.0.0.1:{port}",
        "INLET_UPSTREAM": f"127.0.0.1:{upstream}",
        "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    command = [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(ROOT / "deploy" / "Caddyfile")]
    with _running(command, folder / "caddy.log", port, environment):
        yield port


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    """nginx with the repository's nginx.conf in front of a port. Yields its own port."""
    port = free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    places = ("fastcgi", "uwsgi", "scgi", "proxy", "client_body")
    own = "".join(f"{place}_temp_path {folder}/{place};\n" for place in places)
    for before, after in (
        ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("http {\n", f"http {{\n{own}"),
        # its workers must reach this folder, whose parents are of this user
        ("worker_processes auto;", "worker_processes 1;" + (" user root;" if os.geteuid() == 0 else "")),
    ):
        assert before in text
        text = text.replace(before, after)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    options = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;"
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", options]
    with _running(command, folder / "nginx.log", port, os.environ):
        yield port


@contextmanager
def _running(command: Sequence[str], log: Path, port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """A server, from its first accepted connection on."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers of a reporting webhook (certain: Customer.io's specification)."""
    stamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-CIO-Timestamp": stamp, "X-CIO-Signature": digest}


def event(identifier: str, size: int = 600) -> bytes:
    """A body with an id of its own."""
    return json.dumps({"event_id": identifier, "metric": "sent", "data": {"content": "x" * size}}).encode()


def answer(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@dataclass
class Senders:
    """Threads that post without a pause longer than 5 ms: half keep their connection, half make one for each post."""

    port: int
    path: str = f"/in/{PATH}"
    secret: str = SECRET
    outcomes: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    slowest: float = 0.0
    soonest_503: float = float("inf")
    """Seconds until the quickest 503."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Posts as long as the block runs."""
        threads = [threading.Thread(target=self._post, args=(f"sender{i}", i % 2 == 0)) for i in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(timeout=60)

    def _post(self, name: str, keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        number = 0
        while not self._stop.wait(0.005):
            number += 1
            identifier = f"{name}-{number}"
            body = event(identifier)
            began = time.monotonic()
            try:
                connection.request("POST", self.path, body, signed(body, self.secret))
                response = connection.getresponse()
                response.read()
                outcome = str(response.status)
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
                connection.close()
            self.outcomes[outcome] += 1
            if outcome == "200":
                self.acknowledged.add(identifier)
            seconds = time.monotonic() - began
            self.slowest = max(self.slowest, seconds)
            if outcome == "503":
                self.soonest_503 = min(self.soonest_503, seconds)
            if not keeps:
                connection.close()
        connection.close()


def held_back_by_caddy(senders: Senders) -> None:
    """Every post was stored; 503 came only where a busy machine kept the inlet away for longer than Caddy waits."""
    assert set(senders.outcomes) <= {"200", "503"}, senders.outcomes
    assert senders.soonest_503 > HELD_SECONDS, senders.outcomes
    assert senders.slowest < SENDER_SECONDS
    assert senders.outcomes["200"] > 100


def stored(port: int, inlet: str = "prod", token: str = TOKEN) -> Counter[str]:
    """How often each event id is in the log, read as a connector reads it."""
    headers = {"Authorization": f"Bearer {token}"}

    def get(path: str) -> bytes:
        status, body = answer(port, "GET", path, headers=headers)
        assert status == 200, (path, status, body)
        return body

    found: Counter[str] = Counter()
    for lane in json.loads(get(f"/log/v1/{inlet}"))["lanes"]:
        for segment in range(lane["first"], lane["last"] + 1):
            for line in get(f"/log/v1/{inlet}/{lane['lane']}/{segment}").splitlines():
                found[json.loads(line)["body"]["event_id"]] += 1
    return found
