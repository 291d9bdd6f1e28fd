"""The vendors a day later: a sync with the state of the day before fills the warehouse as a first sync would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.runner import Runner
from harness.suite import Connector
from harness.vendors import MOMENT, running
from test_kit.catalogs import Row, configured
from test_kit.warehouse import Warehouse

#: When a row was read, and the slice that it was read in
_OF_THE_SYNC = {"read_at", "read_day"}
#: Streams that have new rows, and streams that have changed ones, by vendor
_NEW = {
    "pendo": {"page_events", "guide_events", "visitors", "visitor_history"},
    "customerio": {"messages", "activities", "customers", "campaign_metrics"},
    "heap": {"users", "sessions", "pageviews"},
}
_CHANGED = {
    "pendo": {"page_events", "accounts", "visitors"},
    "customerio": {"messages", "campaigns", "campaign_actions"},
    "heap": {"users"},
}
#: The vendor answers the last 30 days only
_OLD_ROWS_STAY = {"activities"}


def test_a_sync_a_day_later_brings_what_is_new_and_what_changed(connector: Connector, tmp_path: Path) -> None:
    with running(connector, moment=MOMENT) as vendor:
        runner = Runner(connector, vendor, tmp_path)
        catalog = configured(runner.catalog)
        before, states = _synced(runner, catalog, tmp_path / "kept.duckdb")
    with running(connector, moment=MOMENT, later=1) as vendor:
        runner = Runner(connector, vendor, tmp_path)
        after, _ = _synced(runner, catalog, tmp_path / "kept.duckdb", states)
        truth, _ = _synced(runner, catalog, tmp_path / "fresh.duckdb")

    for name in _OLD_ROWS_STAY:
        truth[name] = {**before.get(name, {}), **truth.get(name, {})}
    assert {name: _differences(after[name], rows) for name, rows in truth.items() if after.get(name, {}) != rows} == {}
    for name in _NEW[connector.vendor]:
        assert after[name].keys() - before[name].keys(), name
    for name in _CHANGED[connector.vendor]:
        assert any(after[name].get(key, row) != row for key, row in before[name].items()), name


def _synced(
    runner: Runner, catalog: Row, database: Path, state: list[Row] | None = None
) -> tuple[dict[str, dict[str, Row]], list[Row]]:
    """Sync into a warehouse. Returns its live rows by stream and key, and the states."""
    warehouse = Warehouse(database)
    try:
        warehouse.begin(catalog)
        output = runner.run("read", config=runner.vendor.config, catalog=catalog, state=state).succeeded()
        for _ in warehouse.load(output.stdout.splitlines()):
            pass
        tables = {
            part["stream"]["name"]: _by_key(part, warehouse.rows(part["stream"]["name"])) for part in catalog["streams"]
        }
        return tables, warehouse.states()
    finally:
        warehouse.close()


def _by_key(part: Row, rows: list[Row]) -> dict[str, Row]:
    """The live rows by key, or by their text where there is no key. Heap's rows of earlier generations are gone."""
    generation = max((row.get("_heap_generation") or 0 for row in rows), default=0)
    live = [row for row in rows if (row.get("_heap_generation") or 0) == generation]
    key = [path[0] for path in part["primary_key"]]
    found = {}
    for row in live:
        shown = {name: value for name, value in row.items() if name not in _OF_THE_SYNC}
        found[repr([row[name] for name in key] if key else shown)] = shown
    return found


def _differences(kept: Mapping[str, Row], truth: Mapping[str, Row]) -> list[object]:
    missing, surplus = truth.keys() - kept.keys(), kept.keys() - truth.keys()
    changed = [
        {name: (kept[key].get(name), value) for name, value in row.items() if kept[key].get(name) != value}
        for key, row in truth.items()
        if key in kept and kept[key] != row
    ]
    return [len(missing), sorted(missing)[:1], len(surplus), sorted(surplus)[:1], len(changed), changed[:2]]
