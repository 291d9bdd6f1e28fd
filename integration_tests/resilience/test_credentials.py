"""A key that expires during a sync: streams fail with the sentence, and a new key completes them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from resilience.scenario import Scenario

FORKED = {"unlimited": True, "base_seconds": 0.01, "tries": 3}


@pytest.mark.parametrize("requests", [0, 5, 21])
def test_a_key_that_expires_during_a_sync_fails_the_rest_and_a_renewed_one_completes_it(
    scenario: Scenario, requests: int
) -> None:
    connector = scenario.connector
    destination = scenario.destination()
    connector.simulator.faults.add(replace(connector.refused, skip=requests))
    outcome = scenario.sync(destination, uncovered=False, **FORKED)
    assert outcome.code == 1
    for error in outcome.errors:
        assert connector.refused_sentence in error["message"], error
        assert error["failure_type"] == "config_error"
    failed = {name for name, status in outcome.last_statuses.items() if status == "INCOMPLETE"}
    assert {error["stream_descriptor"]["name"] for error in outcome.errors if "stream_descriptor" in error} == failed
    connector.simulator.faults.clear()
    connector.renew_key()
    assert scenario.sync(destination, uncovered=False, **FORKED).code == 0
    assert connector.differences(destination.held) == {}


def test_streams_that_the_key_may_still_read_are_read_whole(scenario: Scenario) -> None:
    connector = scenario.connector
    destination = scenario.destination()
    connector.simulator.faults.add(replace(connector.refused, path=connector.other_path))
    outcome = scenario.sync(destination, **FORKED)
    assert outcome.code == 1
    complete = [name for name, status in outcome.last_statuses.items() if status == "COMPLETE"]
    assert connector.long_stream in complete
    assert set(outcome.last_statuses.values()) == {"COMPLETE", "INCOMPLETE"}
    assert connector.differences(destination.held, complete) == {}
