"""A verified post is answered 200 whatever is in it, and stored byte for byte; a hostile one harms nobody."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from simulators.webhooks import hostile, load
from simulators.webhooks.connection import Target
from simulators.webhooks.malformed import BODIES
from webhooks.accounts import events, request_of
from webhooks.inlet_process import PATHS, SECRETS, SIGN, Inlet, MakeInlet, eventually
from webhooks.kept_log import by_files, by_http, lines

SOURCES = tuple(SECRETS)
MIB = 1024 * 1024


def post(inlet: Inlet, source: str, body: bytes, *, headers: bytes | None = None) -> int | str:
    """Posts a body, signed if no headers are given. Returns the answer."""
    url = inlet.path(source)
    request = request_of(url, source, body) if headers is None else Target.parse(url).request(body, headers)
    result = load.run(lambda: load.closed_loop(url, [request], connections=1))
    (answer,) = result.answers
    return answer


@pytest.mark.parametrize("source", SOURCES)
def test_every_malformed_body_that_is_verified_is_answered_200_and_stored(
    make_inlet: MakeInlet, volume: Path, source: str
) -> None:
    inlet = make_inlet()
    answers = {name: post(inlet, source, body) for name, body in BODIES.items()}
    assert {name: answer for name, answer in answers.items() if answer != 200} == {}
    by_reader = lines(by_http(inlet, source))
    assert inlet.terminate() == 0, inlet.output()
    kept = lines(by_files(volume, source))
    assert by_reader == kept
    missing = [name for name, body in BODIES.items() if body not in {line.body for line in kept}]
    assert missing == []
    assert len(kept) == len(BODIES)


@pytest.mark.parametrize("source", SOURCES)
def test_the_malformed_bodies_a_second_time_are_duplicates(make_inlet: MakeInlet, source: str) -> None:
    inlet = make_inlet()
    url = inlet.path(source)
    twice = [request for body in BODIES.values() for request in [request_of(url, source, body)] * 2]
    assert load.run(lambda: load.closed_loop(url, twice, connections=4)).answers == {200: 2 * len(BODIES)}
    assert len(lines(by_http(inlet, source))) == len(BODIES)


def test_odd_headers_are_taken(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    sent = []
    for number, extra in enumerate(
        (
            b"X-CIO-Delivery-ID: x\r\n",
            b"Expect: 100-continue\r\n",
            b"Content-Type: text/plain\r\n",
            b"X-Bytes: \xfc\r\n",
        )
    ):
        body = b'{"event_id":"01HEADERS%d"}' % number
        assert post(inlet, "customerio", body, headers=SIGN["customerio"](None, body) + extra) == 200
        sent.append(body)
    assert [line.body for line in lines(by_http(inlet, "customerio"))] == sent


def test_chunked_posts_are_taken(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    body = b'{"event_id":"01CHUNKS"}'
    head = f"POST /in/{PATHS['customerio']} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n".encode()
    pieces = [
        head + SIGN["customerio"](None, body) + b"Connection: close\r\n\r\n",
        *(b"1\r\n%c\r\n" % byte for byte in body),
        b"0\r\n\r\n",
    ]
    assert hostile.talk(inlet.url, pieces).status == 200
    assert [line.body for line in lines(by_http(inlet, "customerio"))] == [body]


def test_a_body_over_the_limit_is_answered_200_and_its_head_is_kept(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    body = b'{"event_id":"01LARGE","content":"' + b"a" * (10 * MIB) + b'"}'
    assert post(inlet, "customerio", body) == 200
    (line,) = lines(by_http(inlet, "customerio"))
    assert body.startswith(line.body)
    assert 1024 <= len(line.body) <= 8 * MIB


@pytest.mark.parametrize("signature", [b"", b"X-CIO-Timestamp: 1\r\nX-CIO-Signature: 00\r\n"])
def test_a_post_without_its_signature_is_refused_and_not_stored(make_inlet: MakeInlet, signature: bytes) -> None:
    inlet = make_inlet()
    assert post(inlet, "customerio", b'{"event_id":"01FORGED"}', headers=signature) == 401
    other_key = SIGN["pendo"](None, b"{}")
    assert post(inlet, "customerio", b"{}", headers=other_key) == 401
    assert lines(by_http(inlet, "customerio")) == []


def test_hostile_clients_are_cut_off_and_others_are_served(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    url = inlet.path("customerio")
    before = inlet.resident_bytes()
    held = hostile.idle_connections(url, 200)
    try:
        for length in (b"abc", b"-1", b"9" * 40):
            assert hostile.wrong_length(url, length).status in {None, 400, 401, 413}
        assert hostile.two_lengths(url).status in {None, 400, 401}
        assert hostile.broken_chunks(url).status in {None, 400, 401}
        assert hostile.garbage(url).status in {None, 400}
        assert hostile.many_headers(url).status in {None, 400, 401, 431}
        assert hostile.long_header(url).status in {None, 400, 401, 431}
        assert hostile.shorter_length(url).status in {400, 401}
        assert hostile.endless_chunks(url).status in {None, 401, 413}
        assert hostile.large_body(url).status in {None, 401, 413}
        hostile.half_body_and_end(url)
        hostile.reset_in_the_middle(url)
        assert hostile.get(url).status == 200
        assert hostile.get(url, method=b"HEAD").status == 200
        assert hostile.post(f"{inlet.url}/in/unknown-path-0123456789abcdef").status == 404
        body = next(events("customerio")).body
        assert post(inlet, "customerio", body) == 200
    finally:
        for connection in held:
            connection.close()
    assert [line.body for line in lines(by_http(inlet, "customerio"))] == [body]
    assert inlet.resident_bytes() - before < 150e6
    assert "Traceback" not in inlet.output()


def test_slow_clients_are_cut_off_within_seconds(make_inlet: MakeInlet) -> None:
    url = make_inlet().path("customerio")
    clients = {"half a body": hostile.half_body, "slow body": hostile.slow_body, "slow head": hostile.slow_head}
    with ThreadPoolExecutor(len(clients)) as pool:
        running = {name: pool.submit(client, url, timeout=120) for name, client in clients.items()}
        seen = {name: future.result() for name, future in running.items()}
    assert [name for name, one in seen.items() if one.end == "open"] == []
    assert max(one.seconds for one in seen.values()) < 15


def test_a_compressed_body_is_verified_as_it_was_sent(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    body = gzip.compress(b'{"event_id":"01GZIP"}')
    headers = b"Content-Encoding: gzip\r\n" + SIGN["customerio"](None, body)
    assert post(inlet, "customerio", body, headers=headers) == 200
    (line,) = lines(by_http(inlet, "customerio"))
    assert line.body in {body, b'{"event_id":"01GZIP"}'}


def test_a_compressed_bomb_is_not_inflated_in_memory(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    before = inlet.resident_bytes()
    url = inlet.path("customerio")
    assert hostile.gzip_bomb(url, headers=lambda body: SIGN["customerio"](None, body)).status in {200, 503}
    assert hostile.gzip_bomb(url).status in {None, 401}
    assert inlet.resident_bytes() - before < 150e6
    assert eventually(lambda: inlet.get("/healthz", token=None)[0] == 200)
