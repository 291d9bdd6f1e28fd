"""Every stream, read whole: records, keys, messages, and that nothing is lost or made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jsonschema import Draft7Validator
from source_customerio import SourceCustomerio
from test_kit.catalogs import configured_stream
from test_kit.messages import Output

if TYPE_CHECKING:
    from conftest import Workspace

#: Whose rows depend on the time of the sync; test_metric_streams.py holds them against the vendor's values
BY_TIME = {
    "campaign_metrics",
    "campaign_journey_metrics",
    "campaign_link_metrics",
    "campaign_action_metrics",
    "broadcast_metrics",
    "broadcast_link_metrics",
    "newsletter_metrics",
    "newsletter_link_metrics",
    "newsletter_variant_metrics",
    "transactional_metrics",
    "transactional_link_metrics",
}
DOMAINS = ["mail.example.com", "news.example.org"]


def everything(workspace: Workspace, full_refresh: bool) -> tuple[list[Any], Output]:
    """All streams and what one sync of them put out."""
    streams = SourceCustomerio().streams(workspace.config())
    names = [stream.name for stream in streams]
    synced = workspace.sync(*names, full_refresh=full_refresh, esp_suppression_domains=DOMAINS)
    assert synced.failures == {}
    return streams, synced


def row_key(stream: Any, row: dict[str, Any]) -> tuple[Any, ...]:
    """The values of a row's primary key."""
    return tuple(row[column] for column in stream.key)


@pytest.mark.slow
def test_every_record_matches_the_discovered_schema_and_has_a_key_of_its_own(workspace: Workspace) -> None:
    """A row that comes twice must at least have the same key."""
    streams, synced = everything(workspace, full_refresh=False)
    for stream in streams:
        validator = Draft7Validator(stream.get_json_schema())
        rows = synced.records[stream.name]
        assert rows, stream.name
        for row in rows:
            assert validator.is_valid(row), (stream.name, next(validator.iter_errors(row)).message)
        keys = Counter(row_key(stream, row) for row in rows)
        assert max(keys.values()) == 1, stream.name
        assert all(None not in key for key in keys), stream.name


@pytest.mark.slow
def test_two_full_refreshes_in_a_row_are_alike(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    streams, first = everything(workspace, full_refresh=True)
    _, second = everything(workspace, full_refresh=True)
    for stream in streams:
        assert sorted(map(orjson.dumps, first.records[stream.name])) == sorted(
            map(orjson.dumps, second.records[stream.name])
        ), stream.name


@pytest.mark.slow
@pytest.mark.parametrize("full_refresh", [False, True])
def test_every_row_is_the_vendors_and_none_is_missing(workspace: Workspace, full_refresh: bool) -> None:
    """Field names untouched, unknown fields passed through."""
    streams, synced = everything(workspace, full_refresh)
    for stream in streams:
        if stream.name in BY_TIME:
            continue
        options = {"domains": ",".join(DOMAINS)} if stream.name == "esp_suppressions" else {}
        truth = {row_key(stream, row): row for row in map(as_emitted, workspace.truth(stream.name, **options))}
        assert {row_key(stream, row): row for row in synced.records[stream.name]} == truth, stream.name


def as_emitted(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the vendor with the one column that the connector writes in another form."""
    if isinstance(row.get("headers"), list):
        return {**row, "headers": orjson.dumps(row["headers"]).decode()}
    return row


@pytest.mark.slow
def test_every_stream_starts_runs_and_completes_with_its_last_state_before_that(workspace: Workspace) -> None:
    streams, synced = everything(workspace, full_refresh=False)
    for stream in streams:
        kinds = [kind for kind, name in synced.order if name == stream.name]
        assert kinds[0] == "STARTED", stream.name
        assert kinds[-2:] == ["state", "COMPLETE"], stream.name
        assert kinds.index("record") == kinds.index("RUNNING") + 1, stream.name


@pytest.mark.slow
def test_every_state_is_small_names_its_cursor_and_is_taken_by_the_next_sync(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    streams, first = everything(workspace, full_refresh=False)
    for stream in streams:
        state = first.state(stream.name)
        size = len(orjson.dumps(state)) - 64 * len(state.get("parents", {}))
        assert size < 2_000
        if stream.cursor_field:
            assert isinstance(state[stream.cursor_field], int)
            assert state[stream.cursor_field] <= workspace.simulator.now
    names = [stream.name for stream in streams]
    second = workspace.sync(*names, state=first.last_states(), esp_suppression_domains=DOMAINS)
    assert second.failures == {}
    assert second.last_states() == first.last_states()


def test_a_field_that_appears_without_notice_passes_through(workspace: Workspace) -> None:
    """The vendor adds fields without notice."""
    workspace.simulator.workspace.lists["campaigns"][0]["brand_new"] = {"Any Key": [1, None]}
    synced = workspace.sync("campaigns")
    assert synced.records["campaigns"][0]["brand_new"] == {"Any Key": [1, None]}


@pytest.mark.slow
def test_the_key_shows_in_nothing_that_is_put_out(workspace: Workspace) -> None:
    workspace.simulator.options.forbidden = ["/v1/segments"]
    streams = [stream.name for stream in SourceCustomerio().streams(workspace.config())]
    catalog = {"streams": [configured_stream(name, incremental=False) for name in streams]}
    output = workspace.run("read", workspace.config(), catalog=catalog)
    assert workspace.simulator.api_key not in output.text + output.stderr
