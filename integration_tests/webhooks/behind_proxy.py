"""The proxies of deploy/ in front of an inlet, and senders of Customer.io that never stop posting."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.suite import ROOT
from simulators.webhooks import signatures
from simulators.webhooks.connection import Target
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.retries import CustomerioRetries
from simulators.webhooks.sender import Habits, Sending, Webhook
from webhooks.accounts import TIME_SCALE, events
from webhooks.inlet_process import PATHS, SECRETS, free_port

CADDY = ROOT / ".cache" / "caddy" / "bin" / "caddy"
PATH, SECRET = PATHS["customerio"], SECRETS["customerio"]
#: Customer.io gives up after so many seconds (certain: its documentation), and so do the senders here
SENDER_SECONDS = 4.0
#: Caddy holds a post back for longer than this
HELD_SECONDS = 3.3


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
        deadline = time.monotonic() + 120
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
        process.wait(timeout=120)


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers of a reporting webhook of Customer.io."""
    lines = signatures.customerio(secret, body).decode().splitlines()
    return {"Content-Type": "application/json", **dict(line.split(": ") for line in lines)}


def event(identifier: str, size: int = 600) -> bytes:
    """A body with an id of its own."""
    return json.dumps({"event_id": identifier, "metric": "sent", "data": {"content": "x" * size}}).encode()


class Senders:
    """Two webhooks of Customer.io: one keeps its connections, one makes a connection for each post."""

    def __init__(self, url: str, secret: str = SECRET) -> None:
        self.ledger = Ledger()
        retries = CustomerioRetries(TIME_SCALE, first_delay=0.05 * TIME_SCALE)
        self._webhooks = [
            Webhook(
                events("customerio", seed),
                [Target.parse(url)],
                retries,
                lambda _, body: signatures.customerio(secret, body),
                Habits(rate=100, parallel=2, keep_alive=seed == 1),
                seed,
            )
            for seed in (1, 2)
        ]

    def posting(self) -> Sending:
        """Posts as long as the block runs."""
        return Sending(self._webhooks, self.ledger)


def held_back_by_caddy(ledger: Ledger) -> None:
    """Every post was stored, but where a busy machine kept the inlet away for longer than Caddy waits."""
    assert set(ledger.answers) <= {200, 503, "timeout"}, ledger.summary()
    refused = [post.seconds for entry in ledger.entries for post in entry.posts if post.answer != 200]
    assert min(refused, default=HELD_SECONDS) >= HELD_SECONDS, ledger.summary()
    assert ledger.answers[200] > 100
