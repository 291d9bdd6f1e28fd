"""webhook-inlet with the events that the simulated vendors post to it."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulators.webhooks.signatures import customerio

from demo.programs import Place, address

EVENTS = "webhook_events"
#: Events that each simulated sender posts, and those whose way into the DuckDB file is timed
POSTED, TIMED = 200, 3


@dataclass(frozen=True)
class Inlet:
    """A running webhook-inlet with an entry for each sender."""

    url: str
    token: str
    secret: str
    paths: dict[str, str]

    def address(self, vendor: str) -> str:
        """Where the vendor posts."""
        return f"{self.url}/in/{self.paths[vendor]}"

    def store(self, vendor: str) -> dict[str, str]:
        """The connector's option `webhook_store`."""
        return {"type": "inlet", "url": self.url, "token": self.token, "inlet": vendor}


@contextmanager
def running_inlet(folder: Path, place: Place) -> Iterator[Inlet]:
    """webhook-inlet with its store in a folder, which stays for the next run."""
    folder.mkdir(parents=True, exist_ok=True)
    token, secret = secrets.token_hex(16), secrets.token_hex(16)
    paths = {vendor: secrets.token_urlsafe(32) for vendor in ("pendo", "customerio")}
    entries = [{"name": name, "source": name, "path": path, "secrets": [secret]} for name, path in paths.items()]
    store = {"type": "volume", "path": place.path(folder)}
    with shared_folder() as shared:
        config = write(
            shared / "inlet.yaml",  # JSON is YAML
            {"store": store, "read_token": token, "drain_seconds": 0, "inlets": entries},
        )
        arguments = ["serve", "--config", place.path(config), "--host", "127.0.0.1", "--port", "0"]
        with place.start("webhook-inlet", arguments, {shared: "ro", folder: "rw"}) as program:
            yield Inlet(address(program, "webhook-inlet"), token, secret, paths)


def posting(vendor: str, inlet: Inlet) -> list[str]:
    """The options with which a simulated vendor also posts events, as fast as they are accepted."""
    webhooks = ["--webhooks", inlet.address(vendor), f"--secret={inlet.secret}"]
    return [*webhooks, "--rate", "0", "--events", str(POSTED)]


def post_event(inlet: Inlet) -> None:
    """One event as Customer.io posts it. Returns when the inlet has stored it."""
    event = {
        "event_id": secrets.token_hex(13),
        "object_type": "email",
        "metric": "opened",
        "timestamp": int(time.time()),
    }
    body = json.dumps({**event, "data": {"delivery_id": "demo"}}).encode()
    signature = customerio(inlet.secret, body).decode().splitlines()
    headers = {"Content-Type": "application/json", **dict(line.split(": ") for line in signature)}
    urllib.request.urlopen(urllib.request.Request(inlet.address("customerio"), body, headers)).close()  # noqa: S310


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A temporary folder that the user of a container can read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def write(path: Path, content: object) -> Path:
    """Writes a JSON file that the user of the container can read."""
    path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(0o644)
    return path
