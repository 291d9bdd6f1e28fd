"""Members of segments, accounts of parents, and the stages for them."""

from __future__ import annotations

from typing import Any

import pytest

VISITORS = {"source": {"visitors": None}}
ACCOUNT_IDS = {"eval": {"accountId": "metadata.auto.accountids"}}
IDS = {"select": {"visitorId": "visitorId", "accountId": "accountId"}}
EXPAND = (
    {"identified": "visitorId"},
    ACCOUNT_IDS,
    {"unwind": {"field": "accountId", "keepEmpty": True}},
    {"bulkExpand": {"account": {"account": "accountId"}}},
)


def test_the_documented_pipeline_finds_the_members_of_every_segment(unchanged_pendo: Any) -> None:
    truth = unchanged_pendo.sim.truth("segment_memberships")
    for segment in unchanged_pendo.get("segment"):
        wanted = [row for row in truth if row["segmentId"] == segment["id"]]
        found = unchanged_pendo.rows(VISITORS, *EXPAND, {"segment": {"id": segment["id"]}}, IDS)
        assert found == [{name: row[name] for name in ("visitorId", "accountId")} for row in wanted]
        assert 0 < len(wanted) < len(unchanged_pendo.rows(VISITORS, *EXPAND))


def test_a_segment_of_accounts_needs_their_expansion_and_one_of_visitors_does_not(unchanged_pendo: Any) -> None:
    kinds = {row["definition"]["filters"][0]["kind"]: row["id"] for row in unchanged_pendo.get("segment")}
    assert unchanged_pendo.rows(VISITORS, {"segment": {"id": kinds["account"]}}) == []
    assert unchanged_pendo.rows(VISITORS, {"segment": {"id": kinds["visitor"]}})


def test_unwind_makes_a_row_of_each_element(unchanged_pendo: Any) -> None:
    rows = unchanged_pendo.rows(VISITORS, ACCOUNT_IDS)
    lists = [row["accountId"] or [] for row in rows]
    unwound = unchanged_pendo.rows(VISITORS, ACCOUNT_IDS, {"unwind": {"field": "accountId", "index": "n"}})
    assert [(row["n"], row["accountId"]) for row in unwound] == [item for ids in lists for item in enumerate(ids)]
    kept = unchanged_pendo.rows(VISITORS, ACCOUNT_IDS, {"unwind": {"field": "accountId", "keepEmpty": True}})
    assert [row["accountId"] for row in kept] == [item for ids in lists for item in ids or [None]]
    assert [] in lists


@pytest.mark.parametrize(
    "stage",
    [
        {"segment": {"id": "nobody"}},
        {"segment": None},
        {"unwind": "accountId"},
        {"unwind": {"field": "accountId", "prefix": "a"}},
        {"bulkExpand": {"account": "accountId"}},
        {"bulkExpand": {"page": {"page": "pageId"}}},
        {"eval": {"day": "1"}},
        {"merge": {"fields": ["visitorId"], "pipeline": []}},
    ],
)
def test_a_stage_with_wrong_arguments_is_refused(unchanged_pendo: Any, stage: dict[str, Any]) -> None:
    assert unchanged_pendo.post(VISITORS, stage)[0] == 400


def test_members_of_segments_can_be_forbidden_alone(pendo: Any) -> None:
    pendo.sim.mutate("forbid", kinds=["segmentMembers"])
    segment = pendo.get("segment")[0]
    assert pendo.post(VISITORS, *EXPAND, {"segment": {"id": segment["id"]}})[0] == 403
    assert pendo.rows(VISITORS)


@pytest.mark.slow
def test_parents_take_the_accounts_of_a_subscription(pendo: Any) -> None:
    def ids(stream: str) -> list[str]:
        return [row["accountId"] for row in pendo.sim.truth(stream)]

    parts = {"select": {"parent": "parentAccountId(accountId)", "child": "childAccountId(accountId)"}}
    assert pendo.post({"source": {"accounts": None}}, parts)[0] == 400
    parents = {"holding-0", "holding-1", "holding-2"}
    before = {stream: ids(stream) for stream in ("accounts", "page_events", "poll_events")}
    pendo.sim.mutate("parent_accounts")
    for stream, old in before.items():
        new = ids(stream)
        assert [account and account.split("::")[-1] for account in new] == old
        assert {account.split("::")[0] for account in new if account} == parents
    rows = pendo.rows({"source": {"accounts": None}}, parts)
    assert [row["child"] for row in rows] == before["accounts"]
    assert {row["parent"] for row in rows} == {*parents, ""}
    accounts = {row["accountId"] for row in pendo.sim.truth("accounts")}
    for row in pendo.sim.truth("visitors"):
        assert set((row["metadata"].get("auto") or {}).get("accountids", [])) <= accounts
    assert pendo.get("account/" + ids("accounts")[-1])["id"] == ids("accounts")[-1]


def test_more_aggregates_of_a_group(unchanged_pendo: Any) -> None:
    rows = unchanged_pendo.events("pageEvents", "date(2026,3,12)")
    fields = [
        {"middle": {"median": "numEvents"}, "mean": {"mean": "numEvents"}},
        {"many": {"countIf": "numEvents > 9"}},
    ]
    (row,) = unchanged_pendo.events("pageEvents", "date(2026,3,12)", {"group": {"group": [], "fields": fields}})
    counts = sorted(row["numEvents"] for row in rows)
    assert counts[(len(counts) - 1) // 2] <= row["middle"] <= counts[len(counts) // 2]
    assert row["mean"] == pytest.approx(sum(counts) / len(counts))
    assert row["many"] == sum(count > 9 for count in counts)


def test_events_of_an_app_and_of_a_server_are_marked_as_documented(unchanged_pendo: Any) -> None:
    pages = {row["pageId"] for row in unchanged_pendo.sim.truth("events")}
    assert pages == {"allevents", "allevents-5720146138021888"}
    servers = [row.get("server") for row in unchanged_pendo.sim.truth("track_events")]
    assert 0 < servers.count("__apitrackevent__") < len(servers)
    assert "__apitrackevent__" not in {row.get("server") for row in unchanged_pendo.sim.truth("page_events")}
