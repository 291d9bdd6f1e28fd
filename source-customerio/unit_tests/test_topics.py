"""Preferences of topics: they come with the profiles that `customers` reads."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

import pytest
from simulators.server import Fault
from test_kit.catalogs import Row

if TYPE_CHECKING:
    from conftest import Workspace

CHOSEN, COMPUTED = "cio_subscription_preferences", "_cio_subscription_preferences_computed"
SEARCH = r"customers(\?|$)"


def by_key(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["cio_id"], row.get("topic_id")))


def prefer(workspace: Workspace, *chosen: Any) -> list[str]:
    """Gives some people one of these attributes each, and nobody else any. Returns the `cio_id`s of those people."""
    people = workspace.simulator.workspace.people
    for person in people.values():
        person["attributes"].pop(CHOSEN, None)
        person["attributes"].pop(COMPUTED, None)
    named = list(people)[: len(chosen)]
    for cio_id, value in zip(named, chosen, strict=True):
        people[cio_id]["attributes"][CHOSEN] = value
    return named


@pytest.mark.parametrize("wrapped", [False, True])
def test_beside_customers_every_preference_arrives_without_one_request_more(
    workspace: Workspace, wrapped: bool
) -> None:
    workspace.simulator.options.wrap_customers = wrapped
    synced = workspace.sync("customer_topics", "customers")
    assert synced.failures == {}
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))
    assert by_key(synced.records["customers"]) == by_key(workspace.truth("customers"))
    asked = [request.path for request in workspace.simulator.requests]
    assert asked == ["/v1/customers", *["/v1/customers/attributes"] * 2]


def test_alone_it_reads_the_profiles_itself(workspace: Workspace) -> None:
    synced = workspace.sync("customer_topics")
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))
    assert len(workspace.simulator.requests) == 3


def test_customers_alone_keeps_no_preferences(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_customerio.streams.people.preferences_of", None)
    assert len(workspace.sync("customers").records["customers"]) == 121


def test_what_a_person_chose_and_what_applies_are_two_columns(workspace: Workspace) -> None:
    rows = workspace.sync("customer_topics").records["customer_topics"]
    topics = {row["identifier"] for row in rows}
    assert topics == {"topic_1", "topic_2", "topic_7"}
    gone = [row for row in rows if row["identifier"] == "topic_7"]
    assert [(row["topic_id"], row["subscribed_set"], row["subscribed"]) for row in gone] == [(7, False, None)]
    assert any(row["subscribed_set"] is None and row["subscribed"] and row["changed_at"] is None for row in rows)
    assert any(row["subscribed_set"] is False and row["changed_at"] for row in rows)


def test_a_malformed_text_costs_the_rows_of_one_person_and_is_counted_once(workspace: Workspace) -> None:
    synced = workspace.sync("customers", "customer_topics")
    assert synced.statuses["customer_topics"][-1] == "COMPLETE"
    warnings = synced.logged("Stream customer_topics: the preferences of 1 people could not be read")
    assert warnings
    malformed = list(workspace.simulator.workspace.people)[5]
    assert malformed not in synced.column("customer_topics", "cio_id")
    assert malformed not in str(synced.logs)


def test_every_form_without_a_contradiction_is_read(workspace: Workspace) -> None:
    forms: list[tuple[Any, list[tuple[int, bool | None]]]] = [
        ('{"topics":{"topic_7":false}}', [(7, False)]),
        ({"topics": {"topic_7": True}}, [(7, True)]),
        ('{"topics":{"topic_7":null}}', [(7, None)]),
        *[(empty, []) for empty in ("", "{}", "null", '{"topics":null}', '{"topics":[]}', None)],
    ]
    people = prefer(workspace, *(chosen for chosen, _ in forms))
    synced = workspace.sync("customer_topics")
    for cio_id, (chosen, found) in zip(people, forms, strict=True):
        rows = [row for row in synced.records["customer_topics"] if row["cio_id"] == cio_id]
        assert [(row["topic_id"], row["subscribed_set"]) for row in rows] == found, chosen
    assert not synced.logged("could not be read")


def test_every_other_form_is_counted(workspace: Workspace) -> None:
    forms = ["{", "[1]", "7", '{"topics":{"topic_7":"no"}}', '{"topics":[7]}', [7], 7]
    prefer(workspace, *forms)
    synced = workspace.sync("customer_topics")
    assert synced.records["customer_topics"] == []
    assert synced.logged(f"Stream customer_topics: the preferences of {len(forms)} people could not be read")


def test_topics_without_a_number_are_counted_and_shown_without_what_they_say(workspace: Workspace) -> None:
    (person,) = prefer(
        workspace, json.dumps({"topics": {"ada@example.com": True, "Zürich_22": False, "topic_2": True}})
    )
    synced = workspace.sync("customers", "customer_topics")
    assert [(row["cio_id"], row["topic_id"]) for row in synced.records["customer_topics"]] == [(person, 2)]
    assert synced.logged("2 preferences were left out, because their topics have no name of the form topic_7")
    assert synced.logged("Their names look like aaa@aaaaaaa.aaa, aaaaaa_99 (")


def test_a_number_in_another_spelling_is_no_second_row_with_the_same_key(workspace: Workspace) -> None:
    prefer(workspace, json.dumps({"topics": {"topic_7": True, "topic_07": False, "topic_\u0667": False}}))
    synced = workspace.sync("customer_topics")
    assert [(row["topic_id"], row["subscribed_set"]) for row in synced.records["customer_topics"]] == [(7, True)]
    assert synced.logged("2 preferences were left out")


def test_people_whom_customers_could_not_read_are_read_for_the_topics(workspace: Workspace) -> None:
    """The first hundred fail for `customers`, and are requested again; the others are not."""
    workspace.simulator.faults.add(Fault("status", path="customers/attributes", status=500, times=4))
    synced = workspace.sync("customers", "customer_topics", num_workers=1)
    assert list(synced.failures) == ["customers"]
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))
    asked = [len(request.json()["ids"]) for request in workspace.requests_to("customers/attributes")]
    assert asked == [100, 100, 100, 100, 21, 100]
    assert len(workspace.requests_to("customers")) == 1


def test_profiles_that_break_off_are_not_used(workspace: Workspace) -> None:
    """What was cut in the middle is no part, however many people it had."""
    workspace.simulator.faults.add(Fault("cut", path="customers/attributes", times=4))
    synced = workspace.sync("customers", "customer_topics", num_workers=1)
    assert list(synced.failures) == ["customers"]
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))


def test_a_search_that_customers_did_not_end_is_made_again(workspace: Workspace) -> None:
    workspace.simulator.options.page_caps = {"customers": 50}
    workspace.simulator.faults.add(Fault("status", path=r"customers\?", status=500, times=4, skip=1))
    synced = workspace.sync("customers", "customer_topics")
    assert list(synced.failures) == ["customers"]
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))


def test_a_stream_that_gives_up_leaves_what_it_read(workspace: Workspace) -> None:
    """A refused key ends `customers` at the second hundred. The topics have the first, and fail at the same."""
    workspace.simulator.faults.add(Fault("status", path="customers/attributes", status=403, skip=1, times=-1))
    synced = workspace.sync("customers", "customer_topics", num_workers=1)
    assert set(synced.failures) == {"customers", "customer_topics"}
    assert synced.column("customer_topics", "cio_id") == [
        row["cio_id"] for row in workspace.truth("customer_topics") if row["cio_id"] < "a3000064"
    ]


def test_nobody_at_all_is_an_empty_stream(workspace: Workspace) -> None:
    workspace.simulator.mutate("clear", stream="customers")
    synced = workspace.sync("customers", "customer_topics")
    assert synced.statuses["customer_topics"] == ["STARTED", "COMPLETE"]


def test_what_is_kept_waits_in_a_file_that_is_gone_with_the_sync(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[IO[bytes]] = []

    def spool(max_size: int) -> IO[bytes]:
        opened.append(tempfile.TemporaryFile(dir=tmp_path))  # noqa: SIM115 - the connector closes it
        return opened[-1]

    monkeypatch.setattr("source_customerio.found.tempfile", SimpleNamespace(SpooledTemporaryFile=spool))
    synced = workspace.sync("customers", "customer_topics")
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))
    assert len(opened) == 2
    assert all(file.closed for file in opened)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_preferences_costs_customers_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second hundred does not fit: what was kept is forgotten, and the topics read all profiles again."""
    opened: list[int] = []

    class Small(io.BytesIO):
        def __init__(self, max_size: int) -> None:
            super().__init__()
            opened.append(0)
            self.number = len(opened)

        def write(self, data: Any) -> int:
            if self.number == 2 and self.tell():
                raise OSError(28, "no space")
            return super().write(data)

    monkeypatch.setattr("source_customerio.found.tempfile", SimpleNamespace(SpooledTemporaryFile=Small))
    synced = workspace.sync("customers", "customer_topics", num_workers=1)
    assert synced.failures == {}
    assert by_key(synced.records["customer_topics"]) == by_key(workspace.truth("customer_topics"))
    assert len(workspace.requests_to("customers/attributes")) == 4
