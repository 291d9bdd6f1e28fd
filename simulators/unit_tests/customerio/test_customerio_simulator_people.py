"""People, suppressed addresses, exports."""

from __future__ import annotations

from typing import Any

import pytest
from simulators.customerio import CustomerioSimulator
from simulators.customerio.build_people import MAIN_DOMAIN, NUMERIC_LOOKING, SECOND_DOMAIN, SUPPRESSION_TYPES


def exists(field: str) -> Any:
    return {"filter": {"and": [{"attribute": {"field": field, "operator": "exists"}}]}}


def found(api: Any, condition: Any) -> list[str]:
    pages = api.pages("/customers", "identifiers", {"filter": condition}, limit=1000)
    return [row["cio_id"] for page in pages for row in page]


def test_a_search_and_the_hydration_of_its_ids_give_everybody(sim: CustomerioSimulator, api: Any) -> None:
    pages = api.pages("/customers", "identifiers", exists("cio_id"), limit=1000)
    ids = [row["cio_id"] for page in pages for row in page]
    people: list[Any] = []
    for first in range(0, len(ids), 100):
        people += api.post("/customers/attributes", {"ids": ids[first : first + 100]}, id_type="cio_id")["customers"]
    assert [{"cio_id": row["identifiers"]["cio_id"], **row} for row in people] == sim.truth("customers")


def test_a_search_has_fifty_a_page_by_default(api: Any) -> None:
    pages = api.pages("/customers", "identifiers", exists("cio_id"))
    assert [len(page) for page in pages] == [50, 50, 21]


def test_people_without_an_id_are_missed_by_id_and_found_by_cio_id(sim: CustomerioSimulator, api: Any) -> None:
    everybody, identified = found(api, exists("cio_id")["filter"]), found(api, exists("id")["filter"])
    missing = set(everybody) - set(identified)
    assert len(everybody) == 121
    assert {row["cio_id"] for row in sim.truth("customers") if row["id"] is None} == missing


def test_the_search_language_has_and_or_not_segment_and_attribute(sim: CustomerioSimulator, api: Any) -> None:
    pro = {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}
    second = {"segment": {"id": 2}}
    people = {row["cio_id"]: row["attributes"]["plan"] == "pro" for row in sim.truth("customers")}
    members = {row["cio_id"] for row in sim.truth("segment_memberships") if row["segment_id"] == 2}
    paying = {cio_id for cio_id, is_pro in people.items() if is_pro}
    assert set(found(api, {"and": [pro, second]})) == paying & members
    assert set(found(api, {"or": [pro, second]})) == paying | members
    assert set(found(api, {"and": [{"not": pro}, {"not": second}]})) == set(people) - paying - members


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"and": []},
        {"attribute": {"field": "plan", "operator": "contains", "value": "p"}},
        {"or": [{"attribute": {"field": "cio_id", "operator": "exists"}}, {"xor": []}]},
    ],
)
def test_a_filter_outside_the_language_is_400(api: Any, condition: Any) -> None:
    assert api.ask("POST", "/customers", {"filter": condition}).status_code == 400


def test_hydration_takes_bare_cio_ids_and_drops_unknown_ones(api: Any) -> None:
    def hydrate(*ids: str, **params: str) -> list[Any]:
        rows: list[Any] = api.post("/customers/attributes", {"ids": list(ids)}, **params)["customers"]
        return rows

    assert len(hydrate("a3000000", "a3999999", id_type="cio_id")) == 1
    assert hydrate("cio_a3000000", id_type="cio_id") == []
    assert hydrate("a3000000") == []  # the default type is id
    assert hydrate("u0")[0]["identifiers"]["cio_id"] == "a3000000"
    assert hydrate(NUMERIC_LOOKING, id_type="cio_id")[0]["identifiers"]["cio_id"] == "30e00001"


def test_more_than_a_hundred_ids_are_400(api: Any) -> None:
    assert api.ask("POST", "/customers/attributes", {"ids": ["u0"] * 101}).status_code == 400
    assert api.ask("POST", "/customers/attributes", {"ids": [30]}).status_code == 400
    assert api.ask("POST", "/customers/attributes", ["u0"]).status_code == 400


def test_items_are_bare_and_wrapped_with_a_switch_and_values_are_strings(sim: CustomerioSimulator, api: Any) -> None:
    bare = api.post("/customers/attributes", {"ids": ["u0"]})["customers"][0]
    sim.options.wrap_customers = True
    assert api.post("/customers/attributes", {"ids": ["u0"]})["customers"] == [{"customer": bare}]
    assert all(isinstance(value, str) for row in sim.truth("customers") for value in row["attributes"].values())


def test_a_person_is_found_by_address(api: Any) -> None:
    assert api.get("/customers", email="person+0@example.com")["results"][0]["cio_id"] == "a3000000"
    assert api.get("/customers", email="nobody@example.com") == {"results": []}


def test_the_awkward_people_are_there(sim: CustomerioSimulator) -> None:
    people = sim.truth("customers")
    assert NUMERIC_LOOKING in {row["cio_id"] for row in people}
    kinds = {(row["identifiers"]["email"] is None, row["identifiers"]["id"] is None) for row in people}
    assert kinds == {(False, False), (True, False), (False, True), (True, True)}
    members = {row["cio_id"] for row in sim.truth("segment_memberships")}
    assert {row["cio_id"] for row in people} - members


@pytest.mark.parametrize("kind", SUPPRESSION_TYPES)
def test_suppressions_come_by_offset_and_in_order_of_address(sim: CustomerioSimulator, api: Any, kind: str) -> None:
    rows: list[Any] = []
    while page := api.get(f"/esp/suppression/{kind}", limit=50, offset=len(rows))["suppressions"]:
        rows += page
    assert [row["email"] for row in rows] == sorted(row["email"] for row in rows)
    added = [{"suppression_type": kind, "domain": "", **row} for row in rows]
    assert added == [row for row in sim.truth("esp_suppressions") if row["suppression_type"] == kind]


def test_suppressions_are_null_past_the_end_and_for_an_unknown_domain(api: Any) -> None:
    past = api.get("/esp/suppression/bounces", offset=100_000)
    unknown = api.get("/esp/suppression/bounces", domain="mail.exmaple.com")
    assert past == unknown == {"category": "bounces", "suppressions": None}
    assert len(api.get("/esp/suppression/bounces")["suppressions"]) == 100


def test_an_address_may_be_suppressed_on_several_domains(sim: CustomerioSimulator, api: Any) -> None:
    both = [api.get("/esp/suppression/bounces", domain=name)["suppressions"] for name in (MAIN_DOMAIN, SECOND_DOMAIN)]
    assert both[0][0] == both[1][0]
    assert api.get("/esp/suppression/bounces")["suppressions"] == both[0]
    truth = sim.truth("esp_suppressions", domains=f"{MAIN_DOMAIN},{SECOND_DOMAIN}")
    assert {row["domain"] for row in truth} == {MAIN_DOMAIN, SECOND_DOMAIN}


def test_an_unknown_type_of_suppression_is_404(api: Any) -> None:
    assert api.status("/esp/suppression/curses") == 404


def test_suppressions_of_a_domain_come_with_tokens_too(api: Any) -> None:
    path = f"/esp/domains/{MAIN_DOMAIN}/suppression/bounces"
    assert [len(page) for page in api.pages(path, "suppressions", limit=60)] == [60, 60, 10]
    assert len(api.get(path, email="gone.00003@example.net")["suppressions"]) == 1


def test_an_address_that_is_not_encoded_in_a_path_finds_nothing(api: Any) -> None:
    encoded = api.get("/esp/search_suppression/gone.00003%40example.net")
    raw = api.get("/esp/search_suppression/gone.00003@example.net")
    assert encoded["category"] == "bounces"
    assert raw["suppressions"] is None


def test_an_export_is_pending_until_its_status_was_read_often_enough(api: Any) -> None:
    number = api.post("/exports/customers", {"filters": exists("cio_id")["filter"]})["export"]["id"]
    assert api.status(f"/exports/{number}/download") == 404
    states = [api.get(f"/exports/{number}")["export"]["status"] for _ in range(3)]
    assert states == ["pending", "pending", "done"]
    assert api.get(f"/exports/{number}/download")["url"].startswith("https://")
    assert api.get(f"/exports/{number}")["export"]["downloads"] == 1


def test_an_export_without_its_filter_or_parent_is_refused(api: Any) -> None:
    refused = api.ask("POST", "/exports/customers", {})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["source"]["pointer"] == "/data/attributes/filters"
    assert api.ask("POST", "/exports/deliveries", {"campaign_id": 4, "newsletter_id": 1}).status_code == 400
    assert api.ask("POST", "/exports/deliveries", {"campaign_id": 4}).status_code == 200


def test_the_exports_that_were_there_do_not_change_by_being_read(sim: CustomerioSimulator, api: Any) -> None:
    first = api.get("/exports")
    assert {row["status"] for row in first["exports"]} == {"done", "failed", "pending"}
    assert [api.get("/exports") for _ in range(4)][-1] == first
