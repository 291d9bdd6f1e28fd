"""The inlet behind the proxies of deploy/: what a sender sees of a restart, and what is public."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from harness.suite import ROOT
from simulators.webhooks.ledger import Ledger
from webhooks.behind_proxy import (
    HELD_SECONDS,
    PATH,
    SENDER_SECONDS,
    Senders,
    caddy,
    event,
    held_back_by_caddy,
    nginx,
    signed,
)
from webhooks.inlet_process import Inlet, MakeInlet, Reader, answer, free_port
from webhooks.kept_log import assert_kept, by_http, lines

Proxy = Callable[[Path, int], AbstractContextManager[int]]

BOTH = pytest.mark.parametrize(
    "proxy", [pytest.param(caddy, marks=pytest.mark.caddy), pytest.param(nginx, marks=pytest.mark.nginx)]
)


@pytest.mark.caddy
@pytest.mark.parametrize("restarts", [3, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
def test_behind_caddy_no_sender_notices_that_the_inlet_ends_and_comes_again(
    make_inlet: MakeInlet, tmp_path: Path, ending: signal.Signals, restarts: int
) -> None:
    inlet = make_inlet()
    with caddy(tmp_path, inlet.port) as port:
        held_back_by_caddy(_through_restarts(inlet, port, ending, restarts))


@pytest.mark.nginx
def test_behind_nginx_a_sender_sees_at_most_503_while_the_only_inlet_restarts(
    make_inlet: MakeInlet, tmp_path: Path
) -> None:
    inlet = make_inlet()
    with nginx(tmp_path, inlet.port) as port:
        ledger = _through_restarts(inlet, port, signal.SIGTERM, restarts=3)
        assert {200, 503} <= set(ledger.answers) <= {200, 503, "timeout"}, ledger.summary()


@BOTH
def test_while_there_is_no_inlet_a_sender_gets_503(proxy: Proxy, tmp_path: Path) -> None:
    body = event("one")
    with proxy(tmp_path, free_port()) as port:
        assert answer(port, "POST", f"/in/{PATH}", body, signed(body))[0] == 503


def test_the_proxies_give_up_before_a_sender_does() -> None:
    tries = re.search(r"lb_try_duration (\d+)ms", (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8"))
    limit = re.search(
        r"proxy_next_upstream_timeout (\d+)s;", (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    )
    assert tries
    assert limit
    assert HELD_SECONDS < int(tries[1]) / 1000 < SENDER_SECONDS
    assert int(limit[1]) < SENDER_SECONDS


@BOTH
def test_posts_log_and_status_are_passed_on_and_the_rest_is_not_public(
    proxy: Proxy, make_inlet: MakeInlet, tmp_path: Path
) -> None:
    body = event("one")
    wrong = {**signed(body), "X-CIO-Signature": "0" * 64}
    inlet = make_inlet()
    with proxy(tmp_path, inlet.port) as port:
        assert answer(port, "POST", f"/in/{PATH}", body, signed(body))[0] == 200
        assert answer(port, "POST", f"/in/{PATH}", body, wrong)[0] == 401
        assert answer(port, "POST", "/in/unknown", body, signed(body))[0] == 404
        for path in ("/log/v1/customerio", "/status"):
            assert answer(port, "GET", path)[0] == 401
            assert Reader(port).get(path)[0] == 200
        assert answer(port, "GET", "/healthz")[0] == 200
        for path in ("/metrics", "/readyz", "/", "/in/../metrics", "/in/%2e%2e/metrics"):
            assert answer(port, "GET", path)[0] in {404, 308}, path
        assert answer(inlet.port, "GET", "/metrics")[0] == 200


@BOTH
def test_a_post_of_seven_megabytes_comes_through_byte_for_byte(
    proxy: Proxy, make_inlet: MakeInlet, tmp_path: Path
) -> None:
    body = event("large", 7_000_000)
    inlet = make_inlet()
    with proxy(tmp_path, inlet.port) as port:
        assert answer(port, "POST", f"/in/{PATH}", body, signed(body))[0] == 200
    assert [line.body for line in lines(by_http(inlet, "customerio"))] == [body]


def _through_restarts(inlet: Inlet, port: int, ending: signal.Signals, restarts: int) -> Ledger:
    """Posts to a proxy while the inlet ends and comes again. What was acknowledged is in the log, and nothing twice."""
    senders = Senders(f"http://127.0.0.1:{port}/in/{PATH}")
    with senders.posting():
        for _ in range(restarts):
            time.sleep(0.7)
            inlet.process.send_signal(ending)
            inlet.process.wait(120)
            inlet.start()
        time.sleep(0.7)
    assert assert_kept(senders.ledger.entries, by_http(inlet, "customerio")) > 100
    return senders.ledger
