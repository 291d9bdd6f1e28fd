"""SIGTERM under load on a socket that is handed on: no sender is refused, nothing is lost."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.sender import Habits, Sending
from webhooks.accounts import both
from webhooks.inlet_process import PATHS, MakeInlet, eventually
from webhooks.kept_log import assert_kept, by_files


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept connections", "a connection a post"])
@pytest.mark.parametrize("restarts", [pytest.param(2, id="short"), pytest.param(20, id="long", marks=pytest.mark.soak)])
def test_restarts_in_a_row_on_a_handed_on_socket_refuse_no_post(
    make_inlet: MakeInlet, volume: Path, restarts: int, keep_alive: bool
) -> None:
    ledger = Ledger()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        inlet = make_inlet(listener=listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/in/{PATHS['customerio']}"
        habits = Habits(rate=300, parallel=16, keep_alive=keep_alive)
        with Sending(both({"customerio": [url]}, habits), ledger):
            for _ in range(restarts):
                accepted = ledger.accepted
                assert eventually(lambda: ledger.accepted > accepted + 60), ledger.summary()  # noqa: B023
                # one process at a time owns a volume; the socket holds the connections meanwhile
                assert inlet.terminate() == 0, inlet.output()
                inlet = make_inlet(listener=listener)
            accepted = ledger.accepted
            assert eventually(lambda: ledger.accepted > accepted + 60), ledger.summary()
        assert inlet.terminate() == 0, inlet.output()
    print(ledger.summary())
    assert ledger.answers["refused"] == 0
    # a start on a busy machine can take longer than the 4 seconds that a sender waits
    assert set(ledger.answers) <= {200, 503, "eof", "reset", "timeout"}, ledger.summary()
    assert ledger.answers["eof"] + ledger.answers["reset"] <= 2 * restarts, ledger.summary()
    assert_kept(ledger.entries, by_files(volume, "customerio"))


def test_an_orderly_end_marks_the_lane_as_closed(make_inlet: MakeInlet, volume: Path) -> None:
    inlet = make_inlet()
    ledger = Ledger()
    with Sending(both({"customerio": [inlet.path("customerio")]}, count=30), ledger) as sending:
        assert sending.wait(120)
    assert inlet.terminate() == 0, inlet.output()
    after = make_inlet()
    (lane,) = after.json("/log/v1/customerio")["lanes"]
    assert lane["closed"] is True
    assert ledger.accepted == 30


def test_a_draining_process_says_so_and_answers_what_is_open(make_inlet: MakeInlet) -> None:
    inlet = make_inlet()
    assert inlet.get("/readyz", token=None)[0] == 200
    with socket.create_connection(("127.0.0.1", int(inlet.url.rpartition(":")[2])), timeout=10) as open_post:
        open_post.sendall(f"POST /in/{PATHS['customerio']} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{".encode())
        inlet.process.terminate()
        open_post.sendall(b"}")
        answer = open_post.recv(65_536)
    assert answer.split(b" ")[1] in {b"401", b"503"}, "it has no signature, and was answered all the same"
    assert inlet.process.wait(timeout=120) == 0, inlet.output()
