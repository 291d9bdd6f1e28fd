"""The specification of every connector, as Airbyte's form and its older acceptance test want it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from harness.lint import findings
from harness.runner import Runner
from harness.suite import Connector
from jsonschema import Draft7Validator
from test_kit.catalogs import Row

GOOD: Row = {
    "documentationUrl": "https://docs.example.com",
    "connectionSpecification": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["api_key"],
        "properties": {
            "api_key": {"type": "string", "title": "Key", "description": "K.", "order": 0, "airbyte_secret": True},
            "start": {
                "type": "string",
                "title": "Start",
                "description": "S.",
                "order": 1,
                "format": "date",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
                "pattern_descriptor": "YYYY-MM-DD",
                "examples": ["2026-01-01"],
            },
            "way": {
                "type": "object",
                "title": "Way",
                "description": "W.",
                "order": 2,
                "oneOf": [
                    {
                        "type": "object",
                        "title": title,
                        "required": ["kind"],
                        "properties": {"kind": {"type": "string", "const": title}},
                    }
                    for title in ("a", "b")
                ],
            },
        },
    },
}


def _properties(spec: Row) -> Any:
    return spec["connectionSpecification"]["properties"]


MISTAKES: dict[str, tuple[Callable[[Row], object], str]] = {
    "an order twice": (lambda spec: _properties(spec)["start"].update(order=0), "the order 0 is given 2 times"),
    "no title": (lambda spec: _properties(spec)["start"].pop("title"), "start: title is missing"),
    "a secret in the open": (lambda spec: _properties(spec)["api_key"].pop("airbyte_secret"), "not marked"),
    "a wrong example": (lambda spec: _properties(spec)["start"].update(examples=["2026"]), "'2026' is not valid"),
    "a date without format": (lambda spec: _properties(spec)["start"].pop("format"), "needs the format"),
    "an array of objects": (
        lambda spec: _properties(spec)["start"].update(type="array", items={"type": "object"}),
        "scalars only",
    ),
    "two choices alike": (
        lambda spec: _properties(spec)["way"]["oneOf"][1]["properties"]["kind"].update(const="a"),
        "the same kind",
    ),
    "a choice without constant": (
        lambda spec: _properties(spec)["way"]["oneOf"][1]["properties"]["kind"].pop("const"),
        "share 0 constants",
    ),
    "a closed configuration": (
        lambda spec: spec["connectionSpecification"].update(additionalProperties=False),
        "must not be false",
    ),
    "a keyword that the form does not know": (
        lambda spec: spec["connectionSpecification"].update(allOf=[{}]),
        "allOf is not supported",
    ),
}


def test_a_good_specification_has_no_findings() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_specification_is_found(mistake: str) -> None:
    spec = copy.deepcopy(GOOD)
    make, expected = MISTAKES[mistake]
    make(spec)

    assert any(expected in finding for finding in findings(spec)), findings(spec)


def test_the_specification_has_no_findings(runner: Runner) -> None:
    assert findings(runner.run("spec").spec) == []


def test_the_secret_options_of_the_suite_are_those_that_the_specification_marks(
    runner: Runner, connector: Connector
) -> None:
    marked = set(_marked(runner.run("spec").spec["connectionSpecification"], ""))

    assert set(connector.secret_options) <= marked
    # an identifier of a key is no secret for the simulators, which know nothing of a webhook-inlet either
    others = {path for path in marked - set(connector.secret_options) if not path.startswith("webhook_store.")}
    assert all(path.endswith("key_id") for path in others)


def _marked(schema: Row, path: str) -> list[str]:
    found = []
    for name, option in schema.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        found += [where] if option.get("airbyte_secret") else _marked(option, where)
    return found + [found for choice in schema.get("oneOf", ()) for found in _marked(choice, path)]


@pytest.mark.parametrize("name", ["sample_config.json", "invalid_config.json"])
def test_the_sample_configurations_fit_the_specification(connector: Connector, runner: Runner, name: str) -> None:
    config = json.loads(connector.sample(name).read_text(encoding="utf-8"))
    schema = runner.run("spec").spec["connectionSpecification"]

    assert [error.message for error in Draft7Validator(schema).iter_errors(config)] == []


def test_the_configured_catalog_names_streams_that_the_connector_has(connector: Connector, runner: Runner) -> None:
    catalog = json.loads(connector.sample("configured_catalog.json").read_text(encoding="utf-8"))
    offered = {stream["name"]: stream for stream in runner.catalog["streams"]}

    for item in catalog["streams"]:
        assert item["sync_mode"] in offered[item["stream"]["name"]]["supported_sync_modes"]


def test_suggested_streams_exist(connector: Connector, runner: Runner) -> None:
    suggested = connector.metadata.get("suggestedStreams", {}).get("streams", [])

    options = runner.run("spec").spec["connectionSpecification"]["properties"]
    with_option = {"webhook_events"} if "webhook_store" in options else set()

    assert set(suggested) <= {stream["name"] for stream in runner.catalog["streams"]} | with_option
