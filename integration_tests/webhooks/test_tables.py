"""From a simulated vendor to a table in DuckDB, by the commands that users type: what was accepted is a row, once.

The inlet and the connector are killed on the way, and the log grows meanwhile.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from s3_servers import MotoServer
from simulators.customerio import CustomerioSimulator
from simulators.pendo import PendoSimulator
from simulators.webhooks.ledger import Entry
from test_kit.catalogs import configured_stream
from test_kit.command import arguments
from test_kit.process import ConsoleScript, Crash, Outcome, watch
from test_kit.warehouse import Warehouse
from webhooks.buckets import bucket_store
from webhooks.inlet_process import READ_TOKEN, SECRETS, Inlet, MakeInlet, eventually, free_port, write_config

STREAM = "webhook_events"
#: The option with the key, and who knows the key
VENDORS: dict[str, tuple[str, type[PendoSimulator | CustomerioSimulator]]] = {
    "pendo": ("api_key", PendoSimulator),
    "customerio": ("app_api_key", CustomerioSimulator),
}
HABITS = {"pendo": ["--arrays", "0.1", "--duplicates", "0.1", "--shuffled", "9"], "customerio": ["--odd", "0.02"]}

LONG = [pytest.mark.soak, pytest.mark.timeout(600)]


@dataclass
class Vendor:
    """A simulated account in a process of its own: its API, and what it posted."""

    url: str
    ledger: Path

    def entries(self) -> list[Entry]:
        """The events that are finished: accepted or given up."""
        written = self.ledger.read_bytes() if self.ledger.exists() else b""
        return [Entry.from_row(json.loads(row)) for row in written.split(b"\n")[:-1]]


@contextmanager
def vendor(source: str, posts_to: str, events: int, folder: Path) -> Iterator[Vendor]:
    """An hour of the sender's pauses is 0.1 seconds; some answers are lost on their way."""
    ledger = folder / "ledger.jsonl"
    command = [sys.executable, "-m", "simulators", source, "--port", "0", "--size", "tiny", "--webhooks", posts_to]
    command += ["--secret", SECRETS[source], "--rate", "60", "--events", str(events), "--ledger", str(ledger)]
    command += ["--time-scale", "36000", "--lost-answers", "0.02", "--parallel", "2", *HABITS[source]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Vendor(process.stdout.readline().split("listening on ")[1].strip(), ledger)
    finally:
        process.terminate()
        process.communicate()


class Connection:
    """A connector, its configuration and its table."""

    def __init__(self, source: str, config: dict[str, Any], folder: Path) -> None:
        self._script, self._folder, self._config = ConsoleScript(f"source-{source}"), folder / "run", config
        self._folder.mkdir()
        [offered] = [stream for stream in self.run("discover").catalog["streams"] if stream["name"] == STREAM]
        self._catalog = {"streams": [configured_stream(offered)]}
        self.tables = Warehouse(folder / "webhooks.duckdb")

    def run(self, verb: str, crash: Crash | None = None, **files: Any) -> Outcome:
        """A command. Only a crash makes it fail."""
        running = self._script.start(arguments(self._folder, verb, (), {"config": self._config, **files}))
        outcome = watch(running, crash, limit=120)
        assert outcome.killed or outcome.code == 0, (outcome.errors, outcome.stderr)
        return outcome

    def sync(self, crash: Crash | None = None) -> Outcome:
        """From the state that is stored with the rows, which are stored with the next one."""
        self.tables.begin(self._catalog)
        outcome = self.run("read", crash, catalog=self._catalog, state=self.tables.states() or None)
        list(self.tables.load(outcome.lines))
        return outcome

    def column(self, name: str) -> list[Any]:
        """The values of all rows."""
        return [value for (value,) in self.tables.connection.sql(f"select {name} from {STREAM}").fetchall()]


@pytest.mark.parametrize(
    ("source", "kind", "kills"),
    [
        pytest.param("customerio", "volume", 2, id="customerio-volume"),
        pytest.param("pendo", "bucket", 2, id="pendo-bucket"),
        pytest.param("customerio", "bucket", 8, id="customerio-bucket", marks=LONG),
        pytest.param("pendo", "volume", 8, id="pendo-volume", marks=LONG),
    ],
)
def test_what_was_accepted_is_one_row_in_the_table(
    make_inlet: MakeInlet,
    webhook_moto: MotoServer,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    source: str,
    kind: str,
    kills: int,
) -> None:
    rng, crashed, events = random.Random(kills), 0, 400 + 200 * kills
    store = bucket_store(webhook_moto, bucket) if kind == "bucket" else {"type": "volume", "path": str(volume)}
    inlet: Inlet = make_inlet(config=write_config(tmp_path, store), port=free_port())
    key, simulator = VENDORS[source]
    with vendor(source, inlet.path(source), events, tmp_path) as account:
        reading = store if kind == "bucket" else {"type": "inlet", "url": inlet.url, "token": READ_TOKEN}
        config = {key: simulator(seed=1, size="tiny").api_key, "api_url": account.url}
        connection = Connection(source, config | {"webhook_store": {**reading, "inlet": source}}, tmp_path)
        assert eventually(lambda: len(account.entries()) > 40, 30)
        status = connection.run("check").connection_status
        assert status["status"] == "SUCCEEDED"
        assert "Webhooks: the last event came" in status["message"]
        for _ in range(kills):
            enough = min(events, len(account.entries()) + 20)
            crashed += connection.sync(Crash(after_bytes=rng.randrange(2_000, 16_000), reads_on=False)).killed
            inlet.kill()
            inlet = make_inlet(config=inlet.config, port=inlet.port)
            assert eventually(lambda: len(account.entries()) >= enough, 30)  # noqa: B023 - called here only
        assert eventually(lambda: len(account.entries()) == events, 240), len(account.entries())
        connection.sync()
        last = connection.sync()
        assert last.column(STREAM, "record_id") == [], "nothing comes twice"
        entries = account.entries()
    assert crashed >= 1
    held = connection.column("record_id")
    assert len(held) == len(set(held))
    accepted = {f"{source}:{one}" for entry in entries if entry.acknowledged for one in entry.ids if one}
    posted = {f"{source}:{one}" for entry in entries for one in entry.ids if one}
    found = {one for one in held if ":sha256:" not in one}  # these have no id
    assert (accepted - found, found - posted) == (set(), set())
    assert len(accepted) > 100
    connection.tables.close()
