"""Wrong options fail the connection test with a sentence that names the option; empty ones are like absent ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from harness.runner import Runner
from harness.suite import Connector
from test_kit.catalogs import Row

#: Sentences of a schema validator, and the one for which the connector has no sentence of its own
_JARGON = re.compile(r"validation error|does not match|is not of type|given schemas|\^|\\|asks for\. Correct it")


def _wrong_values(schema: Row) -> Iterator[Any]:
    """Values that a schema of an option forbids."""
    kind = schema["type"]
    if "enum" in schema:
        yield "nonsense"
    if kind == "integer":
        yield from (schema["minimum"] - 1, schema["maximum"] + 1, 1.5, "many", True)
    if kind == "boolean":
        yield "perhaps"
    if kind == "array":
        yield from ("one", [5], [" not an item of this list "])
    if kind == "object":
        yield from (5, {"auth_type": "nonsense"}, {"auth_type": "keys"}, {"auth_type": "role", "role_arn": "x"})
    if kind == "string":
        yield from (5, ["a"])
    if "pattern" in schema:
        yield "neither this nor that"


def test_a_wrong_option_is_named_in_a_sentence(runner: Runner) -> None:
    options: Row = _spec(runner)["properties"]
    answers = {}
    for name, schema in options.items():
        for value in _wrong_values(schema):
            output = runner.run("check", config={**runner.vendor.config, name: value})
            answers[f"{name} = {value!r}"] = (name, output.connection_status)

    assert len(answers) > 20
    assert {case: status for case, (_, status) in answers.items() if status["status"] != "FAILED"} == {}
    odd = {
        case: status["message"]
        for case, (name, status) in answers.items()
        if _JARGON.search(status["message"])
        or not status["message"].endswith(".")
        or not _names(status["message"], name, options[name])
    }
    assert odd == {}


def _names(message: str, name: str, schema: Row) -> bool:
    """Whether a message names the option, or one that lies within it."""
    inner = {part for way in schema.get("oneOf", []) for part in way["properties"]}
    return any(option in message for option in {name, *inner})


@pytest.mark.parametrize("empty", [None, ""])
def test_an_option_that_was_left_empty_takes_its_default(runner: Runner, connector: Connector, empty: Any) -> None:
    spec = _spec(runner)
    needed = {*spec["required"], connector.address_option, *(path.split(".")[0] for path in connector.secret_options)}
    config = {name: value for name, value in runner.vendor.config.items() if name in needed}
    config |= dict.fromkeys(spec["properties"].keys() - needed, empty)

    assert runner.run("check", config=config).connection_status == {"status": "SUCCEEDED"}
    assert runner.run("discover", config=config).succeeded().catalog["streams"]


@pytest.mark.parametrize(
    "text", ["2025-01-01", "2025-01-01T00:00:00", "2025-01-01T00:00:00.000+02:00", " 2025-01-01T00:00Z "]
)
def test_every_form_of_a_start_date_is_accepted(runner: Runner, text: str) -> None:
    """Also where the pattern of the specification, which guides forms, is narrower."""
    status = runner.run("check", config={**runner.vendor.config, "start_date": text}).connection_status
    assert status["status"] == "SUCCEEDED", status


def test_a_choice_in_other_letters_is_accepted(runner: Runner) -> None:
    options: Row = {name: schema for name, schema in _spec(runner)["properties"].items() if "enum" in schema}
    assert options
    for name, schema in options.items():
        for choice in schema["enum"]:
            other = runner.run("check", config={**runner.vendor.config, name: choice.swapcase()}).connection_status
            as_written = runner.run("check", config={**runner.vendor.config, name: choice}).connection_status
            assert other == as_written


def test_a_whole_number_may_be_written_with_a_point(runner: Runner) -> None:
    """Some tools write every number as a fraction."""
    assert runner.run("check", config={**runner.vendor.config, "num_workers": 2.0}).connection_status == {
        "status": "SUCCEEDED"
    }


def _spec(runner: Runner) -> Row:
    found: Row = runner.run("spec").spec["connectionSpecification"]
    return found
