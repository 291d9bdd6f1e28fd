"""People: search and hydrate."""

from __future__ import annotations

import errno
import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace


def test_everybody_arrives_also_who_has_no_id_no_email_or_no_segment(workspace: Workspace) -> None:
    """A search by `id` and a union of segments would both miss people."""
    synced = workspace.sync("customers")
    people = {row["cio_id"]: row for row in synced.records["customers"]}
    assert set(people) == {row["cio_id"] for row in workspace.truth("customers")}
    assert any(row["id"] is None and row["identifiers"]["email"] for row in people.values())
    assert any(row["id"] is None and row["identifiers"]["email"] is None for row in people.values())


def test_people_are_searched_by_cio_id_and_fetched_by_it_without_a_prefix(workspace: Workspace) -> None:
    """Prefixed ids return nobody, with 200."""
    workspace.sync("customers")
    search, *_ = workspace.requests_to("customers")
    assert search.json() == {"filter": {"and": [{"attribute": {"field": "cio_id", "operator": "exists"}}]}}
    fetches = workspace.requests_to("customers/attributes")
    assert all(request.query["id_type"] == ["cio_id"] for request in fetches)
    ids = [number for request in fetches for number in request.json()["ids"]]
    assert not any(number.startswith("cio_") for number in ids)
    assert sorted(len(request.json()["ids"]) for request in fetches) == [21, 100]


def test_a_cio_id_that_looks_like_a_number_stays_a_text(workspace: Workspace) -> None:
    """`30e00001` as a number would be 300, and would join nobody."""
    synced = workspace.sync("customers", "segment_memberships")
    assert "30e00001" in synced.column("customers", "cio_id")
    assert "30e00001" in synced.column("segment_memberships", "cio_id")


@pytest.mark.parametrize("wrapped", [False, True])
def test_profiles_are_read_wrapped_and_unwrapped(workspace: Workspace, wrapped: bool) -> None:
    """The specification wraps them in `customer`, recorded answers do not."""
    workspace.simulator.options.wrap_customers = wrapped
    synced = workspace.sync("customers")
    assert sorted(synced.records["customers"], key=lambda row: row["cio_id"]) == sorted(
        workspace.truth("customers"), key=lambda row: row["cio_id"]
    )


@pytest.mark.parametrize("own", [None, 7])
def test_the_key_is_the_identifier_also_where_the_profile_has_another_cio_id(workspace: Workspace, own: Any) -> None:
    profile = {"cio_id": own, "identifiers": {"cio_id": "07"}, "attributes": {}}
    answer = json.dumps({"customers": [profile]})
    workspace.simulator.faults.add(Fault("status", path="customers/attributes", status=200, answer=answer, times=-1))
    assert set(workspace.sync("customers").column("customers", "cio_id")) == {"07"}


def test_people_who_were_deleted_since_the_search_are_missing_and_counted(workspace: Workspace) -> None:
    """The server drops unknown ids from the answer, with 200."""
    gone = {"cio_id": next(iter(workspace.simulator.workspace.people))}
    workspace.simulator.mutate("after", path="customers\\?", mutation="delete_person", arguments=gone)
    synced = workspace.sync("customers")
    assert gone["cio_id"] not in synced.column("customers", "cio_id")
    assert len(synced.records["customers"]) == 120
    assert synced.logged("Stream customers: Customer.io returned no profile for 1 of the 121 people that the search")


def test_a_search_that_finds_people_of_whom_none_can_be_fetched_fails(workspace: Workspace) -> None:
    """A wrong kind of id looks like an empty success."""
    nobody = Fault("status", path="customers/attributes", status=200, answer=json.dumps({"customers": []}), times=-1)
    workspace.simulator.faults.add(nobody)
    synced = workspace.sync("customers")
    assert synced.failures["customers"].message == (
        "Customer.io found 121 people and returned the profile of none. Run the sync again; if it happens again, "
        "report it to Customer.io's support."
    )


def test_people_who_are_found_without_a_cio_id_are_skipped_and_counted_once(workspace: Workspace) -> None:
    """A fetch of "None" would find nobody, and nobody would know."""
    known = next(iter(workspace.simulator.workspace.people))
    found = [{"cio_id": None, "email": "a@example.com"}, {"cio_id": known}, {"id": "u1"}]
    answer = json.dumps({"identifiers": found, "next": ""})
    workspace.simulator.faults.add(Fault("status", path=r"customers\?", status=200, answer=answer, times=-1))
    synced = workspace.sync("customers")
    assert synced.column("customers", "cio_id") == [known]
    (request,) = workspace.requests_to("customers/attributes")
    assert request.json() == {"ids": [known]}
    assert synced.logged("Stream customers: 2 people were found without a cio_id, so their profiles could not be")
    assert not synced.logged("returned no profile")


def test_a_search_that_finds_only_people_without_a_cio_id_is_no_empty_stream(workspace: Workspace) -> None:
    answer = json.dumps({"identifiers": [{"id": "u1"}, {"id": "u2"}], "next": ""})
    workspace.simulator.faults.add(Fault("status", path=r"customers\?", status=200, answer=answer, times=-1))
    failure = workspace.sync("customers").failures["customers"]
    assert failure.message.startswith("Customer.io found 2 people and returned the profile of none.")


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_fetch_fails_the_stream_and_skips_nobody(workspace: Workspace, status: int) -> None:
    """Skipping it would lose a hundred people."""
    workspace.simulator.faults.add(Fault("status", path="customers/attributes", status=status, times=-1))
    synced = workspace.sync("customers")
    assert synced.statuses["customers"][-1] == "INCOMPLETE"
    assert f"status {status}" in synced.failures["customers"].message


@pytest.mark.parametrize("path", ["customers\\?", "customers/attributes"])
def test_a_failing_post_is_repeated_like_a_read(workspace: Workspace, path: str) -> None:
    """Both POSTs change nothing."""
    workspace.simulator.faults.add(Fault("status", path=path, method="POST", status=500, times=2))
    synced = workspace.sync("customers")
    assert len(synced.records["customers"]) == 121


def test_attributes_keep_their_own_names_and_text_values(workspace: Workspace) -> None:
    """No declared keys in free-form maps."""
    synced = workspace.sync("customers")
    row = next(row for row in synced.records["customers"] if "Favorite Color" in row["attributes"])
    assert row["attributes"]["Favorite Color"] == "türkis"
    assert isinstance(row["attributes"]["logins"], str)


def test_nobody_at_all_is_an_empty_stream(workspace: Workspace) -> None:
    workspace.simulator.mutate("clear", stream="customers")
    synced = workspace.sync("customers")
    assert synced.statuses["customers"] == ["STARTED", "COMPLETE"]
    assert workspace.requests_to("customers/attributes") == []


def test_optouts_are_one_row_a_person_with_all_channels(workspace: Workspace) -> None:
    workspace.simulator.options.page_caps = {"optouts": 7}
    synced = workspace.sync("optouts")
    assert synced.records["optouts"] == workspace.truth("optouts")
    assert len(workspace.requests_to("optouts")) == 6


def test_the_search_ends_before_a_profile_is_fetched(workspace: Workspace) -> None:
    """A search that is slowed down gives people time to be deleted, which shifts those behind them out of it."""
    workspace.simulator.options.page_caps = {"customers": 10}
    workspace.sync("customers", num_workers=3)
    asked = [request.path for request in workspace.simulator.requests]
    assert asked == ["/v1/customers"] * 13 + ["/v1/customers/attributes"] * 2


def test_many_people_wait_in_a_file(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_customerio.found.SPOOL_MEMORY_BYTES", 10)
    synced = workspace.sync("customers")
    assert {row["cio_id"] for row in synced.records["customers"]} == set(workspace.simulator.workspace.people)
    assert synced.logged("Stream customers: 121 people to read")


def test_a_temporary_directory_without_room_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "no space")

    full = SimpleNamespace(SpooledTemporaryFile=lambda max_size: Full())
    monkeypatch.setattr("source_customerio.found.tempfile", full)
    failure = workspace.sync("customers").failures["customers"]
    assert failure.message.startswith("No space is left in the temporary directory ")
    assert failure.failure_type == "config_error"
