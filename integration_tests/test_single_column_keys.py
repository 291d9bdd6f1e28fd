"""The option `single_column_keys`: `_key` is the key exactly where a key has several columns; nothing else changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping

import pytest
from harness.runner import Runner
from test_kit.catalogs import Row, configured, primary_key
from test_kit.messages import Output

COLUMN = "_key"


@pytest.fixture(scope="module")
def config(runner: Runner) -> Row:
    """With a key of two columns also for Heap's events, whose lines are written by compiled code."""
    heap = {"primary_key_mode": "heap"} if runner.connector.vendor == "heap" else {}
    return {**runner.vendor.config, **heap, "single_column_keys": True}


@pytest.fixture(scope="module")
def plain(runner: Runner, config: Row) -> Mapping[str, Row]:
    """The streams without the option, by name."""
    return _streams(runner, {**config, "single_column_keys": False})


@pytest.fixture(scope="module")
def keyed(runner: Runner, config: Row) -> Mapping[str, Row]:
    """The streams with the option, by name."""
    return _streams(runner, config)


def _streams(runner: Runner, config: Row) -> dict[str, Row]:
    return {one["name"]: one for one in runner.run("discover", config=config).succeeded().catalog["streams"]}


@pytest.fixture(scope="module")
def keyed_read(runner: Runner, config: Row, keyed: Mapping[str, Row]) -> Output:
    """Everything, with the option."""
    return _read(runner, config, keyed)


def _read(runner: Runner, config: Row, streams: Mapping[str, Row], state: list[Row] | None = None) -> Output:
    catalog = configured({"streams": list(streams.values())})
    return runner.run("read", config=config, catalog=catalog, state=state).succeeded()


def test_the_catalog_changes_for_keys_of_several_columns_only(
    plain: Mapping[str, Row], keyed: Mapping[str, Row]
) -> None:
    expected = copy.deepcopy(plain)
    for stream in expected.values():
        if len(key := primary_key(stream)) > 1:
            stream["source_defined_primary_key"] = [[COLUMN]]
            what = f"The primary key as one text: a JSON array of {', '.join(key)}"
            stream["json_schema"]["properties"][COLUMN] = {"type": ["null", "string"], "description": what}

    assert len([name for name in plain if expected[name] != plain[name]]) > 1
    assert keyed == expected


def test_the_column_is_the_key_as_text_and_all_else_is_as_without_it(
    plain: Mapping[str, Row], keyed_read: Output, first_read: Output
) -> None:
    assert set(keyed_read.records) == set(first_read.records)
    for name, rows in keyed_read.records.items():
        key = primary_key(plain[name])
        if len(key) > 1:
            texts = [row.pop(COLUMN) for row in rows]
            assert list(map(json.loads, texts)) == [[row[column] for column in key] for row in rows]
            assert len(set(texts)) == len({json.dumps([row[column] for column in key]) for row in rows})
        assert _sorted(rows) == _sorted(first_read.records[name]), name


def _sorted(rows: list[Row]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_a_state_serves_with_and_without_the_option(
    runner: Runner, config: Row, keyed: Mapping[str, Row], keyed_read: Output, first_read: Output, second_read: Output
) -> None:
    assert keyed_read.last_states() == first_read.last_states()
    resumed = _read(runner, config, keyed, first_read.last_state_messages())

    assert resumed.last_states() == second_read.last_states()
    assert {name: len(rows) for name, rows in resumed.records.items()} == {
        name: len(rows) for name, rows in second_read.records.items()
    }
