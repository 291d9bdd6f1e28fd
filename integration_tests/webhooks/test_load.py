"""What the inlet does under load, and, in the long forms only, what it costs and how fast it answers."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from backports import zstd
from simulators.webhooks import load
from simulators.webhooks.connection import Target
from webhooks.accounts import events
from webhooks.inlet_process import PATHS, SIGN, Inlet, MakeInlet
from webhooks.kept_log import by_files, lines, parse_all


@pytest.mark.parametrize(
    ("posts", "per_cpu_second", "per_second"),
    [
        pytest.param(4_000, None, None, id="short"),
        pytest.param(60_000, 6_000, 2_500, id="long", marks=pytest.mark.soak),
    ],
)
def test_every_post_of_64_connections_is_kept_and_many_a_second_and_for_each_second_of_cpu_time(
    make_inlet: MakeInlet, volume: Path, posts: int, per_cpu_second: int | None, per_second: int | None
) -> None:
    inlet = make_inlet()
    url = inlet.path("customerio")
    requests = load.prepared(events("customerio"), url, SIGN["customerio"], posts)
    before = inlet.cpu_seconds()
    result = load.run(lambda: load.closed_loop(url, requests, connections=64))
    used = inlet.cpu_seconds() - before
    print(
        f"{result.per_second:,.0f} posts/s, {posts / used:,.0f} per CPU s, p50 {1000 * result.quantile(0.5):.1f} ms, "
        f"p99 {1000 * result.quantile(0.99):.1f} ms, {inlet.resident_bytes() / 1e6:.0f} MB"
    )
    assert result.answers == {200: posts}
    if per_cpu_second and per_second:
        assert posts / used >= per_cpu_second
        assert result.per_second >= per_second
    assert inlet.terminate() == 0
    assert len(lines(by_files(volume, "customerio"))) == posts


@pytest.mark.soak
def test_latency_at_300_posts_a_second(make_inlet: MakeInlet) -> None:
    seconds = 60
    inlet = make_inlet()
    url = inlet.path("customerio")
    requests = load.prepared(events("customerio"), url, SIGN["customerio"], 300 * seconds)
    behind: list[float] = []
    result = load.run(lambda: load.open_loop(url, requests, 300, late=behind.append))
    print(
        f"p50 {1000 * result.quantile(0.5):.1f}, p99 {1000 * result.quantile(0.99):.1f}, slowest "
        f"{1000 * max(result.seconds):.1f} ms; the generator was up to {1000 * max(behind):.1f} ms behind"
    )
    assert result.answers == {200: 300 * seconds}
    assert result.quantile(0.99) < 0.25
    assert max(result.seconds) < 3


@pytest.mark.soak
def test_a_post_can_be_read_within_a_second(make_inlet: MakeInlet) -> None:
    posts = 500
    inlet = make_inlet()
    url = inlet.path("customerio")
    seconds = []
    for request in load.prepared(events("customerio"), url, SIGN["customerio"], posts):
        began = time.monotonic()
        assert load.run(lambda: load.closed_loop(url, [request], connections=1)).answers == {200: 1}  # noqa: B023
        digest = hashlib.sha256(request.partition(b"\r\n\r\n")[2]).hexdigest()
        while digest not in newest(inlet):
            assert time.monotonic() - began < 5
        seconds.append(time.monotonic() - began)
    print(f"post to readable: p50 {1000 * sorted(seconds)[posts // 2]:.1f}, slowest {1000 * max(seconds):.1f} ms")
    assert max(seconds) < 1


def newest(inlet: Inlet) -> set[str]:
    """Hashes of the bodies in the newest segment."""
    lanes = inlet.json("/log/v1/customerio")["lanes"]
    if not lanes:
        return set()
    status, data = inlet.get(f"/log/v1/customerio/{lanes[-1]['lane']}/{lanes[-1]['last']}")
    assert status == 200
    return {line.sha256 for line in parse_all(data)}


def fill(volume: Path, segments: int, lines_each: int, body_bytes: int) -> None:
    """Writes sealed segments of one lane, as an earlier process would have left them."""
    lane = volume / "customerio" / "lanes" / "20260101T000000Z-abc123"
    lane.mkdir(parents=True)
    at = int(time.time() * 1e6) - 3_600_000_000
    for number in range(1, segments + 1):
        noise = os.urandom(body_bytes).hex()
        data = b"".join(
            line(number * lines_each + place, at, noise[place % 500 :][:body_bytes]) for place in range(lines_each)
        )
        (lane / f"{number:012d}.ndjson.zst").write_bytes(zstd.compress(data, level=1))
    (lane / "closed").write_text(str(segments))


def line(number: int, at: int, noise: str) -> bytes:
    """One event."""
    return (
        f'{{"v":1,"key":"customerio:01{number:024d}","at":{at},"inlet":"customerio","sig":0,"headers":{{}},'
        f'"body":{{"event_id":"01{number:024d}","data":"{noise}"}}}}\n'
    ).encode()


@pytest.mark.soak
def test_memory_with_500_000_keys(make_inlet: MakeInlet, volume: Path) -> None:
    fill(volume, 63, 8_000, 700)
    inlet = make_inlet()
    print(f"{inlet.resident_bytes() / 1e6:.0f} MB with the keys of {63 * 8_000:,} events")
    assert inlet.resident_bytes() < 150e6


@pytest.mark.soak
def test_a_start_with_a_gigabyte_of_log_is_ready_within_three_seconds(make_inlet: MakeInlet, volume: Path) -> None:
    fill(volume, 128, 10_000, 700)
    began = time.monotonic()
    inlet = make_inlet()
    while inlet.get("/readyz", token=None)[0] != 200:
        time.sleep(0.01)
    seconds = time.monotonic() - began
    memory = inlet.resident_bytes() / 1e6
    print(f"ready after {seconds:.2f} s and {inlet.cpu_seconds():.2f} s of CPU time, {memory:.0f} MB")
    assert seconds < 3


@pytest.mark.parametrize(
    ("segments", "lines_each"),
    [pytest.param(3, 500, id="short"), pytest.param(80, 8_000, id="long", marks=pytest.mark.soak)],
)
def test_events_of_an_earlier_process_are_known_after_the_start(
    make_inlet: MakeInlet, volume: Path, segments: int, lines_each: int
) -> None:
    fill(volume, segments, lines_each, 700)
    inlet = make_inlet()
    url = inlet.path("customerio")
    last = (segments + 1) * lines_each - 1
    known = [last, last - 999, max(last - 100_000, lines_each)]
    bodies = [b'{"event_id":"01%024d","data":"again"}' % number for number in known]
    target = Target.parse(url)
    requests = [target.request(body, SIGN["customerio"](None, body)) for body in bodies]
    assert load.run(lambda: load.closed_loop(url, requests, connections=1)).answers == {200: len(known)}
    assert inlet.terminate() == 0
    assert not any(b"again" in kept.body for kept in lines(by_files(volume, "customerio")))


def test_the_paths_of_the_inlets_are_in_no_output(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    for source in PATHS:
        url = inlet.path(source)
        requests = load.prepared(events("pendo"), url, lambda *_: b"X-Pendo-Signature: wrong\r\n", 3)
        answers = load.run(lambda: load.closed_loop(url, requests, connections=1)).answers  # noqa: B023
        assert answers == {401: 3}
    pages = b"".join(inlet.get(path)[1] for path in ("/status", "/metrics", "/healthz", "/readyz"))
    pages += inlet.get("/status", accept="text/html")[1]
    assert inlet.terminate() == 0
    for secret in PATHS.values():
        assert secret not in inlet.output()
        assert secret.encode() not in pages
