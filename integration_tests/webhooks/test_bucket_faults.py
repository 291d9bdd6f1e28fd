"""Buckets that are busy, answer too late, or are written by another: nothing that was acknowledged is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from s3_servers import MotoServer
from simulators.webhooks import load
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.sender import Habits, Sending
from webhooks.accounts import both, events
from webhooks.buckets import bucket_store
from webhooks.faulty_proxy import STOLEN, Proxy
from webhooks.inlet_process import SIGN, Inlet, MakeInlet, eventually, write_config
from webhooks.kept_log import Line, assert_kept, by_http, lines, parse_all


@pytest.fixture
def proxy(webhook_moto: MotoServer) -> Iterator[Proxy]:
    """In front of the bucket."""
    with Proxy(webhook_moto.endpoint) as between:
        yield between


@pytest.fixture
def inlet(make_inlet: MakeInlet, webhook_moto: MotoServer, bucket: str, proxy: Proxy, tmp_path: Path) -> Inlet:
    """Writes through the proxy."""
    return make_inlet(config=write_config(tmp_path, bucket_store(webhook_moto, bucket, proxy.url)))


def sent(inlet: Inlet, count: int, *, seed: int = 1) -> Ledger:
    """Posts so many events until all are accepted."""
    ledger = Ledger()
    urls = {"customerio": [inlet.path("customerio")]}
    with Sending(both(urls, Habits(parallel=4), seed=seed, count=count), ledger) as sending:
        assert sending.wait(120), ledger.summary()
    assert ledger.accepted == count
    return ledger


def test_every_event_is_in_the_bucket_when_it_is_answered(inlet: Inlet, proxy: Proxy) -> None:
    ledger = sent(inlet, 200)
    assert set(ledger.answers) == {200}
    assert assert_kept(ledger.entries, by_http(inlet, "customerio")) == 200
    assert set(proxy.puts.values()) == {1}, "no name is written twice"


def test_a_busy_bucket_costs_time_and_no_event_and_stores_none_twice(inlet: Inlet, proxy: Proxy) -> None:
    proxy.spoil("503 before", times=6)
    ledger = sent(inlet, 100)
    assert set(ledger.answers) <= {200, 503, "timeout"}
    assert assert_kept(ledger.entries, by_http(inlet, "customerio")) == 100
    assert proxy.seen.count("503 before") == 6


def test_a_put_that_succeeds_after_its_time_out_is_found_and_not_written_again(inlet: Inlet, proxy: Proxy) -> None:
    first = sent(inlet, 20)
    proxy.spoil("silence after")
    second = sent(inlet, 60, seed=2)
    assert set(second.answers) <= {200, 503, "timeout"}, second.summary()
    kept = by_http(inlet, "customerio")
    assert assert_kept([*first.entries, *second.entries], kept) == 80
    assert len(kept) == 1, "the lane goes on"
    assert proxy.statuses[412] >= 1, "the second PUT of the same name was refused, and compared"


def test_a_name_that_another_has_written_starts_a_new_lane(inlet: Inlet, proxy: Proxy) -> None:
    sent(inlet, 20)
    (old,) = inlet.json("/log/v1/customerio")["lanes"]
    proxy.spoil(STOLEN)
    ledger = sent(inlet, 40, seed=2)
    (new,) = [lane for lane in inlet.json("/log/v1/customerio")["lanes"] if lane["lane"] != old["lane"]]
    bodies = {line.sha256 for line in lines({new["lane"]: by_one_lane(inlet, new)})}
    assert {digest for entry in ledger.entries[5:] for digest in entry.acknowledged} <= bodies


def by_one_lane(inlet: Inlet, lane: dict[str, Any]) -> dict[int, list[Line]]:
    """Segments of one lane; the other one holds what another has written, which is no line."""
    return {
        number: parse_all(inlet.get(f"/log/v1/customerio/{lane['lane']}/{number}")[1])
        for number in range(lane["first"], lane["last"] + 1)
    }


@pytest.mark.parametrize(
    ("rate", "seconds", "p99"),
    [pytest.param(50, 3, None, id="short"), pytest.param(300, 30, 1.5, id="long", marks=pytest.mark.soak)],
)
def test_posts_are_gathered_for_a_bucket_whose_puts_take_60_ms(
    inlet: Inlet, proxy: Proxy, rate: int, seconds: int, p99: float | None
) -> None:
    proxy.delay = 0.06
    url = inlet.path("customerio")
    requests = load.prepared(events("customerio"), url, SIGN["customerio"], rate * seconds)
    result = load.run(lambda: load.open_loop(url, requests, rate))
    puts = sum(proxy.puts.values())
    print(f"p50 {1000 * result.quantile(0.5):.1f}, p99 {1000 * result.quantile(0.99):.1f} ms, {puts} PUTs")
    assert result.answers == {200: rate * seconds}
    if p99:
        assert result.quantile(0.99) < p99
    assert len(lines(by_http(inlet, "customerio"))) == rate * seconds
    assert puts <= 20 * seconds, "posts are gathered"


def test_a_bucket_that_cannot_be_reached_is_503_and_not_ready(
    make_inlet: MakeInlet, webhook_moto: MotoServer, bucket: str, tmp_path: Path
) -> None:
    with Proxy(webhook_moto.endpoint) as proxy:
        inlet = make_inlet(config=write_config(tmp_path, bucket_store(webhook_moto, bucket, proxy.url)))
        sent(inlet, 10)
    ledger = Ledger()
    with Sending(both({"customerio": [inlet.path("customerio")]}, count=5, seed=2), ledger) as sending:
        sending.wait(6)
    assert ledger.accepted == 0
    assert set(ledger.answers) <= {503, "timeout"}
    assert ledger.answers[503] > 0, ledger.summary()
    assert eventually(lambda: inlet.get("/readyz", token=None)[0] == 503)
    assert not inlet.ended()
