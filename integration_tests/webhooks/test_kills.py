"""kill -9 under load from both senders: what was answered 200 is in the log, once in a lane, byte for byte."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from s3_servers import MotoServer
from simulators.webhooks.ledger import Entry, Ledger
from simulators.webhooks.sender import Habits, Sending
from webhooks.accounts import both
from webhooks.buckets import bucket_store
from webhooks.inlet_process import Inlet, MakeInlet, eventually, write_config
from webhooks.kept_log import assert_kept, by_files, by_http, expected_key, lines

SOURCES = ("customerio", "pendo")


def kill_and_restart(
    inlets: list[Inlet], kills: int, seconds: tuple[float, float], ledger: Ledger, parallel: int
) -> list[Inlet]:
    """Loads the inlets from both senders, kills one after the other and starts it again on its port."""
    rng = random.Random(kills)
    urls = {name: [inlet.path(name) for inlet in inlets] for name in SOURCES}
    running = list(inlets)
    with Sending(both(urls, Habits(parallel=parallel)), ledger):
        for number in range(kills):
            accepted = ledger.accepted
            time.sleep(rng.uniform(*seconds))
            assert eventually(lambda: ledger.accepted > accepted + 20), ledger.summary()  # noqa: B023 - called here only
            place = number % len(running)
            running[place].kill()
            old = running[place]
            running[place] = Inlet(config=old.config, port=old.port).start()
        accepted = ledger.accepted
        assert eventually(lambda: ledger.accepted > accepted + 50), ledger.summary()
    return running


def of(ledger: Ledger, source: str) -> list[Entry]:
    """The entries of one sender."""
    return [entry for entry in ledger.entries if entry.webhook == SOURCES.index(source)]


@pytest.mark.parametrize(
    ("kills", "seconds", "at_least"),
    [
        pytest.param(6, (0.2, 0.8), 6 * 20, id="short"),
        pytest.param(30, (0.5, 2.5), 40_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_no_acknowledged_event_is_lost_or_stored_twice_when_the_process_is_killed(
    make_inlet: MakeInlet, volume: Path, kills: int, seconds: tuple[float, float], at_least: int
) -> None:
    ledger = Ledger()
    inlet = make_inlet()
    (last,) = kill_and_restart([inlet], kills, seconds, ledger, 8)
    try:
        acknowledged, read = 0, {}
        for source in SOURCES:
            lanes = read[source] = by_http(last, source)
            acknowledged += assert_kept(of(ledger, source), lanes)
            for line in lines(lanes):
                assert line.key == expected_key(source, line.body)
                assert (line.inlet, line.sig) == (source, 0)
        assert last.terminate() == 0, last.output()
        for source in SOURCES:
            assert by_files(volume, source) == read[source]
        print(f"{acknowledged} acknowledged; {ledger.summary()}")
        assert acknowledged >= at_least
    finally:
        if not last.ended():
            last.kill()


@pytest.mark.parametrize(
    ("kills", "seconds", "at_least"),
    [
        pytest.param(2, (0.3, 0.8), 2 * 20, id="short"),
        pytest.param(20, (0.5, 2.5), 5_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_two_processes_on_a_bucket_lose_nothing_when_they_are_killed_in_turn(
    webhook_moto: MotoServer,
    bucket: str,
    tmp_path: Path,
    kills: int,
    seconds: tuple[float, float],
    at_least: int,
) -> None:
    config = write_config(tmp_path, bucket_store(webhook_moto, bucket))
    ledger = Ledger()
    inlets = [Inlet(config=config).start() for _ in range(2)]
    try:
        inlets = kill_and_restart(inlets, kills, seconds, ledger, 64)
        for source in SOURCES:
            one, two = (by_http(inlet, source) for inlet in inlets)
            assert_kept(of(ledger, source), one, twice=None)
            assert one == two, "both processes show the same log"
        assert len(one) >= kills
        print(ledger.summary())
        assert ledger.accepted >= at_least
    finally:
        for inlet in inlets:
            if not inlet.ended():
                inlet.kill()
