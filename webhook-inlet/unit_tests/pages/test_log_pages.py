"""`/log` over HTTP: who may read, the lanes, the lines, and what is wrong with a request."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from memory_service import LANE, TOKEN, Client, MemoryStore
from webhook_inlet.pages import log_pages
from webhook_inlet.service import Service
from webhook_inlet.store import Lines, StoreError


@pytest.mark.parametrize("path", ["/log/v1/prod", f"/log/v1/prod/{LANE}/1", "/log/v1/nobody", "/log/v1/prod/x/y"])
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_without_the_token_the_log_says_nothing(client: Client, store: MemoryStore, path: str, token: str) -> None:
    store.add("prod", LANE, 2)
    answer = client.ask(path, token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "read_token" in answer.json()["error"]


def test_the_token_in_the_query_opens_nothing(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 2)
    assert client.ask(f"/log/v1/prod?token={TOKEN}", token=None).status_code == 401


def test_an_empty_token_in_the_configuration_opens_nothing(client: Client, service: Service) -> None:
    service.config = service.config.model_copy(update={"read_token": type(service.config.read_token)("")})
    assert client.ask("/log/v1/prod", token="").status_code == 401


def test_a_reload_changes_the_token(client: Client, service: Service) -> None:
    service.config = service.config.model_copy(update={"read_token": type(service.config.read_token)("new")})
    assert client.ask("/log/v1/prod").status_code == 401
    assert client.ask("/log/v1/prod", token="new").status_code == 200


def test_the_lanes_are_listed_with_their_ends(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 2, 5)
    store.closed.add(LANE)
    answer = client.ask("/log/v1/prod")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"lanes": [{"lane": LANE, "first": 1, "last": 2, "lines": 5, "closed": True}]}


def test_an_inlet_without_a_line_has_no_lanes(client: Client) -> None:
    assert client.ask("/log/v1/guides").json() == {"lanes": []}


def test_lines_come_as_they_are_in_the_store(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3, 2)
    answer = client.ask(f"/log/v1/prod/{LANE}/1?line=1")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Webhook-Log-Sealed"] == "true"
    assert answer.content == store.read("prod", LANE, 1, 1).data
    assert answer.content.count(b"\n") == 2


def test_an_open_segment_says_that_it_may_grow(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3, 2)
    answer = client.ask(f"/log/v1/prod/{LANE}/2")
    assert answer.headers["Webhook-Log-Sealed"] == "false"
    assert answer.content.count(b"\n") == 2


def test_behind_the_last_line_there_is_nothing(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3)
    answer = client.ask(f"/log/v1/prod/{LANE}/1?line=3")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path", [f"/log/v1/prod/{LANE}/2", f"/log/v1/prod/{LANE}/0", "/log/v1/prod/no-lane/1", "/log/v1/prod/%2e%2e/1"]
)
def test_what_the_log_does_not_have_is_said_to_be_missing(client: Client, store: MemoryStore, path: str) -> None:
    store.add("prod", LANE, 3)
    answer = client.ask(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "no_segment"
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("path", ["/log/v1/nobody", f"/log/v1/nobody/{LANE}/1"])
def test_an_unknown_inlet_is_said_to_be_unknown(client: Client, path: str) -> None:
    answer = client.ask(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_inlet"


@pytest.mark.parametrize("numbers", ["one", "1.0", "-1", "1?line=two", "1?line=-1", "1?line=", "1?line=" + "9" * 30])
def test_a_number_that_is_none_is_refused(client: Client, store: MemoryStore, numbers: str) -> None:
    store.add("prod", LANE, 3)
    answer = client.ask(f"/log/v1/prod/{LANE}/{numbers}")
    assert answer.status_code == 400
    assert "number" in answer.json()["error"]


def test_head_says_how_much_would_come(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3)
    answer = client.ask(f"/log/v1/prod/{LANE}/1", method="HEAD")
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["Content-Length"]) == len(store.read("prod", LANE, 1, 0).data)
    assert client.ask("/log/v1/prod", method="HEAD").status_code == 200


def test_the_log_cannot_be_posted_to(client: Client) -> None:
    assert client.ask("/log/v1/prod", method="POST").status_code == 405


def test_a_store_that_fails_is_a_503_with_its_sentence(client: Client, store: MemoryStore) -> None:
    store.failing = StoreError("The bucket does not answer.")
    answer = client.ask("/log/v1/prod")
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("The bucket does not answer.")


def test_an_error_of_ours_is_a_503_that_gives_nothing_away(
    client: Client, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.failing = RuntimeError("secret-in-a-message")
    answer = client.ask(f"/log/v1/prod/{LANE}/1")
    assert answer.status_code == 503
    assert "RuntimeError" in answer.json()["error"]
    assert "secret-in-a-message" not in answer.text + caplog.text
    assert "a page failed: RuntimeError" in caplog.text


@pytest.mark.slow
def test_few_segments_are_read_at_a_time_and_the_other_pages_answer_meanwhile(
    client: Client, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    def slow_read(inlet: str, lane: str, segment: int, line: int) -> Lines:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return Lines(b"{}\n", True)

    monkeypatch.setattr(store, "read", slow_read)
    codes: list[int] = []
    asking = [
        threading.Thread(target=lambda: codes.append(client.ask(f"/log/v1/prod/{LANE}/1").status_code))
        for _ in range(10)
    ]
    for each in asking:
        each.start()
    try:
        deadline = time.monotonic() + 120
        while running < log_pages.READS_AT_A_TIME and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.ask("/healthz").text == "ok\n"
        assert client.ask("/readyz").status_code == 200
    finally:
        go.set()
        for each in asking:
            each.join()
    assert codes == [200] * 10
    assert most == log_pages.READS_AT_A_TIME


@pytest.mark.slow
def test_a_segment_that_is_not_taken_is_given_up(
    client: Client, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise four such readers would hold the log closed for everybody."""
    monkeypatch.setattr(log_pages, "SEND_SECONDS", 0.5)
    monkeypatch.setattr(store, "read", lambda *_: Lines(b"x" * 50_000_000 + b"\n", True))
    host, port = client.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as stuck:
        request = f"GET /log/v1/prod/{LANE}/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        stuck.sendall(request.encode())
        time.sleep(1.5)
        received = 0
        while piece := stuck.recv(1 << 20):
            received += len(piece)
        assert received < 50_000_000
