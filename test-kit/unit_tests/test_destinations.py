"""Both destinations keep the last row of a key and the states, and lose what no state covers, as a platform would."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from test_kit.catalogs import configured
from test_kit.destination import Destination
from test_kit.messages import Output, decoded
from test_kit.warehouse import Warehouse

FIELDS = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}
STREAM = {
    "name": "pages",
    "json_schema": {"type": "object", "properties": FIELDS},
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_primary_key": [["id"]],
}


def record(number: int, name: str) -> bytes:
    """A RECORD line."""
    return json.dumps({"type": "RECORD", "record": {"stream": "pages", "data": {"id": number, "name": name}}}).encode()


def state(blob: dict[str, Any], count: int) -> bytes:
    """A STATE line that counts the records before it."""
    stream = {"stream_descriptor": {"name": "pages"}, "stream_state": blob}
    return json.dumps({"type": "STATE", "state": {"stream": stream, "sourceStats": {"recordCount": count}}}).encode()


def names(rows: Iterable[dict[str, Any]]) -> dict[int, str]:
    """The names by id."""
    return {row["id"]: row["name"] for row in rows}


LINES = [record(1, "a"), record(1, "b"), state({"page": 1}, 2), record(2, "c")]


@pytest.mark.parametrize(("uncovered", "held"), [(True, {1: "b", 2: "c"}), (False, {1: "b"})])
def test_the_last_row_of_a_key_counts_and_rows_without_a_state_may_be_lost(
    uncovered: bool, held: dict[int, str]
) -> None:
    destination = Destination(configured({"streams": [STREAM]}))
    assert destination.begin() == []
    assert destination.load(LINES, uncovered=uncovered) == 3
    assert names(destination.held("pages")) == held
    assert [found["stream"]["stream_state"] for found in destination.begin()] == [{"page": 1}]


def test_a_state_that_counts_other_records_than_were_written_fails() -> None:
    destination = Destination(configured({"streams": [STREAM]}))
    with pytest.raises(AssertionError):
        destination.load([record(1, "a"), state({}, 2)])


@pytest.mark.parametrize(("blob", "kept"), [({"__ab_full_refresh_unfinished": True}, {1: "a"}), ({}, {})])
def test_a_full_refresh_starts_empty_unless_the_one_before_was_interrupted(
    blob: dict[str, Any], kept: dict[int, str], tmp_path: Path
) -> None:
    catalog = configured({"streams": [STREAM]}, full_refresh=True)
    lines = [record(1, "a"), state(blob, 1)]
    destination = Destination(catalog)
    destination.load(lines)
    destination.begin()
    assert names(destination.held("pages")) == kept
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.begin(catalog)
    assert list(warehouse.load(lines)) == []
    warehouse.begin(catalog)
    assert names(warehouse.rows("pages")) == kept
    assert len(warehouse.states()) == len(kept)
    warehouse.close()


def test_both_destinations_hold_the_same(tmp_path: Path) -> None:
    catalog = configured({"streams": [STREAM]})
    destination, warehouse = Destination(catalog), Warehouse(tmp_path / "warehouse.duckdb")
    destination.load(LINES)
    warehouse.begin(catalog)
    assert list(warehouse.load(LINES)) == []
    assert names(warehouse.rows("pages")) == names(destination.held("pages"))
    assert warehouse.states() == list(destination.states.values())
    warehouse.close()


@pytest.mark.parametrize("line", [b'{"type":"LOG"', b"[]\n", b'{"kind":"LOG"}\n', b'{"type":"X","n":NaN}\n', b"text\n"])
def test_a_line_that_is_no_message_fails(line: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        decoded(line)


def test_an_absent_stream_has_no_rows_and_stays_absent() -> None:
    output = Output(0, b"\n".join([*LINES, b""]))
    assert output.records["features"] == []
    assert list(output.records) == ["pages"]
    assert output.last_states() == {"pages": {"page": 1}}
    assert output.column("pages", "name") == ["a", "b", "c"]
    assert output.order == [("record", "pages")] * 2 + [("state", "pages"), ("record", "pages")]


def test_a_column_that_comes_later_is_added_and_null_in_older_rows(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    id_alone = {**STREAM, "json_schema": {"type": "object", "properties": {"id": FIELDS["id"]}}}
    for stream, number in ((id_alone, 1), (STREAM, 2)):
        warehouse.begin(configured({"streams": [stream]}))
        assert list(warehouse.load([record(number, "a")])) == []
    assert names(warehouse.rows("pages")) == {1: None, 2: "a"}
    warehouse.close()
