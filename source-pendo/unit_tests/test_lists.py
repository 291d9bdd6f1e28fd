"""Pages, features, guides, track types, reports and segments: whole lists, of which changes are emitted."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pendo_reader import Subscription, cut_in_the_middle, instant
from simulators.faults import Fault

KINDS = {
    "pages": "pages",
    "features": "features",
    "guides": "guides",
    "track_types": "trackTypes",
    "reports": "reports",
    "segments": "segments",
}
PATHS = {"pages": "page", "track_types": "tracktype"}


@pytest.mark.parametrize("stream", KINDS)
def test_a_list_is_read_whole_whatever_the_page_size(pendo: Subscription, stream: str) -> None:
    """No limit cuts the list, and the objects of every application are in it."""
    truth = pendo.truth(stream)
    out = pendo.read(stream, record_limit=1)
    assert sorted(out.column(stream, "id")) == sorted(row["id"] for row in truth)
    assert len({row.get("appId") for row in truth} - {None}) > 1 or stream in ("reports", "segments")


@pytest.mark.slow
@pytest.mark.parametrize("stream", KINDS)
def test_only_what_changed_comes_again_and_the_state_moves(pendo: Subscription, stream: str) -> None:
    """The state names the cursor by its field; unchanged objects do not come again."""
    first = pendo.read(stream)
    newest = max(row["lastUpdatedAt"] for row in pendo.truth(stream))
    assert first.state(stream) == {"last_updated_at": instant(newest), "version": 1}
    pendo.sim.mutate("advance", days=1)
    touched = pendo.sim.mutate("touch_definition", kind=KINDS[stream])
    second = pendo.read(stream, state={stream: first.state(stream)})
    assert touched["id"] in second.column(stream, "id")
    recent = [row["id"] for row in pendo.truth(stream) if row["lastUpdatedAt"] >= newest - 3_600_000]
    assert sorted(second.column(stream, "id")) == sorted(recent)
    assert second.state(stream)["last_updated_at"] == instant(touched["lastUpdatedAt"])


def test_a_full_refresh_ignores_the_state_of_an_incremental_sync(pendo: Subscription) -> None:
    """A full refresh is full."""
    state = {"pages": {"last_updated_at": "2026-03-20T00:00:00.000Z", "version": 1}}
    out = pendo.read("pages", state=state, full_refresh=True)
    assert len(out.records["pages"]) == len(pendo.truth("pages"))


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["pages", "features", "guides", "track_types", "reports"])
@pytest.mark.parametrize("apps", [["-323232"], ["6304859583021056", "5720146138021888"]])
def test_the_option_app_ids_restricts_a_list(pendo: Subscription, stream: str, apps: list[str]) -> None:
    """Only the user restricts it."""
    out = pendo.read(stream, app_ids=apps)
    assert sorted(out.column(stream, "id")) == sorted(row["id"] for row in pendo.truth(stream, apps=",".join(apps)))


def test_an_object_of_several_applications_comes_with_any_of_them(pendo: Subscription) -> None:
    """`appIds` counts beside `appId`; an object of no application is never dropped."""
    objects = [{"id": "a", "appId": 1, "appIds": [1, 2]}, {"id": "b", "appId": 3}, {"id": "c"}]
    answer(pendo, "page", objects)
    assert sorted(pendo.read("pages", app_ids=["2"]).column("pages", "id")) == ["a", "c"]


def test_a_report_belongs_to_the_application_of_its_definition(pendo: Subscription) -> None:
    """A number or a text; a report on all applications, or one that names none, is never dropped."""
    apps = {"a": 2, "b": "2", "c": 3, "d": "3", "e": 'expandAppIds("*")', "f": None}
    objects = [{"id": name, "definition": {"config": {"appId": app}}} for name, app in apps.items()]
    answer(pendo, "report", [*objects, {"id": "g", "definition": None}, {"id": "h", "definition": {"config": []}}])
    assert sorted(pendo.read("reports", app_ids=["2"]).column("reports", "id")) == ["a", "b", "e", "f", "g", "h"]
    assert len(pendo.read("reports").records["reports"]) == 8


def test_an_object_without_a_time_of_change_comes_with_every_sync(pendo: Subscription) -> None:
    """It may have changed at any time. It must not end the stream nor move its state."""
    answer(pendo, "page", [{"id": "a", "lastUpdatedAt": None}, {"id": "b", "lastUpdatedAt": 1_000}])
    state = {"last_updated_at": "2026-03-01T00:00:00.000Z", "version": 1}
    out = pendo.read("pages", state={"pages": state})
    assert out.column("pages", "id") == ["a"]
    assert out.state("pages") == state


def test_a_change_in_the_future_does_not_carry_the_state_away(pendo: Subscription) -> None:
    """The state is never later than the start of the sync."""
    answer(pendo, "page", [{"id": "a", "lastUpdatedAt": 4_000_000_000_000}])
    out = pendo.read("pages")
    assert out.state("pages")["last_updated_at"] == instant(pendo.sim.subscription.now)


def test_names_are_ours_in_documented_objects_and_theirs_in_free_ones(pendo: Subscription) -> None:
    """Track type names are texts, and keys of a map stay as they are."""
    guide = {
        "id": "g",
        "createdByUser": {"userType": "x", "lastLogin": 1000},
        "polls": [{"idResponses": {"aB": "Yes"}}],
    }
    answer(pendo, "guide", [guide | {"brandNew": {"keepMe": 1}}])
    answer(pendo, "tracktype", [{"id": "t", "trackTypeName": "Sent Report"}])
    out = pendo.read("guides", "track_types")
    (record,) = out.records["guides"]
    assert record["created_by_user"] == {"user_type": "x", "last_login": "1970-01-01T00:00:01.000Z"}
    assert record["polls"] == [{"id_responses": {"aB": "Yes"}}]
    assert record["brand_new"] == {"keepMe": 1}
    assert out.column("track_types", "track_type_name") == ["Sent Report"]


def test_a_list_that_breaks_in_the_middle_is_read_again_and_each_object_comes_once(pendo: Subscription) -> None:
    """A body without a length that ends at a bracket looks complete until its rows are read."""
    rows = [{"id": f"p{number}", "name": "x" * 1000, "appIds": []} for number in range(400)]
    for text in (cut_in_the_middle(rows), orjson.dumps(rows).decode()):
        pendo.sim.faults.add(Fault("status", path="page", status=200, answer=text))
    out = pendo.read("pages")
    assert out.logged("broke in the middle")
    assert sorted(out.column("pages", "id")) == sorted(str(row["id"]) for row in rows)


def test_a_list_that_breaks_every_time_fails(pendo: Subscription) -> None:
    """And its state does not move."""
    pendo.sim.faults.add(Fault("status", path="page", status=200, answer='[{"id":"a"},{"id":[]', times=-1))
    out = pendo.read("pages")
    assert "not JSON" in out.failures["pages"].message
    assert out.states["pages"] == []


def test_an_object_in_place_of_a_list_is_no_empty_list(pendo: Subscription) -> None:
    """An error in a 200 is a failure, not a complete stream without records."""
    pendo.sim.faults.add(Fault("status", path="segment", status=200, answer='{"error":"no"}', times=-1))
    out = pendo.read("segments", "pages")
    assert "another shape" in out.failures["segments"].message
    assert out.statuses["pages"][-1] == "COMPLETE"


@pytest.mark.parametrize(("stream", "kind"), [("metadata_accounts", "account"), ("metadata_visitors", "visitor")])
def test_each_metadata_field_is_a_row_with_its_own_name(pendo: Subscription, stream: str, kind: str) -> None:
    """Two names that differ only in case are two rows, types nobody knows are texts."""
    out = pendo.read(stream)
    truth = {(row["group"], row["field"]): row["Type"] for row in pendo.truth(stream)}
    assert {(row["group"], row["field"]): row["type"] for row in out.records[stream]} == truth
    assert {"display_name", "is_deleted", "never_index"} <= out.records[stream][0].keys()
    assert out.statuses[stream] == ["STARTED", "RUNNING", "COMPLETE"]


@pytest.mark.parametrize("text", ["[]", "null", '{"error":"no"}', '{"agent":{"name":"odd"}}'])
def test_metadata_of_another_shape_is_no_subscription_without_metadata(pendo: Subscription, text: str) -> None:
    """An answer in which no field can be found fails the stream with a sentence."""
    pendo.sim.faults.add(Fault("status", path="metadata", status=200, answer=text, times=-1))
    out = pendo.read("metadata_visitors")
    assert "another shape" in out.failures["metadata_visitors"].message


@pytest.mark.slow
@pytest.mark.parametrize("text", ["{}", '{"auto":{},"agent":{},"custom":{}}', '{"auto":{},"custom":null}'])
def test_a_subscription_without_metadata_is_complete_and_empty(pendo: Subscription, text: str) -> None:
    """No custom metadata at all is legal, and so are groups without fields."""
    pendo.sim.faults.add(Fault("status", path="metadata", status=200, answer=text, times=-1))
    assert pendo.check() == (True, "")
    out = pendo.read("metadata_visitors")
    assert out.statuses["metadata_visitors"] == ["STARTED", "COMPLETE"]
    assert out.records["metadata_visitors"] == []


def test_a_check_names_the_metadata_streams_that_would_fail(pendo: Subscription) -> None:
    """Both look at the same answer in the same way."""
    pendo.sim.faults.add(Fault("status", path="metadata", status=200, answer='{"error":"no"}', times=-1))
    succeeded, sentence = pendo.check()
    assert succeeded
    assert "answer as it should for metadata_accounts, metadata_visitors" in sentence


def answer(pendo: Subscription, path: str, rows: list[dict[str, Any]]) -> None:
    """Let an endpoint answer these rows."""
    pendo.sim.faults.add(Fault("status", path=path, status=200, answer=orjson.dumps(rows).decode(), times=-1))
