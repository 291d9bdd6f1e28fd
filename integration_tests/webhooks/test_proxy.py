"""The inlet behind the proxies of deploy/: what a sender sees of a restart, and what is public."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from webhooks.behind_proxy import (
    PATH,
    SENDER_SECONDS,
    TOKEN,
    Inlet,
    Senders,
    answer,
    caddy,
    event,
    free_port,
    held_back_by_caddy,
    nginx,
    running_inlet,
    signed,
    stored,
)

Proxy = Callable[[Path, int], AbstractContextManager[int]]

BOTH = pytest.mark.parametrize(
    "proxy", [pytest.param(caddy, marks=pytest.mark.caddy), pytest.param(nginx, marks=pytest.mark.nginx)]
)


@pytest.mark.caddy
@pytest.mark.parametrize("restarts", [3, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
def test_behind_caddy_no_sender_notices_that_the_inlet_ends_and_comes_again(
    tmp_path: Path, ending: signal.Signals, restarts: int
) -> None:
    with running_inlet(tmp_path) as inlet, caddy(tmp_path, inlet.port) as port:
        senders = _through_restarts(Senders(port), inlet, ending, restarts)

        held_back_by_caddy(senders)
        _nothing_is_lost(senders, inlet)


@pytest.mark.nginx
def test_behind_nginx_a_sender_sees_at_most_503_while_the_only_inlet_restarts(tmp_path: Path) -> None:
    with running_inlet(tmp_path) as inlet, nginx(tmp_path, inlet.port) as port:
        senders = _through_restarts(Senders(port), inlet, signal.SIGTERM, restarts=3)

        assert set(senders.outcomes) == {"200", "503"}, senders.outcomes
        assert senders.slowest < SENDER_SECONDS
        _nothing_is_lost(senders, inlet)


@BOTH
def test_while_there_is_no_inlet_a_sender_gets_503_before_it_gives_up(proxy: Proxy, tmp_path: Path) -> None:
    body = event("one")
    with proxy(tmp_path, free_port()) as port:
        began = time.monotonic()
        status, _ = answer(port, "POST", f"/in/{PATH}", body, signed(body))

    assert status == 503
    assert time.monotonic() - began < SENDER_SECONDS


@BOTH
def test_posts_log_and_status_are_passed_on_and_the_rest_is_not_public(proxy: Proxy, tmp_path: Path) -> None:
    body = event("one")
    wrong = {**signed(body), "X-CIO-Signature": "0" * 64}
    token = {"Authorization": f"Bearer {TOKEN}"}
    with running_inlet(tmp_path) as inlet, proxy(tmp_path, inlet.port) as port:
        assert answer(port, "POST", f"/in/{PATH}", body, signed(body))[0] == 200
        assert answer(port, "POST", f"/in/{PATH}", body, wrong)[0] == 401
        assert answer(port, "POST", "/in/unknown", body, signed(body))[0] == 404
        for path in ("/log/v1/prod", "/status"):
            assert answer(port, "GET", path)[0] == 401
            assert answer(port, "GET", path, headers=token)[0] == 200
        assert answer(port, "GET", "/healthz")[0] == 200
        for path in ("/metrics", "/readyz", "/", "/in/../metrics", "/in/%2e%2e/metrics"):
            assert answer(port, "GET", path)[0] in {404, 308}, path
        assert answer(inlet.port, "GET", "/metrics")[0] == 200


@BOTH
def test_a_post_of_seven_megabytes_comes_through_byte_for_byte(proxy: Proxy, tmp_path: Path) -> None:
    body = event("large", 7_000_000)
    with running_inlet(tmp_path) as inlet, proxy(tmp_path, inlet.port) as port:
        assert answer(port, "POST", f"/in/{PATH}", body, signed(body))[0] == 200
        assert stored(inlet.port) == {"large": 1}


def _through_restarts(senders: Senders, inlet: Inlet, ending: signal.Signals, restarts: int) -> Senders:
    """Posts while the inlet ends and comes again."""
    with senders.posting():
        for _ in range(restarts):
            time.sleep(0.7)
            inlet.end(ending)
            inlet.start()
        time.sleep(0.7)
    return senders


def _nothing_is_lost(senders: Senders, inlet: Inlet) -> None:
    """Everything acknowledged is in the log, and nothing twice."""
    log = stored(inlet.port)
    assert len(senders.acknowledged) > 100
    assert senders.acknowledged <= set(log)
    assert set(log.values()) == {1}
