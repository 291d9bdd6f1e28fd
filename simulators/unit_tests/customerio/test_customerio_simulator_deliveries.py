"""Deliveries (messages) and activities."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from simulators.customerio import CustomerioSimulator, Options
from simulators.customerio.build_deliveries import DRAFTS, EMPTY_WINDOW, WINDOW
from simulators.customerio.workspace import DAY, HALF_YEAR


def ids(pages: list[list[Any]]) -> list[str]:
    return [row["id"] for page in pages for row in page]


def test_messages_come_newest_first_and_the_last_page_has_an_empty_next(sim: CustomerioSimulator, api: Any) -> None:
    pages = api.pages("/messages", "messages", limit=40)
    created = [row["created"] for page in pages for row in page]
    assert created == sorted(created, reverse=True)
    assert len(pages) > 3


def test_thirty_day_windows_that_meet_give_every_delivery_once(sim: CustomerioSimulator, api: Any) -> None:
    found: list[str] = []
    for start in range(sim.workspace.start - WINDOW, sim.now + 1, WINDOW):
        pages = api.pages("/messages", "messages", start_ts=start, end_ts=start + WINDOW - 1, limit=1000)
        found += ids(pages)
    assert sorted(found) == sorted(row["id"] for row in sim.truth("messages"))
    assert len(set(found)) == len(found) == 300


def test_both_bounds_are_included_and_may_be_equal(sim: CustomerioSimulator, api: Any) -> None:
    edge = sim.workspace.start + 2 * WINDOW
    on_the_edge = [row["id"] for row in sim.truth("messages") if row["created"] == edge]
    assert on_the_edge
    assert ids(api.pages("/messages", "messages", start_ts=edge, end_ts=edge)) == on_the_edge
    before = api.pages("/messages", "messages", start_ts=edge - 1, end_ts=edge - 1)
    assert len(ids(before)) >= 1


def test_a_window_may_be_empty(sim: CustomerioSimulator, api: Any) -> None:
    start = sim.workspace.start + EMPTY_WINDOW * WINDOW
    assert api.get("/messages", start_ts=start, end_ts=start + WINDOW - 1) == {"messages": [], "next": ""}


def test_a_range_over_six_months_is_cut_silently_to_the_latest_six(sim: CustomerioSimulator, api: Any) -> None:
    oldest = min(
        r["created"] for p in api.pages("/messages", "messages", start_ts=0, end_ts=sim.now, limit=1000) for r in p
    )
    default = ids(api.pages("/messages", "messages", limit=1000))
    assert oldest >= sim.now - HALF_YEAR
    assert default == ids(api.pages("/messages", "messages", start_ts=0, end_ts=sim.now, limit=1000))
    assert len(default) < 300


def test_inverted_bounds_are_empty(sim: CustomerioSimulator, api: Any) -> None:
    assert api.get("/messages", start_ts=sim.now, end_ts=sim.now - DAY)["messages"] == []


def test_the_limit_is_fifty_by_default_and_clamped_above_a_thousand(sim: CustomerioSimulator, api: Any) -> None:
    sim.mutate("add_message", count=1200)
    assert len(api.get("/messages")["messages"]) == 50
    assert len(api.get("/messages", limit=7)["messages"]) == 7
    assert len(api.get("/messages", limit=5000)["messages"]) == 1000
    sim.options.over_limit = "error"
    assert api.status("/messages", limit=1001) == 400


def test_a_silent_cap_makes_many_pages_of_little_data(sim: CustomerioSimulator, api: Any) -> None:
    whole = ids(api.pages("/messages", "messages", limit=1000))
    sim.options.page_caps = {"messages": 20}
    assert ids(api.pages("/messages", "messages", limit=1000)) == whole


def test_an_empty_page_of_messages_may_have_a_next(sim: CustomerioSimulator, api: Any) -> None:
    whole = ids(api.pages("/messages", "messages", limit=50))
    sim.options.empty_pages = ["messages"]
    holed = api.pages("/messages", "messages", limit=50)
    assert [] in holed
    assert ids(holed) == whole


def test_drafts_are_answered_on_request_only(sim: CustomerioSimulator, api: Any) -> None:
    plain = set(ids(api.pages("/messages", "messages", limit=1000)))
    drafts = set(ids(api.pages("/messages", "messages", limit=1000, drafts="true")))
    assert len(drafts) == DRAFTS
    assert not drafts & plain
    sim.options.drafts = "included"
    assert set(ids(api.pages("/messages", "messages", limit=1000, drafts="true"))) == drafts | plain


def test_answers_to_surveys_come_on_request_only_and_for_messages_in_apps(sim: CustomerioSimulator, api: Any) -> None:
    truth = {row["id"]: row.get("tracked_responses") for row in sim.truth("messages")}
    asked = api.get("/messages", limit=1000, get_tracked_responses="true")["messages"]
    assert {row["id"]: row.get("tracked_responses") for row in asked}.items() <= truth.items()
    assert {row["type"] for row in asked if row.get("tracked_responses")} == {"in_app"}
    plain = api.get("/messages", limit=1000)["messages"]
    assert plain == [{name: value for name, value in row.items() if name != "tracked_responses"} for row in asked]


def test_opens_by_people_can_be_counts_with_a_switch(sim: CustomerioSimulator, api: Any) -> None:
    times = api.get("/messages", limit=1000)["messages"]
    sim.options.human_counts = True
    counts = api.get("/messages", limit=1000)["messages"]
    for name in ("human_opened", "prefetch_opened", "human_clicked"):
        assert {row["metrics"][name] for row in counts if name in row["metrics"]} <= {1, 2, 3}
        assert any(row["metrics"].get(name, 0) > row["created"] for row in times), name
    assert all(row["metrics"]["opened"] > row["created"] for row in counts if "opened" in row["metrics"])
    assert [row | {"metrics": 0} for row in counts] == [row | {"metrics": 0} for row in times]


def test_messages_can_be_filtered(sim: CustomerioSimulator, api: Any) -> None:
    truth = [row for row in sim.truth("messages") if row["created"] >= sim.now - HALF_YEAR]
    for params, keep in (
        ({"type": "push"}, lambda row: row["type"] == "push"),
        ({"metric": "failed"}, lambda row: "failed" in row["metrics"]),
        ({"campaign_id": 4}, lambda row: row["campaign_id"] == 4),
        ({"newsletter_id": 2, "type": "email"}, lambda row: row["newsletter_id"] == 2 and row["type"] == "email"),
    ):
        found = ids(api.pages("/messages", "messages", limit=1000, **params))
        assert sorted(found) == sorted(row["id"] for row in truth if keep(row)), params


def test_a_filter_that_makes_no_sense_is_400(api: Any) -> None:
    assert api.status("/messages", metric="loved") == 400
    assert api.status("/messages", start_ts="yesterday") == 400
    assert api.status("/messages", campaign_id="abc") == 400


def test_the_range_of_messages_of_a_parent_can_be_a_year(sim: CustomerioSimulator, api: Any) -> None:
    for path, key, number in (
        ("/campaigns/4/messages", "campaign_id", 4),
        ("/newsletters/2/messages", "newsletter_id", 2),
        ("/broadcasts/201/messages", "broadcast_id", 201),
        ("/transactional/1/messages", "transactional_message_id", 1),
    ):
        found = ids(api.pages(path, "messages", start_ts=0, end_ts=sim.now, limit=1000))
        assert sorted(found) == sorted(row["id"] for row in sim.truth("messages") if row[key] == number), path


def test_a_message_is_found_by_its_encoded_id_and_lost_by_a_raw_one(sim: CustomerioSimulator, api: Any) -> None:
    awkward = next(row for row in sim.truth("messages") if "/" in row["id"])
    assert api.get("/messages/" + quote(awkward["id"], safe="")) == {"message": awkward}
    assert api.get("/messages/" + awkward["id"]) == {"message": None}
    assert api.status("/messages/" + quote("no such id=", safe="")) == 404


def test_the_awkward_deliveries_are_there(sim: CustomerioSimulator) -> None:
    rows = sim.truth("messages")
    assert any(row["customer_identifiers"] is None and row["forgotten"] for row in rows)
    assert any(row["customer_identifiers"] and set(row["customer_identifiers"]) == {"cio_id"} for row in rows)
    assert "hologram" in {row["type"] for row in rows}
    assert min(row["created"] for row in rows) == sim.workspace.start - 1
    assert len(sim.truth("messages", drafts="true")) == len(rows) + DRAFTS


@pytest.mark.slow
def test_the_pages_of_a_large_workspace_have_as_many_rows_as_it_was_given() -> None:
    with CustomerioSimulator(rows=20_000, options=Options(rate_limit=None)) as sim:
        store = sim.workspace.deliveries
        assert sum(len(store.page(0, len(store), at, at + 1000)) for at in range(0, 20_000, 1000)) == 20_000
        assert len(sim.truth("messages")) == 20_000


def test_activities_come_newest_first_with_the_future_in_front(sim: CustomerioSimulator, api: Any) -> None:
    pages = api.pages("/activities", "activities", limit=100, deleted="true")
    rows = [row for page in pages for row in page]
    assert [len(page) for page in pages] == [100, 100, 37]
    assert rows == sim.truth("activities")
    assert rows[0]["timestamp"] > sim.now + 365 * DAY
    assert [row["timestamp"] for row in rows] == sorted((row["timestamp"] for row in rows), reverse=True)


def test_activities_older_than_thirty_days_are_gone(sim: CustomerioSimulator, api: Any) -> None:
    rows = sim.truth("activities")
    assert min(row["timestamp"] for row in rows) >= sim.now - 30 * DAY
    sim.mutate("age", days=10)
    assert len(sim.truth("activities")) < len(rows)


def test_activities_are_ten_a_page_by_default_and_a_hundred_at_most(api: Any) -> None:
    assert len(api.get("/activities")["activities"]) == 10
    assert len(api.get("/activities", limit=1000)["activities"]) == 100
    assert len(api.get("/activities")["next"]) == 18


def test_activities_of_deleted_people_are_answered_on_request_only(sim: CustomerioSimulator, api: Any) -> None:
    with_deleted = ids(api.pages("/activities", "activities", limit=100, deleted="true"))
    without = ids(api.pages("/activities", "activities", limit=100))
    assert 0 < len(without) < len(with_deleted)


def test_people_who_are_deleted_or_merged_leave_an_activity(sim: CustomerioSimulator, api: Any) -> None:
    deleted = sim.mutate("delete_person")
    gone, kept = sim.mutate("merge_people")
    sim.mutate("merge_people", cio_id="a3000005", into=kept, of="gone")
    people = {row["cio_id"] for row in sim.truth("customers")}
    assert kept in people
    assert not {deleted, gone, "a3000005"} & people

    def told(kind: str, **params: Any) -> list[Any]:
        rows = api.get("/activities", type=kind, limit=100, **params)["activities"]
        return [((row["data"] or {}).get("cio_id"), row["customer_identifiers"]["cio_id"]) for row in rows]

    assert (None, deleted) in told("profile_delete", deleted="true")
    assert told("profile_delete") == []
    assert ({"from": gone, "to": kept}, kept) in told("profile_merge")
    assert ({"from": "a3000005", "to": kept}, "a3000005") in told("profile_merge", deleted="true")
    assert {owner for _, owner in told("profile_delete", deleted="true")}.isdisjoint(people)


def test_activities_can_be_filtered_by_type_name_and_person(sim: CustomerioSimulator, api: Any) -> None:
    pages = api.pages("/activities", "activities", limit=100, type="event", name="purchase", customer_id="u0")
    assert ids(pages) == [
        row["id"] for row in sim.truth("activities") if row["type"] == "event" and row["customer_id"] == "u0"
    ]
    by_cio_id = api.get("/activities", customer_id="cio_a3000000", id_type="cio_id")["activities"]
    assert {row["customer_id"] for row in by_cio_id} == {"u0"}


@pytest.mark.parametrize(("order", "column"), [("oldest first", "timestamp"), ("id", "id")])
def test_activities_come_in_another_order_with_a_switch(
    sim: CustomerioSimulator, api: Any, order: str, column: str
) -> None:
    sim.options.activity_order = order
    rows = [row for page in api.pages("/activities", "activities", limit=100, deleted="true") for row in page]
    assert rows == sorted(sim.truth("activities"), key=lambda row: row[column])
