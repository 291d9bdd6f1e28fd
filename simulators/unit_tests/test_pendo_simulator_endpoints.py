"""Endpoints of the simulated Pendo beside aggregation and lists, ids in base64, and changes to objects."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import pytest
from simulators.pendo import APPS, DEFAULT_APP

BASE64 = {"x-pendo-base64-encoded-params": "true"}


def encoded(object_id: str, padding: bool = True) -> str:
    text = base64.urlsafe_b64encode(object_id.encode()).decode()
    return "b64_" + (text if padding else text.rstrip("="))


def test_the_key_is_verified_and_says_whether_it_may_write(pendo: Any) -> None:
    assert pendo.get("token/verify") == {"valid": True, "writeAccess": False}
    assert pendo.call("GET", "token/verify", key="unknown")[0] == 403
    assert pendo.call("GET", "token/verify", key="simulated-integration-key.eu")[0] == 400
    pendo.sim.mutate("switch", key_may_write=True)
    assert pendo.get("token/verify")["writeAccess"] is True
    pendo.sim.mutate("switch", verify_status=404)
    assert pendo.call("GET", "token/verify")[0] == 404


def test_a_guide_has_all_its_versions_newest_first_and_an_edit_makes_two_of_one_time(pendo: Any) -> None:
    guides = pendo.get("guide?expand=*")
    histories = [pendo.get(f"guide/{guide['id']}/history") for guide in guides]
    for guide, versions in zip(guides, histories, strict=True):
        times = [version["lastUpdatedAt"] for version in versions]
        assert versions[0] == guide
        assert times == sorted(times, reverse=True)
    assert any(max(Counter(v["lastUpdatedAt"] for v in versions).values()) > 1 for versions in histories)
    pendo.sim.mutate("advance", days=1)
    changed = pendo.sim.mutate("touch_definition", kind="guides")
    assert pendo.get(f"guide/{changed['id']}/history") == [changed, changed, *histories[0]]
    truth = pendo.sim.truth("guide_versions")
    assert len(truth) == sum(map(len, histories)) + 2
    assert {row["guideId"] for row in truth} == {guide["id"] for guide in guides}


@pytest.mark.parametrize("member", ["id", "stableVersionId"])
def test_versions_of_a_guide_can_have_ids_of_their_own(pendo: Any, member: str) -> None:
    guide = pendo.get("guide")[0]["id"]
    assert {version["id"] for version in pendo.get(f"guide/{guide}/history")} == {guide}
    pendo.sim.mutate("switch", own_version_ids=member)
    versions = pendo.get(f"guide/{guide}/history")
    assert len({version[member] for version in versions}) == len(versions) > 1


def test_only_visitor_and_account_reports_have_results_and_private_ones_are_unknown(pendo: Any) -> None:
    listed = pendo.get("report")
    assert {row["shared"] for row in listed} == {True}
    by_type = {row["type"]: row["id"] for row in listed}
    rows = pendo.get(f"report/{by_type['Visitor Report']}/results.json")
    assert rows
    assert all(set(row) >= {"visitorId", "numEvents"} for row in rows)
    assert pendo.call("GET", f"report/{by_type['Funnel']}/results.json")[0] == 404
    pendo.sim.mutate("switch", other_reports_status=422)
    assert pendo.call("GET", f"report/{by_type['Funnel']}/results.json")[0] == 422
    shared = pendo.sim.mutate("share", kind="reports")
    assert all("accountId" in row for row in pendo.get(f"report/{shared}/results.json"))
    assert shared in {row["reportId"] for row in pendo.sim.truth("report_results")}
    pendo.sim.mutate("share", kind="reports", object_id=shared, shared=False)
    assert pendo.call("GET", f"report/{shared}/results.json")[0] == 404
    assert pendo.get("report") == listed


def test_one_segment_has_an_address_and_unshared_ones_are_unknown(pendo: Any) -> None:
    first, *_ = pendo.get("segment")
    assert pendo.get(f"segment/{first['id']}") == first
    hidden = pendo.sim.mutate("share", kind="segments", shared=False)
    assert hidden == first["id"]
    assert pendo.call("GET", f"segment/{hidden}")[0] == 404
    members = pendo.sim.truth("segment_memberships")
    assert {row["segmentId"] for row in members} == {row["id"] for row in pendo.get("segment")}


@pytest.mark.slow
def test_a_bulk_deletion_flags_at_once_and_leaves_the_list_when_it_is_done(pendo: Any) -> None:
    before = pendo.get("bulkdelete")
    request = pendo.sim.mutate("bulk_delete", kind="visitor", ids=["ann@example.com"])
    assert [row["id"] for row in pendo.get("bulkdelete")] == [*(row["id"] for row in before), request]
    flagged = {row["visitorId"] for row in pendo.sim.truth("do_not_process_visitors")}
    assert "ann@example.com" in flagged
    assert pendo.sim.mutate("finish_bulk_deletion", request_id=request) == 1
    assert pendo.sim.truth("bulk_deletions") == pendo.get("bulkdelete") == before
    assert pendo.get(f"bulkdelete/{request}")["status"] == "finished"
    assert pendo.call("GET", "visitor/ann@example.com")[0] == 404
    assert not [row for row in pendo.sim.truth("email_events") if row["visitorId"] == "ann@example.com"]
    assert {row["visitorId"] for row in pendo.sim.truth("do_not_process_visitors")} == flagged


def test_lists_are_narrowed_to_an_app_and_reports_and_segments_answer_all_apps(unchanged_pendo: Any) -> None:
    for name in ("page", "feature", "guide", "tracktype"):
        by_app = {app["id"]: unchanged_pendo.get(f"{name}?appId={app['id']}") for app in APPS}
        assert by_app[DEFAULT_APP] == unchanged_pendo.get(name)
        assert {row["appId"] for row in by_app[APPS[1]["id"]]} == {APPS[1]["id"]}
    for name in ("report", "segment"):
        assert unchanged_pendo.get(name) == unchanged_pendo.get(f"{name}?expand=*")
    assert unchanged_pendo.call("GET", "page?appId=web")[0] == 400


@pytest.mark.parametrize("path", ["visitor/{}", "visitor/{}/history?starttime=1773900000000"])
def test_an_id_in_base64_needs_the_header_and_reaches_ids_that_are_no_path(pendo: Any, path: str) -> None:
    pendo.sim.mutate("add_visitor", visitor_id="..")
    assert pendo.call("GET", path.format(".."))[0] == pendo.call("GET", path.format("%2E%2E"))[0] == 404
    assert pendo.call("GET", path.format(encoded("..")))[0] == 404
    assert pendo.call("GET", path.format(encoded("..")), headers=BASE64)[0] == 200
    assert pendo.call("GET", path.format("b64_%%%"), headers=BASE64)[0] == 404
    assert pendo.call("GET", path.format("team%2Flead@example.com"), headers=BASE64)[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accepted", "padded", "unpadded"),
    [("any", 200, 200), ("padded", 200, 404), ("unpadded", 404, 200), ("none", 404, 404)],
)
def test_padding_is_accepted_as_the_switch_says(pendo: Any, accepted: str, padded: int, unpadded: int) -> None:
    pendo.sim.mutate("switch", base64_ids=accepted)
    account = "account/" + encoded("north/south+100%")
    assert encoded("north/south+100%", padding=False) != encoded("north/south+100%")
    assert pendo.call("GET", "account/" + encoded("north/south+100%"), headers=BASE64)[0] == padded, account
    assert pendo.call("GET", account.rstrip("="), headers=BASE64)[0] == unpadded


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bulkDeletions", "guideHistory", "reportResults", "segments"])
def test_a_subscription_can_lack_an_endpoint(pendo: Any, kind: str) -> None:
    paths = {
        "bulkDeletions": "bulkdelete",
        "guideHistory": f"guide/{pendo.get('guide')[0]['id']}/history",
        "reportResults": f"report/{pendo.get('report')[0]['id']}/results.json",
        "segments": f"segment/{pendo.get('segment')[0]['id']}",
    }
    assert pendo.call("GET", paths[kind])[0] == 200
    pendo.sim.mutate("forbid", kinds=[kind], status=402)
    assert pendo.call("GET", paths[kind])[0] == 402


def test_a_deleted_object_leaves_its_list_and_comes_back_unchanged(pendo: Any) -> None:
    before = pendo.get("guide?expand=*")
    history = pendo.sim.truth("visitor_history")
    deleted = pendo.sim.mutate("delete_definition", kind="guides")
    assert pendo.get("guide?expand=*") == [row for row in before if row["id"] != deleted] != before
    assert pendo.call("GET", f"guide/{deleted}/history")[0] == 404
    assert pendo.sim.truth("visitor_history") == history
    pendo.sim.mutate("restore_definition", object_id=deleted)
    assert pendo.get("guide?expand=*") == before


def test_a_reset_removes_past_events_and_poll_answers_of_a_staged_guide_only(pendo: Any) -> None:
    def guides(stream: str) -> set[str]:
        return {row["guideId"] for row in pendo.sim.truth(stream)}

    streams = ("guide_events", "guides_seen", "poll_events", "poll_responses")
    before = {stream: guides(stream) for stream in streams}
    guide = pendo.sim.mutate("reset_guide")
    for stream in streams:
        assert guides(stream) == before[stream] - {guide} != before[stream]
    public = next(row["id"] for row in pendo.sim.truth("guides") if row["state"] == "public")
    with pytest.raises(ValueError, match="staged"):
        pendo.sim.mutate("reset_guide", guide_id=public)


def test_histories_have_pairs_of_untagged_pages_and_of_track_events_in_one_millisecond(pendo: Any) -> None:
    pendo.sim.mutate("visit", visitor_id="ann@example.com")
    rows = pendo.sim.truth("visitor_history")
    for column in ("untaggedUrl", "trackTypeId"):
        of_kind = [row for row in rows if column in row]
        assert max(Counter((row["visitorId"], row["ts"]) for row in of_kind).values()) == 2
        assert all(("uri" in row) == (column == "trackTypeId") for row in of_kind)
    history = [row for row in rows if row["visitorId"] == "ann@example.com"]
    start = pendo.sim.subscription.now - 3_600_000
    assert pendo.get(f"visitor/ann@example.com/history?starttime={start}")[-4:] == [
        {name: value for name, value in row.items() if name != "visitorId"} for row in history[-4:]
    ]
    pendo.sim.mutate("advance", days=181)
    assert min(row["ts"] for row in pendo.sim.truth("visitor_history")) > start + 86_400_000


def test_objects_and_visitors_take_their_other_documented_shapes(pendo: Any) -> None:
    changed = set(pendo.sim.mutate("odd_shapes"))
    guides = [row for row in pendo.get("guide?expand=*") if row["id"] in changed]
    assert {row["attributes"]["device"] for row in guides} == {"mobile"}
    assert [row["attributes"].get("email") for row in guides] == [True, None, None]
    responses = [poll["idResponses"] for row in guides for poll in row["polls"] if "idResponses" in poll]
    assert [type(response) for response in responses] == [list]
    assert [row["id"] for row in pendo.get("report") if isinstance(row["definition"], list)] == [
        row["id"] for row in pendo.get("report") if row["id"] in changed
    ]
    visitors = pendo.rows({"source": {"visitors": None}})
    signups = [row["metadata"]["agent"]["signup"] for row in visitors if row["visitorId"] in changed]
    assert signups == [
        1773937800,
        "Thu Mar 19 2026",
        "Thu Mar 19 2026 16:30:00 GMT+0000 (UTC)",
        "03/19/2026 04:30PM",
        "2026-03-19 16:30:00 -0700",
    ]
