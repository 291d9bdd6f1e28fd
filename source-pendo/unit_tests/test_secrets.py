"""The key is in no output: not in records, states, traces or logs, at no level, in no encoding."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from pendo_reader import STREAM_NAMES, Subscription
from simulators.faults import Fault
from source_kit.cli import launch
from source_kit.secrets import secret_shapes
from source_pendo import SourcePendo
from test_kit.catalogs import configured_stream
from test_kit.command import run_here

#: A key that looks different in every encoding
SECRET = 'k/e+y "\\ü'
KEY = "9f/8+7e6=d5&c4.us"


@pytest.fixture
def secretive(pendo: Subscription) -> Callable[..., str]:
    """Runs a verb of the command line in this process, with `--debug`; returns everything that it wrote."""
    pendo.sim.api_key = KEY

    def run(verb: str) -> str:
        files = {"config": pendo.config()}
        if verb == "read":
            files["catalog"] = {"streams": [configured_stream(name, incremental=False) for name in STREAM_NAMES]}
        output = run_here(lambda argv: launch(SourcePendo, argv), verb, "--debug", **files)
        return output.text + output.stderr

    return run


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["check", "discover", "read"])
def test_a_good_key_is_in_no_output_at_debug(secretive: Callable[..., str], verb: str) -> None:
    """Headers are never logged."""
    text = secretive(verb)
    assert len(text) > 100
    assert [shape for shape in secret_shapes(KEY) if shape in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["check", "read"])
def test_a_server_that_echoes_the_key_does_not_get_it_into_the_output(
    pendo: Subscription, secretive: Callable[..., str], verb: str
) -> None:
    """Whatever comes back in the text of an error is masked: plain, quoted, percent-encoded, in base64."""
    echoes = (KEY, json.dumps(KEY), quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode())
    pendo.sim.faults.add(Fault("status", status=418, answer=f"your key: {' '.join(echoes)}!", times=-1))
    text = secretive(verb)
    assert "your key" in text or verb == "check"
    assert [shape for shape in secret_shapes(KEY) if shape in text] == []


def test_a_key_that_is_no_key_is_not_repeated_in_the_sentence_about_it(pendo: Subscription) -> None:
    """The sentence says what is wrong with the key, and does not quote it."""
    succeeded, sentence = pendo.check(api_key=SECRET)
    assert not succeeded
    assert SECRET not in sentence
    assert sentence.startswith("Option api_key must be text without spaces")


def test_the_key_goes_only_where_it_belongs(pendo: Subscription) -> None:
    """In its header, never in an address or a body."""
    pendo.read("pages", "visitors")
    for request in pendo.sim.requests:
        assert pendo.sim.api_key not in request.path
        assert pendo.sim.api_key not in str(request.query)
        assert pendo.sim.api_key not in str(request.body)
