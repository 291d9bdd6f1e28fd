"""From a post to a row: what both connectors emit, behind their key, is what the senders' ledger says."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from simulators.webhooks import load
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.malformed import BODIES
from simulators.webhooks.sender import Habits, Sending
from test_kit.catalogs import configured_stream
from test_kit.command import arguments
from test_kit.destination import Destination, Row
from test_kit.process import ConsoleScript, Crash, Outcome, watch
from webhooks.accounts import both, request_of
from webhooks.inlet_process import PATHS, READ_TOKEN, Inlet, MakeInlet, eventually
from webhooks.kept_log import assert_kept, by_http, lines

STREAM = "webhook_events"
OFFERED = {
    "name": STREAM,
    "json_schema": {"type": "object"},
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_primary_key": [["record_id"]],
}
KEY_OPTIONS = {"pendo": "api_key", "customerio": "app_api_key"}


class Reader:
    """A connector with one destination. It syncs as often as it is asked to, crashed or not."""

    def __init__(self, source: str, inlet: Inlet, folder: Path) -> None:
        self._script = ConsoleScript(f"source-{source}")
        self._folder = folder / source
        self._folder.mkdir()
        store = {"type": "inlet", "url": inlet.url, "token": READ_TOKEN, "inlet": source}
        self._config = {KEY_OPTIONS[source]: "no-request-goes-there", "webhook_store": store}
        # as discover gives it, but without the columns, for which source-pendo asks the API
        self.destination = Destination({"streams": [configured_stream(OFFERED)]})

    def sync(self, crash: Crash | None = None) -> Outcome:
        """From where the destination is."""
        files = {"config": self._config, "catalog": self.destination.catalog, "state": self.destination.begin() or None}
        outcome = self._run("read", files, crash)
        self.destination.load(outcome.lines, uncovered=False)
        return outcome

    @property
    def rows(self) -> dict[str, Row]:
        """By `record_id`."""
        return {row["record_id"]: row for row in self.destination.rows[STREAM].values()}

    def _run(self, verb: str, files: dict[str, Any], crash: Crash | None = None) -> Outcome:
        running = self._script.start(arguments(self._folder, verb, (), files))
        return watch(running, crash, limit=120)


@pytest.mark.parametrize(
    ("rounds", "rate"), [pytest.param(2, 200, id="short"), pytest.param(15, 0, id="long", marks=pytest.mark.soak)]
)
def test_rows_are_the_ledger_though_the_inlet_and_the_readers_are_killed(
    make_inlet: MakeInlet, tmp_path: Path, rounds: int, rate: int
) -> None:
    rng, crashed = random.Random(rounds), 0
    inlet = make_inlet()
    readers = {source: Reader(source, inlet, tmp_path) for source in KEY_OPTIONS}
    ledgers = {source: Ledger() for source in readers}
    urls = {source: [inlet.path(source)] for source in readers}
    habits = Habits(rate=rate, parallel=4)
    with (
        Sending(both({"pendo": urls["pendo"]}, habits), ledgers["pendo"]),
        Sending(both({"customerio": urls["customerio"]}, habits), ledgers["customerio"]),
    ):
        for _ in range(rounds):
            for source, reader in readers.items():
                accepted = ledgers[source].accepted
                assert eventually(lambda: ledgers[source].accepted > accepted + 20)  # noqa: B023 - called here only
                outcome = reader.sync(Crash(after_bytes=rng.randrange(2_000, 100_000), reads_on=False))
                crashed += outcome.killed
            inlet.kill()
            inlet = make_inlet(port=inlet.port)
    assert crashed >= rounds
    for source, reader in readers.items():
        log = by_http(inlet, source)
        acknowledged = assert_kept(ledgers[source].entries, log)
        outcome = reader.sync()
        assert outcome.code == 0, outcome.stderr
        kept = {line.key: line for line in lines(log)}
        assert set(reader.rows) == set(kept)
        for key, row in reader.rows.items():
            assert_same(source, row, orjson.loads(kept[key].body))
        print(f"{source}: {acknowledged} acknowledged, {len(reader.rows)} rows; {ledgers[source].summary()}")
        assert acknowledged > 20 * rounds


def assert_same(source: str, row: Row, event: Row) -> None:
    """A row has what was posted."""
    if source == "customerio":
        names = ("event_id", "object_type", "metric", "timestamp", "data")
        assert {name: row[name] for name in names} == {name: event[name] for name in names}
        assert row.get("delivery_id") == event["data"].get("delivery_id")
    else:
        assert (row["event"], row["unique_id"], row["visitor_id"]) == (
            event["event"],
            event["uniqueId"],
            event["visitorId"],
        )
        assert row["properties"] == event["properties"]


def test_a_reader_gets_arrays_and_odd_bodies_as_rows(make_inlet: MakeInlet, tmp_path: Path) -> None:
    inlet = make_inlet()
    requests = [request_of(inlet.path("customerio"), "customerio", body) for body in BODIES.values()]
    answers = load.run(lambda: load.closed_loop(inlet.url, requests, connections=1)).answers
    assert answers == {200: len(BODIES)}
    reader = Reader("customerio", inlet, tmp_path)
    outcome = reader.sync()
    assert outcome.code == 0, outcome.stderr
    assert {"customerio:01ARRAY1", "customerio:01ARRAY2"} <= set(reader.rows)
    assert reader.rows["customerio:01LINES"]["event_id"] == "01LINES"
    assert any(row.get("raw") == "hello, world" for row in reader.rows.values())


def test_a_post_is_a_row_of_the_next_sync(make_inlet: MakeInlet, tmp_path: Path) -> None:
    inlet = make_inlet()
    reader = Reader("pendo", inlet, tmp_path)
    for seed in range(2):
        ledger = Ledger()
        with Sending(both({"pendo": [inlet.path("pendo")]}, seed=seed, count=1), ledger) as sending:
            assert sending.wait(120)
        assert reader.sync().code == 0
        assert len(reader.rows) == seed + 1


def test_what_a_reader_has_read_is_on_the_status_page(make_inlet: MakeInlet, tmp_path: Path) -> None:
    inlet = make_inlet()
    ledger = Ledger()
    with Sending(both({"pendo": [inlet.path("pendo")]}, count=40), ledger) as sending:
        assert sending.wait(120)
    assert Reader("pendo", inlet, tmp_path).sync().code == 0
    shown = next(row for row in inlet.json("/status")["inlets"] if row["name"] == "pendo")
    assert shown["posts"]["total"]["stored"] == 40
    assert shown["posts"]["5m"]["received"] == 40
    assert shown["secrets_used"] == {"0": 40}
    (reader,) = shown["readers"]
    assert reader["reader"].startswith("airbyte-source-pendo")
    assert reader["unread_events"] == 0
    assert PATHS["pendo"] not in orjson.dumps(shown).decode()
