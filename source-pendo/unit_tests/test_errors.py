"""The error table, row by row, through a read: the sentence, the kind of failure, and how often it was tried."""

from __future__ import annotations

from typing import Any

import pytest
from pendo_reader import PENDO_STREAMS, QUICK, STREAM_NAMES, Subscription
from simulators.faults import HTML_PAGE, Fault
from source_kit.errors import PROXY_WANTS_LOGIN
from source_pendo.client import (
    BAD_QUERY,
    BAD_REQUEST,
    BLOCKED,
    BROKEN,
    CONTRACT,
    ERRORS,
    FORBIDDEN,
    NOT_FOUND,
    THROTTLED,
    TOO_BIG,
    UNPROCESSABLE,
    WRONG_KEY,
    WRONG_REGION,
)

#: status, body, sentence, kind of failure
FATAL: list[tuple[int, str, str, str]] = [
    (400, "Query exceeded memory limit", TOO_BIG, "transient_error"),
    (400, "missing jzb", WRONG_REGION, "config_error"),
    (400, "Cannot parse filter expression", BAD_QUERY, "system_error"),
    (400, "bad pipeline: bad source: unexpected parameters", BAD_QUERY, "system_error"),
    (400, "no period specified for time series source", BAD_QUERY, "system_error"),
    (400, "something else", BAD_REQUEST, "system_error"),
    (401, "", WRONG_KEY, "config_error"),
    (402, "Your plan does not include this", CONTRACT, "system_error"),
    (403, "Forbidden", FORBIDDEN, "config_error"),
    (404, "Not Found", NOT_FOUND, "config_error"),
    (422, "missing pipeline", UNPROCESSABLE, "system_error"),
    (407, "", PROXY_WANTS_LOGIN, "config_error"),
    (451, "", BLOCKED, "config_error"),
    (
        418,
        "teapot",
        "Pendo refused the request with status 418. See the internal message for its answer.",
        "system_error",
    ),
    (302, "", ERRORS.redirected, "config_error"),
]
#: a fault that heals is not seen, one that stays has this sentence
HEALING: list[tuple[Fault, str]] = [
    (Fault("status", path="page", status=500), BROKEN),
    (Fault("status", path="page", status=503, headers={"Retry-After": "0"}), BROKEN),
    (Fault("html", path="page", status=502), BROKEN),
    (Fault("status", path="page", status=408, answer="Request timed out"), BROKEN),
    (Fault("status", path="page", status=429, answer="Too Many Requests"), THROTTLED),
    (Fault("status", path="page", status=429, headers={"Retry-After": "0.01"}), THROTTLED),
    (Fault("status", path="page", status=403, answer='{"error":"rateLimitExceeded"}'), THROTTLED),
    (Fault("html", path="page"), ERRORS.not_json),
    (Fault("empty", path="page"), ERRORS.not_json),
    (Fault("cut", path="page"), ERRORS.unreachable),
    (Fault("cut_chunked", path="page"), ERRORS.unreachable),
    (Fault("cut_silent", path="page"), ERRORS.not_json),
    (Fault("reset", path="page"), ERRORS.unreachable),
]


NAMES = [f"{fault.kind} {fault.status or 200} {index}" for index, (fault, _) in enumerate(HEALING)]


@pytest.mark.slow
@pytest.mark.parametrize(("status", "body", "sentence", "kind"), FATAL)
def test_an_answer_that_will_not_change_fails_with_its_sentence_at_once(
    pendo: Subscription, status: int, body: str, sentence: str, kind: str
) -> None:
    """The stream fails, once, without a state; the next one is read."""
    headers = {"Location": "https://elsewhere.example/"} if status == 302 else {}
    pendo.sim.faults.add(Fault("status", path="/page", status=status, answer=body, headers=headers, times=-1))
    out = pendo.read("pages", "features")
    assert out.failures["pages"].message == sentence
    assert out.failures["pages"].failure_type == kind
    assert f"GET /page: status {status}" in out.failures["pages"].internal_message
    assert body in out.failures["pages"].internal_message
    assert len(pendo.asked("page")) == 1
    assert out.states["pages"] == []
    assert out.statuses["pages"] == ["STARTED", "INCOMPLETE"]
    assert out.statuses["features"] == ["STARTED", "RUNNING", "COMPLETE"]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "sentence"), HEALING, ids=NAMES)
def test_what_may_heal_is_tried_again_and_nothing_is_lost(pendo: Subscription, fault: Fault, sentence: str) -> None:
    """Also while the body is read; half a page is never kept."""
    pendo.sim.faults.add(replaced(fault, times=2))
    out = pendo.read("pages")
    assert out.failures == {}
    assert len(pendo.asked("page")) == 3
    assert sorted(out.column("pages", "id")) == sorted(row["id"] for row in pendo.truth("pages"))


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "sentence"), HEALING, ids=NAMES)
def test_what_does_not_heal_fails_with_its_sentence(pendo: Subscription, fault: Fault, sentence: str) -> None:
    """After a bounded number of attempts, as a transient error, with the state where it was."""
    pendo.sim.faults.add(replaced(fault, times=-1))
    state = {"last_updated_at": "2026-03-01T00:00:00.000Z", "version": 1}
    out = pendo.read("pages", "features", state={"pages": state})
    assert out.failures["pages"].message == sentence
    assert out.failures["pages"].failure_type == "transient_error"
    assert "<html" not in out.failures["pages"].message
    assert out.states["pages"] in ([], [state])
    assert out.records["pages"] == []
    assert len(pendo.asked("page")) <= 8
    assert out.statuses["features"][-1] == "COMPLETE"


def test_the_wait_that_pendo_asks_for_is_kept(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Retry-After` is obeyed while the sum of the waits is within its bound."""
    waits: list[float] = []
    monkeypatch.setattr("source_kit.activity.Activities.wait", lambda self, seconds, why: waits.append(seconds))
    monkeypatch.setattr("source_pendo.client.RETRY_POLICY", QUICK.__class__(throttled_seconds=100.0))
    pendo.sim.faults.add(Fault("status", path="page", status=429, headers={"Retry-After": "37"}, times=-1))
    out = pendo.read("pages")
    assert waits == [37.0, 37.0]
    assert out.failures["pages"].message == THROTTLED


@pytest.mark.slow
def test_a_server_that_drips_is_given_up_in_time(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte comes in time, the body never ends."""
    monkeypatch.setattr("source_pendo.client.RETRY_POLICY", QUICK.__class__(tries=1))
    pendo.sim.faults.add(Fault("drip", path="page", seconds=0.3, times=-1))
    out = pendo.read("segments", "pages", request_timeout=1)
    assert out.failures["pages"].message == ERRORS.timeout
    assert out.statuses["segments"][-1] == "COMPLETE"


def test_html_that_says_it_is_json_is_quoted_in_the_internal_message_only(pendo: Subscription) -> None:
    """Shortened, so that a trace stays readable."""
    pendo.sim.faults.add(Fault("status", path="page", status=200, answer=HTML_PAGE + "x" * 5000, times=-1))
    failure = pendo.read("pages").failures["pages"]
    assert len(failure.internal_message) < 700
    assert failure.message == ERRORS.not_json


def test_a_wrong_key_fails_every_stream_with_a_sentence(pendo: Subscription) -> None:
    """One trace for each stream, none of them complete."""
    out = pendo.read(*STREAM_NAMES, api_key="wrong")
    assert out.failures.keys() - {""} == set(STREAM_NAMES)
    assert {failure.message for name, failure in out.failures.items() if name} == {FORBIDDEN}
    assert all(statuses == ["STARTED", "INCOMPLETE"] for statuses in out.statuses.values())
    assert not any(out.states.values())


def test_a_forbidden_kind_of_object_fails_that_stream_alone(pendo: Subscription) -> None:
    """In a read, too."""
    pendo.sim.mutate("forbid", kinds=["guides", "pageEvents"])
    out = pendo.read("guides", "page_events", "pages", "events")
    assert {name for name in out.failures if name} == {"guides", "page_events"}
    assert out.statuses["pages"][-1] == out.statuses["events"][-1] == "COMPLETE"


def test_an_unknown_stream_fails_with_a_sentence_and_the_others_are_read(pendo: Subscription) -> None:
    """A catalog of another release, or a typing mistake."""
    out = pendo.read("visitor", "pages")
    assert out.failures["visitor"].message.startswith("The source has no stream named 'visitor'.")
    assert out.failures["visitor"].failure_type == "config_error"
    assert out.statuses["pages"][-1] == "COMPLETE"


BAD_STATES: list[dict[str, Any]] = [
    {"bad": "yesterday"},
    {"bad": 17},
    {"bad": ["2026-03-01"]},
    {"bad": "2026-03-01T00:00:00.000Z", "version": 99},
]


@pytest.mark.slow
@pytest.mark.parametrize("name", [stream.name for stream in PENDO_STREAMS if stream.cursor_field])
def test_a_state_that_cannot_be_read_fails_with_a_sentence(pendo: Subscription, name: str) -> None:
    """The sentence shows the documented form; the stream is not silently read from the beginning."""
    good = pendo.read(name, start_date="2026-03-19T00:00:00Z").state(name)
    cursor = next(column for column in good if column not in ("version", "period", "synced"))
    for bad in BAD_STATES:
        state = {cursor if column == "bad" else column: value for column, value in bad.items()}
        out = pendo.read(name, "reports" if name != "reports" else "pages", state={name: state})
        assert out.failures[name].message.startswith(f"The state of stream {name} cannot be read: it must be like")
        assert f'"{cursor}": "2026-03-01T00:00:00.000Z"' in out.failures[name].message
        assert out.failures[name].failure_type == "config_error"
        assert out.records[name] == []
        assert out.states[name] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accounts", "visitors", "visitor_history"])
@pytest.mark.parametrize(
    "resume", ["x", {}, {"visitor_id": 5, "account_id": 5, "until": 1}, {"visitor_id": "a", "account_id": "a"}]
)
def test_a_spoiled_resume_point_fails_with_a_sentence(pendo: Subscription, name: str, resume: Any) -> None:
    """Nobody is skipped because of a state that somebody edited."""
    out = pendo.read(name, state={name: {"resume": resume, "version": 1}})
    assert out.failures[name].message.startswith(f"The state of stream {name} cannot be read")


def replaced(fault: Fault, times: int) -> Fault:
    """The fault, so many times."""
    return Fault(fault.kind, path="/page", times=times, status=fault.status, headers=fault.headers, answer=fault.answer)
