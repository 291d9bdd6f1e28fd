"""JSON of `/status`, health, readiness and metrics."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from memory_service import LANE, TOKEN, Client, MemoryStore
from prometheus_client.parser import text_string_to_metric_families
from webhook_inlet.pages import routes as pages
from webhook_inlet.pages import status as status_module
from webhook_inlet.service import Service
from webhook_inlet.stats import Outcome
from webhook_inlet.store import Lane, StoreError
from webhook_inlet.writer import Commit

JSON = {"Accept": "application/json"}
SECRETS = ("a-path-that-nobody-may-see", "c2lnbmluZy1rZXkt", TOKEN)


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(b"anybody:" + password.encode()).decode(), **JSON}


def samples(client: Client) -> dict[tuple[str, ...], float]:
    """The metrics by name and label values."""
    answer = client.ask("/metrics", token=None)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_an_inlet_without_posts_has_a_status(client: Client) -> None:
    status = client.ask("/status", headers=JSON).json()
    assert status["version"] == "0.1.0"
    assert status["ready"] is True
    assert status["problem"] is None
    assert status["store"] == {"type": "volume", "free_bytes": 50 * 2**30}
    assert datetime.now(UTC) - datetime.fromisoformat(status["started_at"]) < timedelta(minutes=1)
    prod, guides = status["inlets"]
    assert (prod["name"], prod["source"]) == ("prod", "customerio")
    assert (guides["name"], guides["source"]) == ("guides", "pendo")
    assert prod["last_event_at"] is None
    assert prod["last_event_age_seconds"] is None
    assert prod["last_error"] is None
    assert prod["events_per_minute"] == [0] * 60
    assert prod["secrets_used"] == {}
    assert prod["lanes"] == prod["readers"] == []


def test_posts_are_counted_by_window_and_outcome(client: Client, service: Service) -> None:
    stats = service.inlets["prod"].stats
    for outcome in Outcome:
        stats.count(outcome)
    stats.count(Outcome.STORED)
    stats.key_used(1)
    stats.failed("The signature of a post is wrong.")
    prod = client.ask("/status", headers=JSON).json()["inlets"][0]
    counts = {
        "received": 7,
        "stored": 2,
        "duplicate": 1,
        "bad_signature": 1,
        "shed": 1,
        "too_large": 1,
        "error": 1,
    }
    assert prod["posts"] == dict.fromkeys(("5m", "1h", "24h", "total"), counts)
    assert prod["events_per_minute"][-2:] in ([0, 3], [3, 0])  # a minute may have begun since
    assert 0 <= prod["last_event_age_seconds"] < 60
    assert prod["last_event_at"].endswith("Z")
    assert prod["last_error"]["words"] == "The signature of a post is wrong."
    assert prod["secrets_used"] == {"1": 1}


def test_after_a_restart_the_last_event_is_that_of_the_store(client: Client, service: Service) -> None:
    service.inlets["prod"].stats.remember(1_764_200_000_250_000)
    prod = client.ask("/status", headers=JSON).json()["inlets"][0]
    assert prod["last_event_at"] == "2025-11-26T23:33:20.250Z"
    assert prod["last_event_age_seconds"] > 0


def test_a_reader_and_what_it_has_not_fetched(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3, 4, at=time.time() - 100)
    client.ask("/log/v1/prod")
    client.ask(f"/log/v1/prod/{LANE}/1")
    prod, guides = client.ask("/status", headers=JSON).json()["inlets"]
    assert prod["lanes"] == [{"lane": LANE, "first": 1, "last": 2, "lines": 4, "closed": False}]
    (reader,) = prod["readers"]
    assert reader["reader"] == "airbyte-source-customerio"
    assert reader["positions"] == {LANE: [1, 0]}
    assert reader["unread_events"] == 4
    assert 95 < reader["lag_seconds"] < 130
    client.ask(f"/log/v1/prod/{LANE}/2")
    (reader,) = client.ask("/status", headers=JSON).json()["inlets"][0]["readers"]
    assert (reader["unread_events"], reader["lag_seconds"]) == (0, 0.0)
    assert (reader["positions"], reader["fetched"]) == ({LANE: [1, 0]}, {LANE: [2, 4]})
    assert guides["readers"] == []


def test_a_client_without_the_token_is_no_reader(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3)
    client.ask(f"/log/v1/prod/{LANE}/1", token="wrong")
    client.ask("/log/v1/prod", token="wrong")
    assert client.ask("/status", headers=JSON).json()["inlets"][0]["readers"] == []


def test_what_a_reader_only_looks_at_is_not_read(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3)
    client.ask(f"/log/v1/prod/{LANE}/1", method="HEAD")
    assert client.ask(f"/log/v1/prod/{LANE}/1?line=2&peek=true").content.count(b"\n") == 1
    assert client.ask("/status", headers=JSON).json()["inlets"][0]["readers"] == []


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_the_status_needs_the_token(client: Client, token: str | None) -> None:
    answer = client.ask("/status", token=token, headers=JSON)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_browser_is_asked_for_the_token_as_a_password(client: Client) -> None:
    answer = client.ask("/status", token=None, headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer, Basic realm="webhook-inlet", charset="UTF-8"'


def test_the_token_is_accepted_as_the_password_of_any_user(client: Client) -> None:
    assert client.ask("/status", token=None, headers=basic(TOKEN)).status_code == 200


@pytest.mark.parametrize("header", [basic("wrong"), basic(""), {"Authorization": "Basic !!"}, {"Authorization": "x"}])
def test_a_wrong_password_opens_nothing(client: Client, header: dict[str, str]) -> None:
    assert client.ask("/status", token=None, headers=header).status_code == 401


def test_the_log_takes_no_password(client: Client) -> None:
    assert client.ask("/log/v1/prod", token=None, headers=basic(TOKEN)).status_code == 401


def test_a_store_that_does_not_answer_is_said_and_not_shown_as_empty(client: Client, store: MemoryStore) -> None:
    store.failing = StoreError("The bucket does not answer.")
    prod = client.ask("/status", headers=JSON).json()["inlets"][0]
    assert prod["lanes_problem"] == "The bucket does not answer."


def test_what_is_not_ready_says_why(client: Client, service: Service, store: MemoryStore) -> None:
    assert client.ask("/readyz", token=None).text == "ready\n"
    store.words = "The disk is full."
    answer = client.ask("/readyz", token=None)
    assert (answer.status_code, answer.text) == (503, "not ready: The disk is full.\n")
    assert client.ask("/healthz", token=None).status_code == 200
    status = client.ask("/status", headers=JSON).json()
    assert (status["ready"], status["problem"]) == (False, "The disk is full.")
    store.words, service.draining = None, True
    assert client.ask("/readyz", token=None, method="HEAD").status_code == 503


def test_the_metrics_are_those_of_the_counts(client: Client, service: Service, store: MemoryStore) -> None:
    stats = service.inlets["prod"].stats
    stats.count(Outcome.STORED, 0.004)
    stats.count(Outcome.SHED, 2.5)
    stats.key_used(1)
    service.commits.committed(Commit(events=7, bytes=700, seconds=0.002))
    store.add("prod", LANE, 3, 4)
    client.ask(f"/log/v1/prod/{LANE}/1")
    found = samples(client)
    assert found["inlet_posts_total", "prod", "stored"] == 1
    assert found["inlet_posts_total", "prod", "shed"] == 1
    assert found["inlet_posts_total", "prod", "bad_signature"] == 0
    assert found["inlet_key_used_total", "prod", "1"] == 1
    assert found["inlet_ack_seconds_bucket", "prod", "0.005"] == 1
    assert found["inlet_ack_seconds_bucket", "prod", "+Inf"] == 2
    assert found["inlet_ack_seconds_count", "prod"] == 2
    assert found["inlet_commit_seconds_count",] == 1
    assert found["inlet_batch_events_sum",] == 7
    assert found["inlet_queue",] == 3
    assert found["inlet_ready",] == 1
    assert found["inlet_disk_free_bytes",] == 50 * 2**30
    assert found["inlet_unread_events", "prod", "airbyte-source-customerio"] == 4
    assert found["inlet_last_event_timestamp", "prod"] == pytest.approx(time.time(), abs=60)
    assert found["process_resident_memory_bytes",] > 1_000_000
    assert ("inlet_last_event_timestamp", "guides") not in found


def test_the_metrics_say_when_posts_are_not_stored(client: Client, store: MemoryStore) -> None:
    store.words = "The disk is full."
    assert samples(client)["inlet_ready",] == 0


def test_the_metrics_do_without_a_store_that_fails(client: Client, store: MemoryStore) -> None:
    store.failing = StoreError("The bucket does not answer.")
    assert samples(client)["inlet_posts_total", "prod", "stored"] == 0


def test_a_flood_for_the_metrics_does_not_reach_the_store(client: Client, store: MemoryStore) -> None:
    asked = 0

    def counted(inlet: str) -> list[Lane]:
        nonlocal asked
        asked += 1
        return []

    store.lanes = counted
    for _ in range(30):
        samples(client)
    assert asked == 2  # one look for each inlet


@pytest.fixture
def hanging(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The store does not answer until the event is set. The pages wait for it for 0.3 seconds only."""
    go = threading.Event()

    def lanes(inlet: str) -> list[Lane]:
        go.wait(20)
        return []

    for module in (pages, status_module):
        monkeypatch.setattr(module, "LOOK_TIMEOUT", 0.3)
    store.lanes = lanes
    yield go
    go.set()


@pytest.mark.slow
@pytest.mark.usefixtures("hanging")
def test_the_metrics_do_not_wait_for_a_store_that_hangs(client: Client) -> None:
    assert samples(client)["inlet_ready",] == 1
    assert client.ask("/healthz").status_code == 200


def test_a_store_without_a_limit_has_no_free_space(client: Client, store: MemoryStore) -> None:
    store.free = None
    assert client.ask("/status", headers=JSON).json()["store"]["free_bytes"] is None
    assert ("inlet_disk_free_bytes",) not in samples(client)


@pytest.mark.parametrize("path", ["/status", "/metrics", "/healthz", "/readyz"])
def test_no_page_shows_a_path_or_a_secret(client: Client, service: Service, path: str) -> None:
    service.inlets["prod"].stats.count(Outcome.BAD_SIGNATURE)
    for accept in ("text/html", "application/json"):
        answer = client.ask(path, headers={"Accept": accept})
        assert not [secret for secret in SECRETS if secret in answer.text or secret in str(answer.headers)]


@pytest.mark.parametrize("path", ["/", "/statusx", "/status/", "/log", "/log/v1", "/favicon.ico"])
def test_other_paths_are_not_found(client: Client, path: str) -> None:
    assert client.ask(path).status_code == 404


@pytest.mark.slow
def test_a_store_that_hangs_is_said_and_the_status_answers(client: Client, hanging: threading.Event) -> None:
    for _ in range(3):
        prod, guides = client.ask("/status", headers=JSON).json()["inlets"]
        assert prod["lanes_problem"] == guides["lanes_problem"] == "The store did not answer within 0.3 seconds."
    assert "did not answer" in client.ask("/status", headers={"Accept": "text/html"}).text
    hanging.set()
    deadline = time.monotonic() + 120
    while client.ask("/status", headers=JSON).json()["inlets"][0]["lanes_problem"] is not None:
        assert time.monotonic() < deadline
