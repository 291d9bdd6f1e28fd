"""What the vendor may answer, and what the user then reads. A row of the error table per test case."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

UNAUTHORIZED = (
    "Customer.io did not accept the key. It is mistyped or revoked, it is a Track API key, or the account is in the "
    "other region: enter an App API key and choose the account's region (US or EU). If other data can be read with it, "
    "its scope does not include campaigns."
)
CLOSED = (
    "Customer.io did not accept the key for campaigns (status 401), although it did for other data. Either its scope "
    "does not include campaigns: use an App API key whose scope does, or leave these streams out. Or it was revoked in "
    "between: then other streams fail, too, and a new key is needed."
)
FORBIDDEN = (
    "Customer.io denied the key access to campaigns. Use an App API key whose scope includes campaigns, and if the key "
    "has an IP allowlist, add the address that this connector runs from."
)
UNKNOWN_PATH = (
    "Customer.io does not know the address of campaigns (status 404). If api_url is set, check it; otherwise report "
    "it, because the API has changed."
)
MALFORMED = (
    "Customer.io did not accept a request for campaigns (status 400). Report it with the internal message, which has "
    "Customer.io's reference for its support."
)
UNACCEPTED = (
    "Customer.io did not accept the values of a request for campaigns (status 422). Report it with the internal "
    "message, which has Customer.io's reference for its support."
)
THROTTLED = (
    "Customer.io kept limiting the rate of requests. Either other programs use up the 10 requests a second that the "
    "workspace has, or a daily quota is spent. What was read is kept: run the sync again later."
)


@pytest.mark.parametrize(
    ("status", "message", "failure_type", "attempts"),
    [
        (400, MALFORMED, "system_error", 1),
        (401, UNAUTHORIZED, "config_error", 1),
        (403, FORBIDDEN, "config_error", 1),
        (404, UNKNOWN_PATH, "system_error", 1),
        (422, UNACCEPTED, "system_error", 1),
    ],
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(
    workspace: Workspace, status: int, message: str, failure_type: str, attempts: int
) -> None:
    """Asking again changes nothing, and skipping would make an empty table out of a refusal."""
    body = json.dumps({"errors": [{"detail": "refused (reference 01X)", "status": str(status)}]})
    workspace.simulator.faults.add(Fault("status", path="/v1/campaigns", status=status, answer=body, times=-1))
    synced = workspace.sync("campaigns")
    assert synced.failures["campaigns"].message == message
    assert synced.failures["campaigns"].failure_type == failure_type
    assert f"status {status}" in synced.failures["campaigns"].internal_message
    assert "refused (reference 01X)" in synced.failures["campaigns"].internal_message
    assert len(workspace.requests_to("campaigns")) == attempts
    assert synced.statuses["campaigns"][-1] == "INCOMPLETE"
    assert synced.states["campaigns"] == []


@pytest.mark.slow
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 522, 524])
def test_an_error_that_may_heal_is_repeated_until_it_has(workspace: Workspace, status: int) -> None:
    """Busy servers and gateways heal within seconds; 429 also comes when other programs use up the limit."""
    workspace.simulator.faults.add(Fault("status", path="/v1/campaigns", status=status, times=2))
    synced = workspace.sync("campaigns")
    assert synced.failures == {}
    assert len(synced.records["campaigns"]) == len(workspace.truth("campaigns"))


@pytest.mark.parametrize("kind", ["html", "cut", "cut_chunked", "cut_silent", "reset", "empty"])
def test_a_body_that_is_not_whole_is_asked_for_again(workspace: Workspace, kind: str) -> None:
    workspace.simulator.faults.add(Fault(kind, path="/v1/campaigns"))
    synced = workspace.sync("campaigns")
    assert synced.failures == {}
    assert sorted(synced.column("campaigns", "id")) == sorted(row["id"] for row in workspace.truth("campaigns"))


def test_a_post_is_repeated_like_a_get(workspace: Workspace) -> None:
    """Search and hydrate are reads."""
    workspace.simulator.faults.add(Fault("status", method="POST", path="/v1/customers", status=500, times=2))
    synced = workspace.sync("customers")
    assert synced.failures == {}
    assert len(synced.records["customers"]) == len(workspace.truth("customers"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (503, "Customer.io failed with status 503, after several attempts. Run the sync again later."),
        (429, THROTTLED),
    ],
)
def test_an_error_that_does_not_heal_ends_the_stream_as_transient_with_its_state_kept(
    workspace: Workspace, status: int, message: str
) -> None:
    workspace.simulator.faults.add(Fault("status", path="/v1/campaigns", status=status, times=-1))
    synced = workspace.sync("campaigns", state={"campaigns": {"updated": 1_700_000_000}})
    assert synced.failures["campaigns"].message == message
    assert synced.failures["campaigns"].failure_type == "transient_error"
    assert synced.states["campaigns"] == []


def test_an_html_page_that_stays_fails_with_its_own_sentence(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("html", path="/v1/campaigns", times=-1))
    failure = workspace.sync("campaigns").failures["campaigns"]
    assert failure.message == (
        "Customer.io answered with something that is not JSON (for instance an HTML page of a proxy or sign-on, or a "
        "body that was cut), after several attempts. Check the region, api_url and any proxy in between."
    )
    assert failure.failure_type == "transient_error"


def test_a_daily_quota_ends_the_stream_and_the_next_sync_goes_on(workspace: Workspace) -> None:
    """Then a 429 does not clear within a sync. Nothing in the answer distinguishes it from the limit of a second."""
    start = workspace.simulator.start_date
    workspace.simulator.faults.add(Fault("status", path="/v1/messages", status=429, skip=3, times=-1))
    first = workspace.sync("messages", start_date=start, num_workers=1)
    assert first.failures["messages"].message == THROTTLED
    assert first.statuses["messages"][-1] == "INCOMPLETE"
    workspace.simulator.faults.clear()
    second = workspace.sync("messages", state=first.last_states(), start_date=start)
    wanted = {row["id"] for row in workspace.truth("messages") if row["created"] >= workspace.simulator.workspace.start}
    assert {*first.column("messages", "id"), *second.column("messages", "id")} == wanted


def test_a_spent_quota_is_waited_for_by_one_request_only(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes a stream would be hours for all of them."""
    monkeypatch.setattr("source_customerio.client.THROTTLED_AGAIN_SECONDS", 0.0)
    workspace.simulator.options.daily_quota = 0
    synced = workspace.sync("campaigns", "segments", "snippets", num_workers=1)
    assert {failure.message for failure in synced.failures.values()} == {THROTTLED}
    assert len(synced.failures) == 3
    attempts = sorted(len(workspace.requests_to(path)) for path in ("campaigns", "segments", "snippets"))
    assert attempts[0] == attempts[1] == 1
    assert attempts[2] > 1


@pytest.mark.parametrize("rows", [[None, {"id": 1, "updated": 5}], [{"id": 1, "updated": 5}, "x"], [[1]]])
def test_a_row_that_is_no_object_fails_with_a_sentence(workspace: Workspace, rows: list[object]) -> None:
    answer = json.dumps({"campaigns": rows})
    workspace.simulator.faults.add(Fault("status", path="/v1/campaigns", status=200, answer=answer, times=-1))
    failure = workspace.sync("campaigns").failures["campaigns"]
    assert failure.message == (
        "Customer.io sent a list of campaigns in which a row is no object. The stream stopped there, so that nothing "
        "is skipped for ever: report it with the internal message."
    )
    assert failure.failure_type == "system_error"


def test_a_stream_out_of_scope_fails_alone_and_names_its_scope(workspace: Workspace) -> None:
    """A stream outside the scope of the key stays in the catalog and says why it cannot be read."""
    workspace.simulator.options.forbidden = ["/activities"]
    synced = workspace.sync("activities", "segments")
    assert "denied the key access to activities" in synced.failures["activities"].message
    assert synced.statuses["activities"][-1] == "INCOMPLETE"
    assert synced.statuses["segments"][-1] == "COMPLETE"
    assert len(synced.records["segments"]) == len(workspace.truth("segments"))


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        (("campaigns", "campaign_actions", "segments", "snippets"), UNAUTHORIZED),
        (("segments", "snippets", "campaigns", "campaign_actions"), CLOSED),
        (("ip_addresses", "segments", "snippets", "campaign_actions", "campaigns"), CLOSED),
        (("ip_addresses", "campaigns", "segments", "snippets"), UNAUTHORIZED),
    ],
)
def test_a_stream_that_the_key_gets_401_for_fails_alone_and_says_both_causes(
    workspace: Workspace, streams: tuple[str, ...], message: str
) -> None:
    """Outside its scope a key may get 401. The list of addresses needs no key, so its answer shows nothing."""
    workspace.simulator.options.forbidden = ["/campaigns"]
    workspace.simulator.options.forbidden_status = 401
    synced = workspace.sync(*streams, num_workers=1)
    closed = {"campaigns", "campaign_actions"} & {*streams}
    assert {name: failure.message for name, failure in synced.failures.items()} == dict.fromkeys(closed, message)
    assert {failure.failure_type for failure in synced.failures.values()} == {"config_error"}
    for name in ("segments", "snippets"):
        key = {"segments": "id", "snippets": "name"}[name]
        assert sorted(synced.column(name, key)) == sorted(row[key] for row in workspace.truth(name))


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
def test_a_limit_is_waited_for_with_and_without_retry_after(workspace: Workspace, headers: dict[str, str]) -> None:
    """The specification of August 2026 gives no 429 that header, so its absence says nothing about a daily quota."""
    limited = Fault("status", path="/v1/segments", status=429, headers=headers, times=3)
    workspace.simulator.faults.add(limited)
    synced = workspace.sync("segments")
    assert sorted(synced.column("segments", "id")) == sorted(row["id"] for row in workspace.truth("segments"))
    assert synced.failures == {}


@pytest.mark.parametrize("value", ["tomorrow", [1], {"a": 1}, True, 1.5])
def test_a_state_that_is_no_time_fails_with_a_sentence(workspace: Workspace, value: object) -> None:
    failure = workspace.sync("campaigns", state={"campaigns": {"updated": value}}).failures["campaigns"]
    assert failure.message == (
        "The saved state of campaigns cannot be read: 'updated' must be a number of seconds. Reset the stream, so that "
        "it is read from the beginning, or restore its last good state."
    )
    assert failure.failure_type == "config_error"


def test_a_state_of_airbytes_own_connector_with_its_time_as_text_is_taken(workspace: Workspace) -> None:
    newest = max(row["updated"] for row in workspace.truth("campaigns"))
    synced = workspace.sync("campaigns", state={"campaigns": {"updated": str(newest)}})
    assert {row["id"] for row in synced.records["campaigns"]} == {
        row["id"] for row in workspace.truth("campaigns") if row["updated"] >= newest - 3600
    }
    assert synced.state("campaigns")["updated"] == newest


def test_an_unknown_stream_fails_with_a_sentence_and_the_others_are_read(workspace: Workspace) -> None:
    synced = workspace.sync("campaign_reports", "segments")
    assert synced.failures["campaign_reports"].message.startswith("The source has no stream named 'campaign_reports'.")
    assert synced.statuses["segments"][-1] == "COMPLETE"
