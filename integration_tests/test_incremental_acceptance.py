"""Incremental reads as Airbyte's older acceptance test wanted them: in a row, from every state, from an absurd one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from harness.runner import Runner
from harness.suite import Connector
from test_kit.catalogs import Row, configured, incremental_streams
from test_kit.messages import Output, stream_of

#: States of a stream that are read from: the first, the last, and some between
STATES = 5


def test_a_second_read_brings_nothing_that_the_first_did_not(
    runner: Runner, first_read: Output, second_read: Output
) -> None:
    surplus = {
        name: sorted(_counted(second_read.records[name]) - _counted(first_read.records[name]))[:3]
        for name in incremental_streams(runner.catalog)
    }

    assert {name: rows for name, rows in surplus.items() if rows} == {}


def test_a_second_read_does_not_move_the_state_when_nothing_happened(
    runner: Runner, first_read: Output, second_read: Output
) -> None:
    for name in incremental_streams(runner.catalog):
        assert second_read.state(name) == first_read.state(name), name


def test_a_second_read_is_smaller_than_the_first(runner: Runner, first_read: Output, second_read: Output) -> None:
    names = incremental_streams(runner.catalog)

    assert _total(second_read, names) < _total(first_read, names)


def test_a_read_from_any_state_brings_every_record_that_came_behind_it(runner: Runner, first_read: Output) -> None:
    lost = {}
    for name in incremental_streams(runner.catalog):
        for number in _some(len(first_read.states[name])):
            state, behind = _after(first_read, name, number)
            read = runner.read(name, state=[state]).succeeded()
            missing = _counted(behind) - _counted(read.records[name])
            if missing:
                lost[name, number] = sorted(missing)[:2]

    assert lost == {}


def test_what_happened_since_the_first_read_comes_with_the_second(fresh_runner: Runner) -> None:
    runner = fresh_runner
    first = runner.read().succeeded()
    runner.vendor.change()
    second = runner.read(state=first.last_state_messages()).succeeded()
    truth = runner.read(full_refresh=True).succeeded()

    for name in incremental_streams(runner.catalog):
        new = _counted(truth.records[name]) - _counted(first.records[name])
        assert new - _counted(second.records[name]) == Counter(), name
    assert any(_counted(second.records[name]) - _counted(first.records[name]) for name in first.records)


def test_an_absurdly_late_state_brings_no_more_than_the_look_back(
    connector: Connector, runner: Runner, second_read: Output
) -> None:
    states = json.loads(connector.sample("abnormal_state.json").read_text(encoding="utf-8"))
    names = incremental_streams(runner.catalog)
    assert {state["stream"]["stream_descriptor"]["name"] for state in states} == set(names)
    read = runner.run(
        "read", config=runner.vendor.config, catalog=configured(runner.catalog, names), state=states
    ).succeeded()

    for name in names:
        more = _counted(read.records[name]) - _counted(second_read.records[name])
        assert more == Counter(), f"{name}: {sorted(more)[:2]}"


def test_the_sample_state_is_taken_and_its_streams_are_those_that_have_a_cursor(
    connector: Connector, runner: Runner
) -> None:
    states = json.loads(connector.sample("sample_state.json").read_text(encoding="utf-8"))
    names = [state["stream"]["stream_descriptor"]["name"] for state in states]
    assert set(names) <= set(incremental_streams(runner.catalog))

    runner.run("read", config=runner.vendor.config, catalog=configured(runner.catalog, names), state=states).succeeded()


def _counted(rows: Iterable[Row]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


def _total(output: Output, names: Iterable[str]) -> int:
    return sum(len(output.records[name]) for name in names)


def _some(count: int) -> list[int]:
    """Numbers below a count, spread evenly, the first and the last among them."""
    if count <= STATES:
        return list(range(count))
    return sorted({round(number * (count - 1) / (STATES - 1)) for number in range(STATES)})


def _after(output: Output, name: str, number: int) -> tuple[Row, list[Row]]:
    """A state of a stream, and the records that came behind it."""
    messages = [message for message in output.messages if stream_of(message) == name]
    at = [index for index, message in enumerate(messages) if message["type"] == "STATE"][number]
    behind = [message["record"]["data"] for message in messages[at + 1 :] if message["type"] == "RECORD"]
    return messages[at]["state"], behind
