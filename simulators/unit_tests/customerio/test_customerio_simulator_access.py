"""Keys, regions, limits, scopes, and what all answers have in common."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from simulators.customerio import API_KEYS, TRACK_KEY, CustomerioSimulator, Options


def get(sim: CustomerioSimulator, path: str, authorization: str | None = None) -> requests.Response:
    headers = {"Authorization": authorization or f"Bearer {sim.api_key}"}
    return requests.get(f"{sim.url}/v1{path}", headers=headers, timeout=10)


def test_a_key_works_in_its_own_region_only() -> None:
    with CustomerioSimulator(region="US") as us, CustomerioSimulator(region="EU") as eu:
        assert [get(sim, "/campaigns", f"Bearer {API_KEYS['EU']}").status_code for sim in (us, eu)] == [401, 200]
        assert [get(sim, "/campaigns", f"Bearer {API_KEYS['US']}").status_code for sim in (us, eu)] == [200, 401]


def test_the_two_regions_hold_the_same_data() -> None:
    us, eu = (CustomerioSimulator(region=region, now=1_772_323_200) for region in ("US", "EU"))
    assert us.truth("messages") == eu.truth("messages")


def test_a_track_key_is_refused_in_any_scheme(sim: CustomerioSimulator) -> None:
    basic = requests.get(sim.url + "/v1/campaigns", auth=tuple(TRACK_KEY.split(":")), timeout=10)  # type: ignore[arg-type]
    bearer = get(sim, "/campaigns", f"Bearer {TRACK_KEY}")
    missing = requests.get(sim.url + "/v1/campaigns", timeout=10)
    assert [answer.status_code for answer in (basic, bearer, missing)] == [401, 401, 401]
    assert bearer.json()["errors"][0]["code"] == "invalid_credentials"


def test_ip_addresses_need_no_key(sim: CustomerioSimulator) -> None:
    answer = requests.get(sim.url + "/v1/info/ip_addresses", timeout=10)
    assert answer.json()["ip_addresses"] == [row["ip_address"] for row in sim.truth("ip_addresses")]


def test_the_eleventh_request_of_a_second_is_refused_over_all_endpoints(monkeypatch: Any) -> None:
    monkeypatch.setattr("simulators.customerio.simulator.monotonic", lambda: 100.0)
    with CustomerioSimulator() as sim:
        paths = ["/campaigns", "/segments", "/snippets", "/topics-do-not-exist", "/exports"] * 3
        answers = [get(sim, path) for path in paths]
        assert [answer.status_code for answer in answers[10:]] == [429] * 5
        assert answers[-1].headers["Retry-After"] == "1"
        detail = answers[-1].json()["errors"][0]["detail"]
        assert detail.startswith("rate limited to 10 requests per 1s (reference ")


def test_the_limit_is_a_rolling_second_and_refused_requests_do_not_count(monkeypatch: Any) -> None:
    clock = [100.0]
    monkeypatch.setattr("simulators.customerio.simulator.monotonic", lambda: clock[0])
    with CustomerioSimulator() as sim:
        statuses = []
        for moment in (0.0, 0.5, 0.9, 1.01, 1.4, 1.6):
            clock[0] = 100 + moment
            statuses.append([get(sim, "/snippets").status_code for _ in range(6)].count(200))
    assert statuses == [6, 4, 0, 6, 0, 4]


def test_the_rate_limit_can_be_switched_off(sim: CustomerioSimulator) -> None:
    assert {get(sim, "/snippets").status_code for _ in range(15)} == {200}


def test_a_used_up_daily_quota_is_a_429_without_retry_after() -> None:
    with CustomerioSimulator(options=Options(daily_quota=2)) as sim:
        answers = [get(sim, "/snippets") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "Retry-After" not in answers[-1].headers


def test_archived_messages_have_a_quota_of_their_own(sim: CustomerioSimulator) -> None:
    sim.options.archived_per_day = 1
    message_id = requests.utils.quote(sim.truth("messages")[0]["id"], safe="")
    answers = [get(sim, f"/messages/{message_id}/archived_message") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "Retry-After" not in answers[-1].headers
    assert get(sim, "/snippets").status_code == 200


def test_a_path_outside_the_scope_of_the_key_is_403_and_the_others_go_on(sim: CustomerioSimulator) -> None:
    sim.mutate("options", forbidden=["^/activities", "/membership$"])
    assert [get(sim, path).status_code for path in ("/activities", "/segments/1/membership", "/segments")] == [
        403,
        403,
        200,
    ]


def test_a_path_outside_the_scope_may_be_401_and_a_429_may_lack_retry_after(sim: CustomerioSimulator) -> None:
    sim.mutate("options", forbidden=["^/activities"], forbidden_status=401)
    assert [get(sim, path).status_code for path in ("/activities", "/segments")] == [401, 200]
    sim.mutate("options", rate_limit=1, retry_after=False)
    answers = [get(sim, "/segments") for _ in range(4)]
    assert {"Retry-After" in answer.headers for answer in answers if answer.status_code == 429} == {False}


@pytest.mark.parametrize("status", [301, 307])
def test_a_key_of_the_other_region_may_be_redirected(sim: CustomerioSimulator, status: int) -> None:
    sim.options.other_region = status
    headers = {"Authorization": f"Bearer {API_KEYS['EU']}"}
    answer = requests.get(f"{sim.url}/v1/campaigns?a=b", headers=headers, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (
        status,
        "https://api-eu.customer.io/v1/campaigns?a=b",
    )
    assert get(sim, "/campaigns", "Bearer nothing").status_code == 401


def test_an_unknown_id_may_be_400_on_one_family_of_paths_or_on_all(sim: CustomerioSimulator) -> None:
    sim.mutate("vanish", stream="campaigns", id=4)
    paths = ("/campaigns/4/actions", "/campaigns/4", "/broadcasts/1/triggers", "/campaigns")
    sim.options.vanished_as_400 = ["/campaigns/.*/actions"]
    assert [get(sim, path).status_code for path in paths] == [400, 404, 404, 200]
    sim.options.vanished_as_400 = [""]
    assert [get(sim, path).status_code for path in paths] == [400, 400, 400, 200]


def test_an_error_has_a_string_status_and_a_reference_that_comes_from_the_seed() -> None:
    bodies = []
    for _ in range(2):
        with CustomerioSimulator(seed=5) as sim:
            answers = [get(sim, path) for path in ("/nothing", "/campaigns/999999", "/campaigns/999999/actions")]
            assert {answer.status_code for answer in answers} == {404}
            bodies.append([answer.json()["errors"][0] for answer in answers])
    assert all(item["status"] == "404" for item in bodies[0])
    assert re.fullmatch(r"not found \(reference [0-9A-Z]{26}\)", bodies[0][0]["detail"])
    assert bodies[0] == bodies[1]
    assert len({item["detail"] for item in bodies[0]}) == 3


def test_the_headers_are_those_of_a_live_answer(sim: CustomerioSimulator) -> None:
    headers = get(sim, "/campaigns").headers
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Cache-Control"] == "must-revalidate,no-cache,no-store"
    assert headers["Via"] == "1.1 google"
    assert not [name for name in headers if name.lower() in {"link", "etag"} or "ratelimit" in name.lower()]


def test_unknown_parameters_of_a_list_are_ignored(sim: CustomerioSimulator) -> None:
    plain, decorated = get(sim, "/campaigns"), get(sim, "/campaigns?updated_since=1&limit=1&start=x&page=7")
    assert plain.content == decorated.content


def test_the_legacy_prefix_does_not_exist(sim: CustomerioSimulator) -> None:
    assert get(sim, "/api/campaigns").status_code == 404
