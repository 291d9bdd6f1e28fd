"""`check` of each connector: a person sees the sentence first, whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness.runner import Runner
from simulators.faults import Fault
from test_kit.catalogs import Row
from test_kit.messages import Output


def _unreachable(runner: Runner) -> Row:
    return {**runner.vendor.config, runner.connector.address_option: "http://127.0.0.1:9"}


def _refused(runner: Runner) -> Row:
    return runner.vendor.wrong_config


def _failing(runner: Runner) -> Row:
    runner.vendor.simulator.faults.add(Fault("status", times=-1, status=503))
    return runner.vendor.config


@pytest.mark.parametrize("wrong", [_unreachable, _refused, _failing], ids=lambda case: case.__name__[1:])
def test_the_sentence_of_a_failed_check_is_the_first_line(fresh_runner: Runner, wrong: Callable[[Runner], Row]) -> None:
    checked: Output = fresh_runner.run("check", config=wrong(fresh_runner))

    assert checked.code == 0
    first, *log = checked.messages
    assert first["connectionStatus"]["status"] == "FAILED"
    assert first["connectionStatus"]["message"].endswith(".")
    assert {line["log"]["level"] for line in log} <= {"WARN", "ERROR"}
    assert len(log) <= 3
