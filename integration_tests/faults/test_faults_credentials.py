"""Keys that are worth nothing from some request on: streams fail with the sentence, and a new key goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faults.scene import Scene

FORKED = {"unlimited": True, "base_seconds": 0.01, "tries": 3}


@pytest.mark.parametrize("requests", [0, 5, 21])
def test_a_key_that_expires_on_the_way_fails_the_rest_and_a_renewed_one_completes_it(
    scene: Scene, requests: int
) -> None:
    subject = scene.subject
    ledger = scene.ledger()
    subject.simulator.faults.add(replace(subject.refused, skip=requests))
    outcome = scene.sync(ledger, uncovered=False, **FORKED)
    assert outcome.code == 1
    for error in outcome.errors():
        assert subject.refused_sentence in error["message"], error
        assert error["failure_type"] == "config_error"
    failed = {name for name, status in outcome.statuses().items() if status == "INCOMPLETE"}
    assert {error["stream_descriptor"]["name"] for error in outcome.errors() if "stream_descriptor" in error} == failed
    subject.simulator.faults.clear()
    subject.renew_key()
    assert scene.sync(ledger, uncovered=False, **FORKED).code == 0
    assert subject.differences(ledger.held) == {}


def test_streams_that_the_key_may_still_read_are_read_whole(scene: Scene) -> None:
    subject = scene.subject
    ledger = scene.ledger()
    subject.simulator.faults.add(replace(subject.refused, path=subject.other_path))
    outcome = scene.sync(ledger, **FORKED)
    assert outcome.code == 1
    complete = [name for name, status in outcome.statuses().items() if status == "COMPLETE"]
    assert subject.long_stream in complete
    assert set(outcome.statuses().values()) == {"COMPLETE", "INCOMPLETE"}
    assert subject.differences(ledger.held, complete) == {}
