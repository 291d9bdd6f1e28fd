"""Metrics as rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

DAY = 86_400
APPROXIMATE = [
    ("broadcast_metrics", "broadcasts", "broadcast_id"),
    ("newsletter_metrics", "newsletters", "newsletter_id"),
    ("transactional_metrics", "transactional_messages", "transactional_id"),
    ("campaign_link_metrics", "campaigns", "campaign_id"),
    ("newsletter_link_metrics", "newsletters", "newsletter_id"),
    ("newsletter_variant_metrics", "newsletters", "newsletter_id"),
    ("broadcast_link_metrics", "broadcasts", "broadcast_id"),
    ("transactional_link_metrics", "transactional_messages", "transactional_id"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "go_dates"),
    [("campaign_metrics", False), ("campaign_metrics", True), ("campaign_journey_metrics", False)],
)
def test_metrics_of_campaigns_have_a_row_a_day_since_the_campaign_was_created(
    workspace: Workspace, clock: Callable[[], datetime], stream: str, go_dates: bool
) -> None:
    """Campaign metrics are requested with their dates, so these are exact, in ISO 8601 or as Go prints them."""
    workspace.simulator.options.go_dates = go_dates
    synced = workspace.sync(stream)
    wanted = []
    for campaign in workspace.truth("campaigns"):
        start = campaign["created"] - campaign["created"] % DAY
        dated = workspace.truth(stream, resolution="days", start=str(start))
        wanted += [row for row in dated if row["campaign_id"] == campaign["id"]]

    def key(row: dict[str, int]) -> tuple[int, int]:
        return row["campaign_id"], row["period_start"]

    assert sorted(synced.records[stream], key=key) == sorted(wanted, key=key)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("begins", "first"),
    [
        (1_735_689_600, 1_735_689_600),
        ("2025-01-01 00:00:00 UTC", 1_735_689_600),
        ("0001-01-01 00:00:00 +0000 UTC", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_series_whose_beginning_cannot_be_read_begins_where_it_was_asked_to(
    workspace: Workspace, clock: Callable[[], datetime], begins: object, first: int | None
) -> None:
    """Version 2 writes dates as the language Go does, with the year 1 for an unset one."""
    answer = json.dumps({"metric": {"series": {"sent": [7]}}, "start": begins})
    workspace.simulator.faults.add(Fault("status", path="campaigns/4/metrics", status=200, answer=answer, times=-1))
    synced = workspace.sync("campaign_metrics")
    assert synced.failures == {}
    asked = next(r for r in workspace.simulator.requests if r.path.endswith("/campaigns/4/metrics"))
    (row,) = (row for row in synced.records["campaign_metrics"] if row["campaign_id"] == 4)
    assert row["period_start"] == (int(asked.query["start"][0]) if first is None else first)


def test_links_without_an_id_are_skipped_and_warned_of_once(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """They have no key."""
    clicks = {"metric": {"series": {"clicked": [1]}}}
    links = [{"link": None, **clicks}, None, {"link": {"id": None}, **clicks}, {"link": {"id": "8"}, **clicks}]
    answer = json.dumps({"links": links})
    workspace.simulator.faults.add(Fault("status", path="newsletters/1/metrics", status=200, answer=answer, times=-1))
    synced = workspace.sync("newsletter_link_metrics")
    assert synced.failures == {}
    assert {row["link_id"] for row in synced.records["newsletter_link_metrics"] if row["newsletter_id"] == 1} == {8}
    warning = "Stream newsletter_link_metrics: links without an id were skipped in 1 newsletters: 1"
    assert sum(line.endswith(warning) for line in synced.logs) == 1


def test_version_2_is_asked_for_with_all_it_requires(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    """Without its parameters the server answers 400, or the dateless version 1."""
    workspace.sync("campaign_metrics")
    request = next(r for r in workspace.simulator.requests if r.path.endswith("/metrics"))
    assert request.query["version"] == ["2"]
    assert request.query["res"] == ["days"]
    assert request.query["tz"] == ["UTC"]
    assert int(request.query["start"][0]) % DAY == 0
    assert request.query["end"] == [str(workspace.simulator.now)]


@pytest.mark.slow
def test_a_campaign_older_than_ten_years_is_read_ten_years_back(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """A longer range is refused by the server."""
    (campaign, *others) = workspace.simulator.workspace.lists["campaigns"]
    campaign["created"] = 1_325_376_000
    for other in others:
        workspace.simulator.mutate("delete", stream="campaigns", id=other["id"])
    synced = workspace.sync("campaign_metrics", "campaign_journey_metrics")
    earliest = datetime.fromtimestamp(min(synced.column("campaign_metrics", "period_start")), UTC)
    assert 3_649 <= (clock() - earliest).days <= 3_651
    assert synced.statuses["campaign_journey_metrics"][-1] == "COMPLETE"


@pytest.mark.slow
@pytest.mark.parametrize(("stream", "parents", "key"), APPROXIMATE)
def test_metrics_without_dates_end_with_the_present_day_and_month_on_eastern_time(
    workspace: Workspace, clock: Callable[[], datetime], stream: str, parents: str, key: str
) -> None:
    """Version 1 sends no dates, so they are computed from the time of the answer."""
    synced = workspace.sync(stream)
    now = clock().astimezone(ZoneInfo("America/New_York"))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for resolution, last in (("days", midnight), ("months", midnight.replace(day=1))):
        rows = [row for row in synced.records[stream] if row["resolution"] == resolution]
        assert max(row["period_start"] for row in rows) == int(last.timestamp())


@pytest.mark.slow
@pytest.mark.parametrize(("stream", "parents", "key"), APPROXIMATE)
def test_the_values_of_45_days_are_those_of_the_vendor(
    workspace: Workspace, clock: Callable[[], datetime], stream: str, parents: str, key: str
) -> None:
    """`metric.series.<name>[]`, and a null series is dropped."""
    synced = workspace.sync(stream)
    rows = [row for row in synced.records[stream] if row["resolution"] == "days"]
    rows.sort(key=lambda row: (row[key], row.get("link_id"), row.get("content_id"), row["period_start"]))
    truth = workspace.truth(stream, resolution="days", steps="45")
    truth.sort(key=lambda row: (row[key], row.get("link_id"), row.get("content_id"), -row["steps_back"]))
    assert [row["metrics"] for row in rows] == [row["metrics"] for row in truth]
    assert [row.get("href") for row in rows] == [row.get("href") for row in truth]


def test_webhook_metrics_with_digits_in_their_names_arrive(workspace: Workspace) -> None:
    """Actions that call webhooks add names such as `2xx`."""
    synced = workspace.sync("campaign_metrics")
    assert any("2xx" in row["metrics"] for row in synced.records["campaign_metrics"])
    assert not any("suppressed" in row["metrics"] for row in synced.records["campaign_metrics"])


@pytest.mark.slow
@pytest.mark.parametrize("created", [1_790_000_000_000, 2**62, -(2**62)])
def test_a_time_of_creation_that_cannot_be_reads_ten_years(workspace: Workspace, created: int) -> None:
    """Milliseconds, for example: metrics from a later day on would lack what came before it."""
    campaign = {**workspace.simulator.workspace.lists["campaigns"][0], "created": created}
    answer = json.dumps({"campaigns": [campaign]})
    workspace.simulator.faults.add(Fault("status", path=r"/campaigns(\?|$)", status=200, answer=answer, times=-1))
    synced = workspace.sync("campaign_metrics", "campaign_link_metrics")
    assert min(synced.column("campaign_metrics", "period_start")) <= workspace.simulator.now - 3_649 * DAY
    assert set(synced.column("campaign_link_metrics", "resolution")) == {"days", "months"}


def test_months_are_asked_for_since_the_parent_was_created(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    workspace.sync("newsletter_metrics")
    steps = {
        (request.query["period"][0], int(request.query["steps"][0]))
        for request in workspace.simulator.requests
        if request.path.endswith("/metrics")
    }
    assert {count for period, count in steps if period == "days"} == {45}
    assert all(2 <= count <= 12 for period, count in steps if period == "months")


@pytest.mark.slow
def test_past_periods_that_changed_arrive_with_the_next_sync(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """Late opens change past periods, and the answer does not say which."""
    first = workspace.sync("campaign_metrics", "newsletter_metrics")
    workspace.simulator.mutate("grow_metrics", opens=5)
    second = workspace.sync("campaign_metrics", "newsletter_metrics", state=first.last_states())
    for name in ("campaign_metrics", "newsletter_metrics"):
        assert len(second.records[name]) == len(first.records[name])
        assert sum(row["metrics"]["opened"] for row in second.records[name]) > sum(
            row["metrics"]["opened"] for row in first.records[name]
        )


def test_only_paths_of_the_present_specification_are_used(workspace: Workspace) -> None:
    """No `/v1/api/` and no singular `/v1/broadcast/`."""
    workspace.sync("broadcast_metrics", "campaign_metrics", "broadcast_actions")
    paths = {request.path for request in workspace.simulator.requests}
    assert not any(path.startswith(("/v1/api/", "/v1/broadcast/")) for path in paths)


@pytest.mark.slow
def test_a_newsletter_without_links_has_no_rows(workspace: Workspace) -> None:
    synced = workspace.sync("newsletter_link_metrics")
    assert 6 not in synced.column("newsletter_link_metrics", "newsletter_id")
