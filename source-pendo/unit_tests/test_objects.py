"""Objects that are documented and were never read live: whatever form Pendo gives them, or none."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pendo_reader import STREAM_NAMES, Row, Subscription, freeze_clock
from simulators.faults import Fault
from simulators.pendo import PendoSimulator
from source_kit.convert import snake_case
from source_pendo.client import MAY_WRITE, WRONG_KEY, WRONG_REGION

LACKING = "Pendo refuses {}, which not every subscription has"
#: stream, what matches its question
QUESTIONS = {
    "apps": '"apps"',
    "product_areas": '"groupType": ?"group"',
    "guide_categories": '"groupType": ?"guideCategory"',
    "do_not_process_visitors": '"doNotProcessVisitors"',
    "do_not_process_accounts": '"doNotProcessAccounts"',
    "feedback_items": '"vocItems"',
    "feedback_votes": '"votes"',
}
KEYS = {
    **dict.fromkeys([*QUESTIONS, "bulk_deletions"], "id"),
    "do_not_process_visitors": "visitorId",
    "do_not_process_accounts": "accountId",
}
REFUSALS = [(400, "bad source"), (400, "who knows"), (402, ""), (403, ""), (404, ""), (422, "")]


def answer(pendo: Subscription, body: str, rows: list[Any], times: int = -1) -> None:
    """Let the aggregations that match answer these rows."""
    document = orjson.dumps({"startTime": 0, "results": rows}).decode()
    pendo.sim.faults.add(Fault("status", path="aggregation", body=body, status=200, answer=document, times=times))


def refuse(pendo: Subscription, stream: str, status: int, text: str = "") -> None:
    """Let the question of a stream be refused."""
    where = {"path": "bulkdelete"} if stream == "bulk_deletions" else {"body": QUESTIONS[stream]}
    pendo.sim.faults.add(Fault("status", status=status, answer=text, times=-1, **where))


@pytest.mark.slow
@pytest.mark.parametrize(("status", "text"), REFUSALS)
def test_a_subscription_without_the_streams_passes_the_check_and_is_discovered_without_them(
    pendo: Subscription, status: int, text: str
) -> None:
    lacking = [*list(QUESTIONS)[:3], "bulk_deletions", *list(QUESTIONS)[3:]]
    for stream in lacking:
        refuse(pendo, stream, status, text)
    succeeded, sentence = pendo.check()
    assert succeeded
    assert LACKING.format(", ".join(lacking)) in sentence
    assert [stream.name for stream in pendo.discover().streams] == [
        name for name in STREAM_NAMES if name not in lacking
    ]


@pytest.mark.slow
def test_a_stream_that_fails_for_a_moment_stays_in_the_catalog(pendo: Subscription) -> None:
    """Its columns must not be removed because Pendo is out of order."""
    refuse(pendo, "feedback_votes", 503)
    refuse(pendo, "bulk_deletions", 500)
    assert {"feedback_votes", "bulk_deletions"} <= {stream.name for stream in pendo.discover().streams}


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["apps", "bulk_deletions"])
def test_a_stream_that_the_subscription_lacks_fails_alone_in_a_read(pendo: Subscription, stream: str) -> None:
    refuse(pendo, stream, 402, "not in your plan")
    out = pendo.read(stream, "segments")
    assert "contract" in out.failures[stream].message
    assert "not in your plan" in out.failures[stream].internal_message
    assert out.statuses["segments"][-1] == "COMPLETE"


def test_new_streams_that_answer_do_not_save_a_check_in_which_all_others_fail(pendo: Subscription) -> None:
    for question in QUESTIONS.values():
        answer(pendo, question, [])
    pendo.sim.faults.add(Fault("status", path="token/verify", status=404))
    pendo.sim.faults.add(Fault("status", path="bulkdelete", status=200, answer="[]"))
    pendo.sim.faults.add(Fault("status", status=403, times=-1))
    assert pendo.check() == (False, WRONG_KEY)


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 401])
def test_the_keys_own_check_comes_first_and_decides(pendo: Subscription, status: int) -> None:
    """One request instead of one for each stream."""
    pendo.sim.faults.add(Fault("status", path="token/verify", status=status, times=-1))
    assert pendo.check() == (False, WRONG_KEY)
    assert len(pendo.sim.requests) == 1


@pytest.mark.slow
def test_a_key_of_another_region_is_named_where_everything_answers_so(pendo: Subscription) -> None:
    assert pendo.check(api_key="simulated-integration-key.eu") == (False, WRONG_REGION)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", path="token/verify", status=404, times=-1),
        Fault("status", path="token/verify", status=400, times=-1),
        Fault("status", path="token/verify", status=500, times=-1),
        Fault("html", path="token/verify", times=-1),
        Fault("status", path="token/verify", status=200, answer='["write"]', times=-1),
        Fault("status", path="token/verify", status=200, answer='{"writeAccess":false,"write":"no"}', times=-1),
    ],
    ids=["404", "400", "500", "html", "another shape", "read only"],
)
def test_a_keys_check_that_is_not_there_proves_nothing(pendo: Subscription, fault: Fault) -> None:
    pendo.sim.faults.add(fault)
    succeeded, sentence = pendo.check()
    assert succeeded
    assert MAY_WRITE not in sentence


@pytest.mark.slow
def test_a_key_that_may_write_is_warned_of(pendo: Subscription) -> None:
    """The name of the member is not documented."""
    body = '{"valid":true,"hasWriteAccess":true}'
    pendo.sim.faults.add(Fault("status", path="token/verify", status=200, answer=body, times=-1))
    succeeded, sentence = pendo.check()
    assert succeeded
    assert sentence.startswith(MAY_WRITE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["id", "appId"])
@pytest.mark.parametrize("sent", [-323232, -323232.0, "-323232"])
def test_an_application_has_its_id_under_either_name_and_in_every_form(
    pendo: Subscription, name: str, sent: Any
) -> None:
    """`app_id` of the other streams is an integer."""
    answer(pendo, '"apps"', [{name: sent, "name": "Web", "platform": "web"}, {name: 5, "name": "Other"}])
    (record,) = pendo.read("apps", app_ids=["-323232"]).records["apps"]
    assert (record["id"], record["name"], record["platform"]) == (-323232, "Web", "web")
    assert record["raw"]["platform"] == "web"


def test_items_of_a_group_have_names_of_the_warehouse(pendo: Subscription) -> None:
    items = [{"itemId": "p1", "itemType": "Page", "aB": 1}]
    answer(pendo, '"groupType": ?"group"', [{"id": "a", "items": items, "length": 1, "createdAt": 0}])
    answer(pendo, '"groupType": ?"guideCategory"', [{"id": "c", "items": None}])
    out = pendo.read("product_areas", "guide_categories")
    (area,) = out.records["product_areas"]
    assert area["items"] == [{"item_id": "p1", "item_type": "Page", "a_b": 1}]
    assert area["created_at"] is None
    assert out.column("guide_categories", "id") == ["c"]


def test_no_list_at_all_means_no_outstanding_bulk_deletions(pendo: Subscription) -> None:
    """As elsewhere `null` stands for an empty list: the check passes, so the sync must, too."""
    pendo.sim.faults.add(Fault("status", path="bulkdelete", status=200, answer="null"))
    out = pendo.read("bulk_deletions")
    assert out.failures == {}
    assert out.records["bulk_deletions"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        [{"id": "d1", "visitorIds": ["ann"]}, {"id": "d2"}],
        {"requests": [{"id": "d1", "visitorIds": ["ann"]}, {"id": "d2"}], "total": 2},
    ],
    ids=["list", "object"],
)
def test_bulk_deletions_come_as_a_list_or_in_an_object(pendo: Subscription, body: Any) -> None:
    pendo.sim.faults.add(Fault("status", path="bulkdelete", status=200, answer=orjson.dumps(body).decode(), times=-1))
    records = pendo.read("bulk_deletions").records["bulk_deletions"]
    assert [record["id"] for record in records] == ["d1", "d2"]
    assert records[0]["raw"] == {"id": "d1", "visitorIds": ["ann"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [{"error": "ann@example.com"}, {"a": [], "b": []}, ["ann@example.com"], [{"name": "ann@example.com"}]],
    ids=["no list", "two lists", "texts", "no id"],
)
def test_another_shape_is_an_error_and_never_an_empty_table(pendo: Subscription, body: Any) -> None:
    """The error shows no value: it could be somebody's address."""
    pendo.sim.faults.add(Fault("status", path="bulkdelete", status=200, answer=orjson.dumps(body).decode(), times=-1))
    out = pendo.read("bulk_deletions")
    assert "another shape than expected" in out.failures["bulk_deletions"].message
    assert "ann@" not in out.failures["bulk_deletions"].internal_message
    assert out.records["bulk_deletions"] == []


@pytest.mark.slow
@pytest.mark.parametrize("stream", list(QUESTIONS))
def test_a_row_without_its_key_is_an_error(pendo: Subscription, stream: str) -> None:
    """In a warehouse it would overwrite other rows."""
    answer(pendo, QUESTIONS[stream], [{"name": "ann@example.com"}])
    out = pendo.read(stream)
    assert "another shape than expected" in out.failures[stream].message
    assert "ann@" not in out.failures[stream].internal_message


def paged(pendo: Subscription, question: str, column: str, ids: list[str]) -> None:
    """Let a source answer its rows in pages of two."""
    for number, first in enumerate(ids):
        rows = [{column: id_} for id_ in ids[number : number + 2]]
        answer(pendo, f"{question}.*{column} >= .{{0,2}}{first}", rows)
    answer(pendo, question, [{column: id_} for id_ in ids[:2]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "column"),
    [
        ("do_not_process_visitors", "visitorId"),
        ("do_not_process_accounts", "accountId"),
        ("feedback_votes", "id"),
        ("product_areas", "id"),
    ],
)
def test_what_may_be_large_is_paged_by_its_key(pendo: Subscription, stream: str, column: str) -> None:
    ids = [f"k{number}" for number in range(5)]
    paged(pendo, QUESTIONS[stream], column, ids)
    answered = pendo.read(stream, record_limit=2)
    key = "id" if column == "id" else column.replace("Id", "_id")
    assert answered.failures == {}
    assert answered.column(stream, key) == ids


def test_metadata_of_those_who_must_not_be_processed_keep_their_names(pendo: Subscription) -> None:
    metadata = {"auto": {"lastVisit": 0}, "pendo": {"donotprocess": True}}
    answer(pendo, '"doNotProcessVisitors"', [{"visitorId": "", "metadata": metadata}])
    (record,) = pendo.read("do_not_process_visitors", app_ids=["1"]).records["do_not_process_visitors"]
    assert record == {"visitor_id": "", "metadata": metadata}


def feedback(pendo: Subscription, feedback: list[Row], ideas: list[Row]) -> None:
    """Let Listen answer items."""
    answer(pendo, '"type": ?"idea"', ideas)
    answer(pendo, '"type": ?"feedback"', feedback)


def test_an_item_that_comes_as_feedback_and_as_idea_is_one_row_with_its_type(pendo: Subscription) -> None:
    """Whether Pendo heeds the type is not known."""
    both = [{"id": "a", "type": "idea"}, {"id": "b", "type": "feedback"}, {"id": "c"}]
    feedback(pendo, both, [*both, {"id": "d"}, {"id": 7}])
    records = pendo.read("feedback_items").records["feedback_items"]
    types = {record["id"]: record["type"] for record in records}
    assert len(records) == len(types)
    assert types == {"a": "idea", "b": "feedback", "c": "feedback", "d": "idea", "7": "idea"}


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_ideas_that_are_refused_cost_only_the_ideas(pendo: Subscription, status: int) -> None:
    pendo.sim.faults.add(Fault("status", body='"type": ?"idea"', status=status, times=-1))
    feedback(pendo, [{"id": "a"}], [])
    out = pendo.read("feedback_items")
    assert (out.failures, out.column("feedback_items", "id")) == ({}, ["a"])
    assert any("refuses the items of type idea" in line for line in out.logs)


def test_ideas_that_fail_fail_the_stream(pendo: Subscription) -> None:
    """What is not refused exists."""
    pendo.sim.faults.add(Fault("status", body='"type": ?"idea"', status=503, times=-1))
    feedback(pendo, [{"id": "a"}], [])
    assert "feedback_items" in pendo.read("feedback_items").failures


def test_feedback_is_asked_for_in_the_chosen_applications(pendo: Subscription) -> None:
    feedback(pendo, [{"id": "a", "appId": 5}, {"id": "b", "appId": 6}, {"id": "c"}], [])
    assert pendo.read("feedback_items", app_ids=["5"]).column("feedback_items", "id") == ["a", "c"]
    asked = [pipeline[0]["source"]["vocItems"]["appId"] for pipeline in pendo.pipelines("vocItems")]
    pendo.read("feedback_items")
    asked += [pendo.pipelines("vocItems")[-1][0]["source"]["vocItems"]["appId"]]
    assert asked == [[5], [5], ['expandAppIds("*")']]


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["observed", "documented"])
def test_in_pages_of_two_rows_they_equal_the_truth(monkeypatch: pytest.MonkeyPatch, rules: str) -> None:
    """Whether or not Pendo enforces all that it documents; the objects of one application with `app_ids`."""
    with PendoSimulator(seed=1, size="tiny", rules=rules) as sim:
        freeze_clock(sim, monkeypatch)
        pendo = Subscription(sim)
        sim.mutate("switch", ideas=True)
        assert pendo.check() == (True, "")
        out = pendo.read(*QUESTIONS, "bulk_deletions", record_limit=2)
        chosen = pendo.read("apps", "feedback_items", app_ids=["-323232"])
    assert out.failures == chosen.failures == {}
    for stream, key in KEYS.items():
        truth = sorted(row[key] for row in sim.truth(stream))
        assert sorted(out.column(stream, snake_case(key))) == truth
        assert len(truth) > 1
    assert {row["type"] for row in out.records["feedback_items"]} == {"feedback", "idea"}
    assert chosen.column("apps", "id") == [-323232]
    truth = sorted(row["id"] for row in sim.truth("feedback_items", apps="-323232"))
    assert sorted(chosen.column("feedback_items", "id")) == truth


def test_a_list_that_breaks_in_the_middle_is_asked_for_again(pendo: Subscription) -> None:
    """Half a list is never kept."""
    pendo.sim.faults.add(Fault("cut_silent", body='"apps"'))
    assert len(pendo.read("apps").records["apps"]) == len(pendo.truth("apps"))
