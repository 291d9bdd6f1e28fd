"""Metrics of both versions, links and journeys."""

from __future__ import annotations

from typing import Any

import pytest
from simulators.customerio import CustomerioSimulator
from simulators.customerio.metrics import JOURNEY_SERIES, NULL_SERIES
from simulators.customerio.workspace import DAY

SUNDAY = 1_767_484_800
"""2026-01-04, midnight UTC."""
MONDAY = SUNDAY + DAY

NOW = MONDAY + 20 * DAY


@pytest.fixture
def sim() -> Any:
    with CustomerioSimulator(now=NOW) as simulator:
        simulator.options.rate_limit = None
        yield simulator


def total(document: Any, name: str = "sent") -> int:
    return sum(document["metric"]["series"][name])


@pytest.mark.parametrize(("period", "maximum"), [("hours", 24), ("days", 45), ("weeks", 12), ("months", 121)])
def test_version_1_gives_the_requested_steps_up_to_a_maximum(api: Any, period: str, maximum: int) -> None:
    def steps(**params: Any) -> int:
        return len(api.get("/campaigns/4/metrics", period=period, **params)["metric"]["series"]["sent"])

    assert steps(steps=3) == 3
    assert steps(steps=999) == maximum
    assert steps() == (12 if period == "months" else maximum)


def test_version_1_has_no_dates_and_one_series_is_null(api: Any) -> None:
    document = api.get("/newsletters/1/metrics", period="days")
    assert set(document) == {"metric"}
    assert document["metric"]["series"][NULL_SERIES] is None


def test_version_1_is_oldest_first_and_ends_now(sim: CustomerioSimulator, api: Any) -> None:
    before = api.get("/broadcasts/201/metrics", period="days", steps=5)["metric"]["series"]["sent"]
    sim.mutate("age", days=1)
    after = api.get("/broadcasts/201/metrics", period="days", steps=5)["metric"]["series"]["sent"]
    assert after[:4] == before[1:]


def test_an_unknown_period_is_400_where_the_vendor_documents_one(api: Any) -> None:
    assert api.status("/campaigns/4/metrics", period="fortnights") == 400
    assert api.status("/newsletters/1/metrics", period="fortnights") == 200


@pytest.mark.parametrize("left_out", ["res", "start", "end"])
def test_version_2_requires_resolution_start_and_end(api: Any, left_out: str) -> None:
    params = {"res": "days", "start": MONDAY, "end": NOW}
    assert api.status("/campaigns/4/metrics", version=2, **params) == 200
    del params[left_out]
    assert api.status("/campaigns/4/metrics", version=2, **params) == 400


def test_version_2_takes_ten_years_at_most_and_no_end_before_the_start(api: Any) -> None:
    assert api.status("/campaigns/4/metrics", version=2, res="months", start=NOW - 3600 * DAY, end=NOW) == 200
    assert api.status("/campaigns/4/metrics", version=2, res="months", start=NOW - 3700 * DAY, end=NOW) == 400
    assert api.status("/campaigns/4/metrics", version=2, res="days", start=NOW, end=NOW - DAY) == 400


def test_version_2_repeats_the_dates_in_one_of_two_forms(sim: CustomerioSimulator, api: Any) -> None:
    window = {"version": 2, "res": "daily", "start": MONDAY, "end": MONDAY + 2 * DAY}
    document = api.get("/campaigns/4/metrics", **window)
    assert (document["start"], document["end"]) == ("2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z")
    assert document["res"] == "daily"
    assert len(document["metric"]["series"]["sent"]) == 2
    sim.options.go_dates = True
    assert api.get("/campaigns/4/metrics", **window)["start"] == "2026-01-05 00:00:00 +0000 UTC"


def test_version_2_has_the_days_of_a_zone_and_refuses_an_unknown_one(api: Any) -> None:
    window = {"version": 2, "res": "days", "start": MONDAY, "end": MONDAY + 2 * DAY}
    document = api.get("/campaigns/4/metrics", tz="Asia/Tokyo", **window)
    assert document["start"] == "2026-01-05T00:00:00+09:00"
    assert len(document["metric"]["series"]["sent"]) == 3
    assert api.status("/campaigns/4/metrics", tz="Middle/Earth", **window) == 400


def test_any_other_version_is_version_1(api: Any) -> None:
    window = {"res": "days", "start": MONDAY, "end": NOW}
    for version in ("1", "3", "two"):
        assert set(api.get("/campaigns/4/metrics", version=version, **window)) == {"metric"}


def test_a_type_asks_for_the_numbers_of_one_channel(sim: CustomerioSimulator, api: Any) -> None:
    campaign = next(row for row in sim.truth("campaigns") if row["id"] == 4)
    channels = {row["type"] for row in campaign["actions"]}
    parts = [total(api.get("/campaigns/4/metrics", type=name)) for name in channels]
    assert 0 < max(parts) < sum(parts) == total(api.get("/campaigns/4/metrics"))
    assert total(api.get("/campaigns/4/metrics", type="slack")) == 0


def test_any_resolution_adds_up_to_the_same_number(api: Any) -> None:
    week = {"version": 2, "start": SUNDAY, "end": SUNDAY + 7 * DAY}
    sums = {total(api.get("/campaigns/4/metrics", res=res, **week)) for res in ("hours", "days", "weeks")}
    assert len(sums) == 1
    assert sums.pop() > 0


def test_a_campaign_that_calls_webhooks_has_series_by_class_of_status(sim: CustomerioSimulator, api: Any) -> None:
    by_campaign = {}
    for row in sim.truth("campaigns"):
        by_campaign[row["id"]] = set(api.get(f"/campaigns/{row['id']}/metrics", steps=1)["metric"]["series"])
    assert {"2xx", "3xx", "4xx", "5xx"} <= by_campaign[4]
    assert any("2xx" not in names for names in by_campaign.values())


def test_a_parent_that_never_ran_has_only_zeros(sim: CustomerioSimulator, api: Any) -> None:
    never = next(row["id"] for row in sim.truth("campaigns") if row["first_started"] == 0)
    assert total(api.get(f"/campaigns/{never}/metrics")) == 0


def test_an_action_has_metrics_of_both_versions(sim: CustomerioSimulator, api: Any) -> None:
    assert total(api.get("/campaigns/4/actions/400/metrics", version=2, res="days", start=MONDAY, end=NOW)) > 0
    assert total(api.get("/campaigns/4/actions/400/metrics", period="days")) > 0
    assert api.status("/campaigns/4/actions/999/metrics") == 404


@pytest.mark.parametrize("left_out", ["resolution", "start", "end"])
def test_journeys_require_three_parameters(api: Any, left_out: str) -> None:
    params: dict[str, Any] = {"resolution": "daily", "start": MONDAY, "end": NOW}
    document = api.get("/campaigns/4/journey_metrics", **params)
    assert set(document["journey_metric"]) == set(JOURNEY_SERIES)
    assert {len(counts) for counts in document["journey_metric"].values()} == {20}
    del params[left_out]
    assert api.status("/campaigns/4/journey_metrics", **params) == 400
    assert api.status("/campaigns/4/journey_metrics", **{"resolution": "day", "start": 1, "end": 2}) == 400


def test_journeys_take_eight_spellings_of_the_resolution(api: Any) -> None:
    for names in (("hours", "hourly"), ("days", "daily"), ("weeks", "weekly"), ("months", "monthly")):
        first, second = (
            api.get("/campaigns/4/journey_metrics", resolution=name, start=MONDAY, end=NOW) for name in names
        )
        assert first == second


@pytest.mark.parametrize("path", ["/campaigns/4", "/broadcasts/201", "/newsletters/1", "/transactional/1"])
def test_links_have_counts_of_clicks_and_fewer_of_people(api: Any, path: str) -> None:
    clicks = api.get(f"{path}/metrics/links", period="days", steps=45)["links"]
    people = api.get(f"{path}/metrics/links", period="days", steps=45, unique="true")["links"]
    assert len(clicks) == len(people) == 3
    assert set(clicks[0]["metric"]["series"]) == {"clicked", "human_clicked", "machine_clicked"}
    assert sum(clicks[0]["metric"]["series"]["clicked"]) > sum(people[0]["metric"]["series"]["clicked"])


def test_the_truth_of_campaign_metrics_names_the_start_of_each_period(sim: CustomerioSimulator, api: Any) -> None:
    document = api.get("/campaigns/4/metrics", version=2, res="days", start=MONDAY, end=NOW)
    truth = sim.truth("campaign_metrics", resolution="days", start=str(MONDAY), end=str(NOW))
    mine = [row for row in truth if row["campaign_id"] == 4]
    assert [row["period_start"] for row in mine] == list(range(MONDAY, NOW, DAY))
    assert [row["metrics"]["sent"] for row in mine] == document["metric"]["series"]["sent"]
    assert NULL_SERIES not in mine[0]["metrics"]


def test_the_truth_of_version_1_counts_steps_back(sim: CustomerioSimulator, api: Any) -> None:
    for stream, key, path in (
        ("broadcast_metrics", "broadcast_id", "/broadcasts/201/metrics"),
        ("newsletter_metrics", "newsletter_id", "/newsletters/1/metrics"),
        ("transactional_metrics", "transactional_id", "/transactional/1/metrics"),
    ):
        number = int(path.split("/")[2])
        mine = [row for row in sim.truth(stream, resolution="weeks", steps="4") if row[key] == number]
        served = api.get(path, period="weeks", steps=4)["metric"]["series"]["opened"]
        assert [(row["steps_back"], row["metrics"]["opened"]) for row in mine] == list(
            zip((3, 2, 1, 0), served, strict=True)
        )


def test_the_truth_of_links_and_journeys_is_what_is_served(sim: CustomerioSimulator, api: Any) -> None:
    links = api.get("/newsletters/1/metrics/links", period="days", steps=2)["links"]
    truth = [row for row in sim.truth("newsletter_link_metrics", steps="2") if row["newsletter_id"] == 1]
    assert [row["link_id"] for row in truth[::2]] == [item["link"]["id"] for item in links]
    assert [row["metrics"]["clicked"] for row in truth[:2]] == links[0]["metric"]["series"]["clicked"]
    served = api.get("/campaigns/4/journey_metrics", resolution="daily", start=MONDAY, end=NOW)["journey_metric"]
    journeys = sim.truth("campaign_journey_metrics", resolution="days", start=str(MONDAY), end=str(NOW))
    assert [row["metrics"]["started"] for row in journeys if row["campaign_id"] == 4] == served["started"]


def test_the_branch_of_a_message_has_the_metrics_of_its_other_languages(sim: CustomerioSimulator, api: Any) -> None:
    window = {"version": 2, "res": "days", "start": MONDAY, "end": NOW}
    branch = api.get("/campaigns/4/actions/407/metrics", **window)
    assert set(branch["language_variants"]) == {"414", "421"}
    german = api.get("/campaigns/4/actions/414/metrics", **window)
    assert "language_variants" not in german
    assert branch["language_variants"]["414"]["series"] == german["metric"]["series"]
    assert "language_variants" not in api.get("/campaigns/4/actions/407/metrics", period="days")
    rows = sim.truth("campaign_action_metrics", start=str(MONDAY), end=str(NOW))
    mine = [r for r in rows if (r["campaign_id"], r["action_id"], r["language_action_id"]) == (4, "407", "414")]
    assert [row["metrics"]["sent"] for row in mine] == german["metric"]["series"]["sent"]


def test_actions_of_broadcasts_and_variants_have_metrics_and_links(sim: CustomerioSimulator, api: Any) -> None:
    for path in ("/campaigns/4/actions/407", "/broadcasts/201/actions/2010", "/newsletters/1/contents/2"):
        assert total(api.get(f"{path}/metrics", period="days")) > 0
        assert {link["link"]["href"] for link in api.get(f"{path}/metrics/links", period="days")["links"]}
    assert api.status("/newsletters/1/contents/4/metrics") == 404
    served = api.get("/newsletters/1/contents/2/metrics", period="weeks", steps=4)["metric"]["series"]["opened"]
    rows = sim.truth("newsletter_variant_metrics", resolution="weeks", steps="4")
    mine = [row for row in rows if (row["newsletter_id"], row["content_id"]) == (1, 2)]
    assert [(row["steps_back"], row["metrics"]["opened"]) for row in mine] == list(
        zip((3, 2, 1, 0), served, strict=True)
    )
    unsent = next(row for row in sim.truth("newsletters") if row["sent_at"] is None)
    assert total(api.get(f"/newsletters/{unsent['id']}/contents/{unsent['content_ids'][0]}/metrics")) == 0
