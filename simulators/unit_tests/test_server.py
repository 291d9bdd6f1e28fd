"""The base of the simulated vendors: request log, faults and control endpoints."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from simulators.faults import Fault
from simulators.server import Request, Response, Simulator


class Echo(Simulator):
    """Answers with the request."""

    def answer(self, request: Request) -> Response:
        if request.path == "/bug":
            raise RuntimeError
        return Response.json({"segments": request.segments, "query": request.query, "body": request.body.decode()})

    def truth(self, stream: str, **options: str) -> list[dict[str, Any]]:
        return [{"stream": {"known": stream}[stream], **options}]

    def mutate(self, name: str, **arguments: Any) -> Any:
        return {"double": lambda value: value * 2}[name](**arguments)


@pytest.fixture
def sim() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo


def send(
    sim: Echo, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        with connection.getresponse() as answer:
            return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_segments_of_a_path_are_decoded_one_by_one(sim: Echo) -> None:
    status, body, _ = send(sim, "/visitor/a%2Fb%40c?starttime=1")
    assert status == 200
    assert json.loads(body)["segments"] == ["visitor", "a/b@c"]
    assert json.loads(body)["query"] == {"starttime": ["1"]}


def test_requests_are_logged_with_body_and_status_but_without_secrets(sim: Echo) -> None:
    send(sim, "/x?y=1", "POST", b'{"z":2}', {"Authorization": "Bearer hush"})
    (line,) = sim.requests
    assert (line.method, line.path, line.query, line.json(), line.status) == ("POST", "/x", {"y": ["1"]}, {"z": 2}, 200)
    assert line.headers["authorization"] == "***"


def test_many_requests_travel_on_one_connection(sim: Echo) -> None:
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=60)
    for _ in range(3):
        connection.request("GET", "/again")
        assert connection.getresponse().read()
    connection.close()
    assert len(sim.requests) == 3


def test_a_status_fault_skips_then_hits_then_stops(sim: Echo) -> None:
    sim.faults.add(
        Fault("status", path="/a", status=429, headers={"Retry-After": "7"}, answer="slow down", skip=1, times=2)
    )
    assert [send(sim, "/a")[0] for _ in range(4)] == [200, 429, 429, 200]
    assert [line.fault for line in sim.requests] == [None, "status", "status", None]


def test_a_status_fault_carries_body_and_headers(sim: Echo) -> None:
    sim.faults.add(Fault("status", status=429, headers={"Retry-After": "7"}, answer="slow down"))
    status, body, headers = send(sim, "/")
    assert (status, body, headers["Retry-After"]) == (429, b"slow down", "7")


def test_a_fault_hits_only_the_method_path_and_body_that_it_names(sim: Echo) -> None:
    sim.faults.add(Fault("status", method="POST", path="q=1", body="needle", times=-1))
    assert send(sim, "/?q=1", "POST", b"a needle")[0] == 500
    assert send(sim, "/?q=1", "PUT", b"a needle")[0] == 200
    assert send(sim, "/?q=2", "POST", b"a needle")[0] == 200
    assert send(sim, "/?q=1", "POST", b"hay")[0] == 200


def test_an_html_page_has_status_200_by_default(sim: Echo) -> None:
    sim.faults.add(Fault("html"), Fault("html", status=503))
    status, body, headers = send(sim, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!DOCTYPE html>")
    assert send(sim, "/")[0] == 503


@pytest.mark.parametrize("kind", ["cut", "cut_chunked"])
def test_a_cut_body_ends_before_its_announced_end(sim: Echo, kind: str) -> None:
    whole = send(sim, "/")[1]
    sim.faults.add(Fault(kind, at=10))
    with pytest.raises(http.client.IncompleteRead) as raised:
        send(sim, "/")
    assert raised.value.partial in (whole[:10], b"")


def test_a_silent_cut_shows_only_in_the_json(sim: Echo) -> None:
    whole = send(sim, "/")[1]
    sim.faults.add(Fault("cut_silent"))
    assert send(sim, "/")[1] == whole[: len(whole) // 2]


@pytest.mark.parametrize("at", [None, 5])
def test_a_reset_ends_the_connection_before_or_in_the_body(sim: Echo, at: int | None) -> None:
    sim.faults.add(Fault("reset", at=at))
    with pytest.raises(ConnectionResetError):
        send(sim, "/")
    assert send(sim, "/")[0] == 200


def test_delay_and_drip_take_their_time_and_deliver_everything(sim: Echo) -> None:
    whole = send(sim, "/")[1]
    sim.faults.add(Fault("delay", seconds=0.05), Fault("drip", seconds=0.05, at=len(whole) - 1))
    for _ in range(2):
        started = time.monotonic()
        assert send(sim, "/")[1] == whole
        assert time.monotonic() - started >= 0.05


def test_an_empty_answer_has_no_body(sim: Echo) -> None:
    sim.faults.add(Fault("empty"))
    assert send(sim, "/")[:2] == (200, b"")


def test_answers_are_gzipped_only_when_switched_on_and_accepted() -> None:
    with Echo(compress=True) as sim:
        assert send(sim, "/", headers={"Accept-Encoding": "gzip"})[1][:2] == b"\x1f\x8b"
        assert send(sim, "/")[1][:1] == b"{"


def test_faults_log_truth_and_mutations_are_reached_over_http(sim: Echo) -> None:
    assert send(sim, "/_sim/faults", "POST", b'{"kind":"status","status":418}')[0] == 200
    assert json.loads(send(sim, "/_sim/faults")[1])[0]["status"] == 418
    assert send(sim, "/tea")[0] == 418
    assert send(sim, "/_sim/faults", "DELETE")[0] == 200
    assert [line["path"] for line in json.loads(send(sim, "/_sim/requests")[1])] == ["/tea"]
    assert send(sim, "/_sim/requests", "DELETE")[0] == 200
    assert len(sim.requests) == 0
    assert json.loads(send(sim, "/_sim/truth/known?period=hour")[1]) == [{"stream": "known", "period": "hour"}]
    assert json.loads(send(sim, "/_sim/mutate", "POST", b'{"name":"double","value":4}')[1]) == {"result": 8}


def test_control_requests_are_not_logged_and_no_fault_hits_them(sim: Echo) -> None:
    sim.faults.add(Fault("reset", times=-1))
    assert send(sim, "/_sim/requests")[0] == 200
    assert len(sim.requests) == 0


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        ("/_sim/faults", "POST", b'{"kind":"nonsense"}', 400),
        ("/_sim/faults", "POST", b'{"kind":"cut","tmes":2}', 400),
        ("/_sim/mutate", "POST", b'{"name":"nonsense"}', 400),
        ("/_sim/truth/nonsense", "GET", None, 400),
        ("/_sim/nonsense", "GET", None, 404),
    ],
)
def test_a_wrong_control_request_is_refused(sim: Echo, path: str, method: str, body: bytes | None, status: int) -> None:
    assert send(sim, path, method, body)[0] == status


def test_a_bug_of_the_simulator_is_a_500_that_says_so(sim: Echo) -> None:
    status, body, _ = send(sim, "/bug")
    assert (status, body.startswith(b"bug in the simulator")) == (500, True)
    assert len(sim.errors) == 1


def test_stopping_ends_connections_that_wait() -> None:
    with Echo() as sim:
        host, _, port = sim.url.removeprefix("http://").partition(":")
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1)
    with connection, connection.makefile("rb") as rest:
        assert rest.read().endswith(b"}")  # to the end of the connection, not to a timeout
