"""The command `webhook-inlet serve` as a process: its configuration, its address, its end, what it costs."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from simulators.webhooks import signatures
from simulators.webhooks.signatures import Sign

COMMAND = str(Path(sys.executable).parent / "webhook-inlet")
READ_TOKEN = "token-for-reading-0123456789"
SECRETS = {
    "customerio": "customerio-signing-key",
    "pendo": "pendo-secret",
    "standard": signatures.new_standard_secret(),
}
PATHS = {source: f"path-of-{source}-0123456789abcdefghij" for source in SECRETS}
SIGN: Mapping[str, Sign] = {
    "customerio": lambda _, body: signatures.customerio(SECRETS["customerio"], body),
    "pendo": lambda _, body: signatures.pendo(SECRETS["pendo"], body),
    "standard": lambda event_id, body: signatures.standard(SECRETS["standard"], body, event_id or "msg"),
}
_LISTENING = re.compile(r"^listening on http://127\.0\.0\.1:(\d+)\n", re.MULTILINE)
_TICK = os.sysconf("SC_CLK_TCK")


def write_config(folder: Path, store: Mapping[str, Any], **options: Any) -> Path:
    """A configuration with an inlet for each source, each with the name of its source. Draining is short."""
    inlets = [
        {"name": source, "source": source, "path": PATHS[source], "secrets": [SECRETS[source]]} for source in PATHS
    ]
    path = folder / "inlet.yaml"
    path.write_text(
        json.dumps({"store": store, "read_token": READ_TOKEN, "drain_seconds": 0.3, "inlets": inlets, **options})
    )
    return path


def free_port() -> int:
    """A port for servers that need the same one after a restart.

    It lies below those that systems give to outgoing connections: one of these could take it while a server is down.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise OSError("100 ports are in use")


def answer(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one request to this machine, on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@dataclass
class Reader:
    """Asks an inlet, or a proxy in front of it, with the read token."""

    port: int
    token: str = READ_TOKEN

    def get(self, path: str, *, token: str | None = "", accept: str = "application/json") -> tuple[int, bytes]:
        """Status and body of a GET. `token`: another one, or None for none."""
        sent = self.token if token == "" else token
        return answer(
            self.port, "GET", path, headers={"Accept": accept} | ({"Authorization": f"Bearer {sent}"} if sent else {})
        )

    def json(self, path: str) -> Any:
        """The body of a GET that succeeds."""
        status, body = self.get(path)
        assert status == 200, (path, status, body)
        return json.loads(body)


@dataclass(kw_only=True)
class Inlet(Reader):
    """One process. `start` waits until it says where it listens. It keeps its port."""

    config: Path
    port: int = field(default_factory=free_port)
    listener: socket.socket | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    """A command in front of it, e.g. `unshare`."""

    def start(self, seconds: float = 120) -> Inlet:
        """Starts it. RuntimeError with what it wrote if it ends or does not listen in time."""
        self._output = self.config.parent / f"output-{time.monotonic_ns()}"
        arguments = ["serve", "--config", str(self.config), "--host", "127.0.0.1", "--port", str(self.port)]
        descriptors = []
        if self.listener is not None:
            descriptors = [self.listener.fileno()]
            arguments += ["--fd", str(descriptors[0])]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.before, COMMAND, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                env={**os.environ, **self.environment},
            )
        end = time.monotonic() + seconds
        while not (found := _LISTENING.search(self.output())):
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                message = f"the inlet does not listen: {self.output()}"
                raise RuntimeError(message)
            time.sleep(0.01)
        self.port = int(found[1])
        return self

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """All that it wrote to stdout and stderr."""
        return self._output.read_text(errors="replace")

    def path(self, source: str) -> str:
        """The address that a sender posts to."""
        return f"{self.url}/in/{PATHS[source]}"

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=120)

    def terminate(self, seconds: float = 120) -> int:
        """SIGTERM. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def resident_bytes(self) -> int:
        """Memory in use now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None


#: `make_inlet(port=..., config=..., broken={...})` of conftest.py
MakeInlet = Callable[..., Inlet]


def eventually(condition: Callable[[], bool], seconds: float = 120) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            if condition():
                return True
        time.sleep(0.02)
    return False
