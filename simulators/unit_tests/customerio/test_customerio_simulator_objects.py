"""Objects, relationships from both sides, preferences of topics, workspaces that know people by other identifiers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from simulators.customerio import CustomerioSimulator
from simulators.customerio.build_objects import DISABLED_TYPE, EMPTY_TYPE, NUMERIC_LOOKING_OBJECT
from simulators.customerio.build_people import COMPUTED, SET


def leaf(field: str, **more: Any) -> Any:
    return {"object_attribute": {"field": field, "operator": "exists", "type_id": "1", **more}}


def found(api: Any, condition: Any, kind: str = "1") -> list[str]:
    body = {"object_type_id": kind, "filter": condition}
    return [row["cio_object_id"] for page in api.pages("/objects", "identifiers", body, limit=1000) for row in page]


def truth(sim: CustomerioSimulator, stream: str, kind: str = "1") -> list[Any]:
    return [row for row in sim.truth(stream) if row["object_type_id"] == kind]


def test_a_search_and_one_request_for_each_object_give_all_objects(sim: CustomerioSimulator, api: Any) -> None:
    rows = []
    for cio_object_id in found(api, {"and": [leaf("cio_object_id")]}):
        item = api.get(f"/objects/1/{cio_object_id}/attributes", id_type="cio_object_id")["object"]
        rows.append({"cio_object_id": cio_object_id, "object_id": item["identifiers"]["object_id"], **item})
        by_own_id = api.get(f"/objects/1/{quote(item['identifiers']['object_id'], safe='')}/attributes")
        assert by_own_id == {"object": item}
    assert rows == truth(sim, "objects")
    assert NUMERIC_LOOKING_OBJECT in {row["cio_object_id"] for row in rows}


def test_objects_come_page_by_page_with_a_next(sim: CustomerioSimulator, api: Any) -> None:
    body = {"object_type_id": "1", "filter": {"and": [leaf("object_id")]}}
    assert [len(page) for page in api.pages("/objects", "identifiers", body, limit=4)] == [4, 4, 2]
    assert found(api, {"and": [leaf("object_id", type_id=EMPTY_TYPE)]}, EMPTY_TYPE) == []
    assert len(found(api, {"not": leaf("name")})) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"filter": {"and": [leaf("object_id")]}},
        {"object_type_id": "1"},
        {"object_type_id": 1, "filter": {"and": [leaf("object_id")]}},
        {"object_type_id": "9", "filter": {"and": [leaf("object_id", type_id="9")]}},
        {"object_type_id": "1", "filter": {"and": []}},
        {"object_type_id": "1", "filter": {"and": [leaf("object_id", type_id="2")]}},
        {"object_type_id": "1", "filter": {"object_attribute": {"field": "object_id", "operator": "exists"}}},
    ],
)
def test_a_search_needs_the_type_and_a_filter_whose_leaves_have_it_too(api: Any, body: Any) -> None:
    assert api.ask("POST", "/objects", body).status_code == 400


def test_a_switch_takes_or_out_of_the_language(sim: CustomerioSimulator, api: Any) -> None:
    body = {"object_type_id": "1", "filter": {"or": [leaf("object_id"), leaf("cio_object_id")]}}
    assert api.ask("POST", "/objects", body).status_code == 200
    sim.options.object_search_or = False
    assert api.ask("POST", "/objects", body).status_code == 400


def test_which_field_finds_every_object_is_a_switch(sim: CustomerioSimulator, api: Any) -> None:
    everything = found(api, {"or": [leaf("object_id"), leaf("cio_object_id")]})
    assert everything == [row["cio_object_id"] for row in truth(sim, "objects")]
    sim.mutate("object_field", field="object_id")
    assert found(api, {"and": [leaf("object_id")]}) == everything
    assert found(api, {"and": [leaf("cio_object_id")]}) == []
    sim.mutate("object_field", field="cio_object_id")
    assert found(api, {"and": [leaf("cio_object_id")]}) == everything
    assert 0 < len(found(api, {"and": [leaf("object_id")]})) < len(everything)


def test_relationships_have_attributes_and_a_number_as_type_on_the_persons_side_only(
    sim: CustomerioSimulator, api: Any
) -> None:
    of_object: list[Any] = []
    for kind in ("1", DISABLED_TYPE):
        for one in truth(sim, "objects", kind):
            path = f"/objects/{kind}/{one['cio_object_id']}/relationships"
            pages = api.pages(path, "cio_relationships", id_type="cio_object_id", limit=5)
            assert all(0 < len(page) <= 5 for page in pages) or pages == [[]]
            for row in (row for page in pages for row in page):
                assert row.keys() == {"object_type_id", "object_type_disabled", "identifiers"}
                of_object.append((row["object_type_id"], one["cio_object_id"], row["identifiers"]["cio_id"]))
    rows = sim.truth("object_relationships")
    assert sorted(of_object) == sorted((row["object_type_id"], row["cio_object_id"], row["cio_id"]) for row in rows)
    of_people = []
    for person in sim.truth("customers"):
        pages = api.pages(
            f"/customers/{person['cio_id']}/relationships", "cio_relationships", id_type="cio_id", limit=1
        )
        for row in (row for page in pages for row in page):
            assert row["attributes"]["role"] in {"owner", "member"}
            of_people.append((str(row["object_type_id"]), row["identifiers"]["cio_object_id"], person["cio_id"]))
    assert sorted(of_people) == sorted(of_object)


def test_objects_and_people_that_do_not_exist_are_404(sim: CustomerioSimulator, api: Any) -> None:
    sim.mutate("delete_object", cio_object_id=NUMERIC_LOOKING_OBJECT)
    for path in ("attributes", "relationships"):
        assert api.status(f"/objects/1/{NUMERIC_LOOKING_OBJECT}/{path}", id_type="cio_object_id") == 404
    assert api.status("/customers/nobody/relationships") == 404


def test_the_texts_of_preferences_hold_the_topics_or_are_malformed(sim: CustomerioSimulator) -> None:
    rows: list[Any] = []
    malformed = missing = 0
    for person in sim.truth("customers"):
        texts = person["attributes"]
        try:
            chosen, computed = (json.loads(texts.get(name, '{"topics":{}}'))["topics"] for name in (SET, COMPUTED))
        except ValueError:
            malformed += 1
            continue
        missing += COMPUTED not in texts
        rows += [
            (person["cio_id"], name, chosen.get(name), computed.get(name), person["timestamps"].get(SET))
            for name in {**chosen, **computed}
        ]
    columns = ("cio_id", "identifier", "subscribed_set", "subscribed", "changed_at")
    assert rows == [tuple(row[column] for column in columns) for row in sim.truth("customer_topics")]
    assert malformed == 1
    assert missing > 1
    topics = {row["identifier"] for row in sim.truth("topics")}
    assert {name for _, name, *_ in rows} - topics == {"topic_7"}


def test_devices_come_with_and_without_attributes_and_some_people_were_never_mailed(sim: CustomerioSimulator) -> None:
    people = sim.truth("customers")
    assert {"attributes" in device for row in people for device in row["devices"]} == {True, False}
    assert {"_last_emailed" in row["timestamps"] for row in people} == {True, False}


@pytest.mark.parametrize(
    ("kinds", "refused"),
    [
        (["id", "email"], ["phone"]),
        (["id"], ["email", "phone"]),
        (["id", "email", "phone"], []),
        (["phone"], ["email"]),
    ],
)
def test_a_workspace_refuses_identifiers_that_are_off_and_leaves_them_out(
    sim: CustomerioSimulator, api: Any, kinds: list[str], refused: list[str]
) -> None:
    sim.mutate("identify_by", kinds=kinds)
    person = sim.truth("customers")[13]
    for kind, value in (("email", "person.13@example.com"), ("phone", "+15550000013"), ("cio_id", person["cio_id"])):
        asked = api.ask("POST", "/customers/attributes", {"ids": [value]}, id_type=kind)
        activities = api.ask("GET", "/activities", customer_id=value, id_type=kind)
        relationships = api.ask("GET", f"/customers/{quote(value)}/relationships", id_type=kind)
        expected = 400 if kind in refused else 200
        assert [answer.status_code for answer in (asked, activities, relationships)] == [expected] * 3
        if expected == 200:
            assert asked.json()["customers"][0]["identifiers"]["cio_id"] == person["cio_id"]
    for page in api.pages("/segments/1/membership", "identifiers"):
        for row in page:
            assert row.keys() == {"cio_id", *kinds} - {"phone"}
    found = [message["customer_identifiers"] for message in api.get("/messages", limit=100)["messages"]]
    known = next(one for one in found if one is not None)  # a message to someone who is gone has none
    assert known.keys() == {"cio_id", *kinds} - {"phone"}
