"""The simulated vendors: each runs in its own process and gives the configuration of its connector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from demo.inlet import Inlet, posting
from demo.programs import address, process, simulators

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "heap-rs3-demo"


@dataclass(frozen=True)
class World:
    """The simulated vendors of one run."""

    size: str
    first: datetime
    """The present at the first run, from which their history is made."""
    later: int
    """Days since then."""
    inlet: Inlet
    log: IO[bytes]

    @property
    def present(self) -> datetime:
        """The present of this run."""
        return self.first + timedelta(days=self.later)

    def options(self, first: str) -> tuple[str, ...]:
        """The options of a simulator whose `--now` has this form."""
        return "--size", self.size, "--now", first, "--later", str(self.later)


@contextmanager
def pendo(world: World) -> Iterator[dict[str, Any]]:
    """A simulated Pendo subscription."""
    options = world.options(world.first.isoformat())
    posts = posting("pendo", world.inlet)
    with process(simulators("pendo", *options, "--port", "0", *posts), world.log) as server:
        yield {
            "api_key": "simulated-integration-key.us",
            "api_url": address(server, "the simulator of Pendo", posts=True),
            "webhook_store": world.inlet.store("pendo"),
        }


@contextmanager
def customerio(world: World) -> Iterator[dict[str, Any]]:
    """A simulated Customer.io workspace, with its limit of ten requests a second."""
    options = world.options(str(int(world.first.timestamp())))
    posts = posting("customerio", world.inlet)
    with process(simulators("customerio", *options, "--port", "0", *posts), world.log) as server:
        yield {
            "app_api_key": "cio-app-key-us-4c1f9b7e20",
            "api_url": address(server, "the simulator of Customer.io", posts=True),
            "start_date": "2025-01-01T00:00:00Z",
            "webhook_store": world.inlet.store("customerio"),
        }


@contextmanager
def heap(world: World) -> Iterator[dict[str, Any]]:
    """A simulated Heap bucket, on Ceph's S3 server if it is installed, else on moto's."""
    servers = [sys.executable, str(ROOT / "integration_tests" / "s3" / "s3_servers.py")]
    with process(servers, world.log) as started:
        server = json.loads(next(iter(started.lines)))
        keys = {"AWS_ACCESS_KEY_ID": server["access_key"], "AWS_SECRET_ACCESS_KEY": server["secret_key"]}
        options = world.options(world.first.isoformat())
        writes = simulators("heap", "--out", f"s3://{BUCKET}", "--endpoint-url", server["endpoint"], *options)
        environment = {**os.environ, **keys, "AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(writes, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the simulator of Heap failed:\n{done.stderr}")
        yield {
            "bucket": BUCKET,
            "endpoint_url": server["endpoint"],
            "credentials": {
                "auth_type": "keys",
                "aws_access_key_id": server["access_key"],
                "aws_secret_access_key": server["secret_key"],
            },
        }


#: What runs each connector's vendor, in the order of the output
VENDORS: dict[str, Callable[[World], AbstractContextManager[dict[str, Any]]]] = {
    "source-pendo": pendo,
    "source-customerio": customerio,
    "source-heap": heap,
}
