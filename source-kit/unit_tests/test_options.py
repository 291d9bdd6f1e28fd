"""Wrong options on the command line: the connector's own sentence, and no value that might be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk.models import ConnectorSpecification
from kit_toys import CommandLine, ToySource, ToyStream
from source_kit.errors import config_error
from test_kit.messages import errors, statuses

KEY = {"api_key": "k-1234567"}


class ChoosySource(ToySource):
    """Has an opinion about one option, and leaves the others to the specification."""

    def __init__(self) -> None:
        super().__init__(ToyStream("toy"))

    def require_valid(self, config: Mapping[str, Any]) -> None:
        if config.get("pages", 1) == 0:
            message = "pages is 0: write 1 or more."
            raise config_error(message)

    def spec(self, logger: Any) -> ConnectorSpecification:
        text = {"type": "string"}
        way = {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "token"}, "more": text}}
        return ConnectorSpecification(
            connectionSpecification={
                "type": "object",
                "required": ["api_key"],
                "properties": {
                    "api_key": {"type": "string", "airbyte_secret": True},
                    "pages": {"type": "integer", "minimum": 2},
                    "names": {"type": "array", "items": {"type": "string"}},
                    "way": {"oneOf": [way]},
                },
            }
        )


def checked(toy: CommandLine, config: Mapping[str, Any]) -> dict[str, Any]:
    code, messages = toy.start(ChoosySource(), "check", "--config", toy.file("config.json", config)).finish()
    assert code == 0
    return next(dict(message["connectionStatus"]) for message in messages if message["type"] == "CONNECTION_STATUS")


def test_the_connectors_own_sentence_comes_before_the_specifications(toy: CommandLine) -> None:
    assert checked(toy, {**KEY, "pages": 0}) == {"status": "FAILED", "message": "pages is 0: write 1 or more."}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"pages": 1}, "Option pages does not have the form that the specification asks for."),
        ({"names": ["a", 5]}, "Option names.1 does not have the form that the specification asks for."),
        ({"way": {"more": "x"}}, "Option way.kind is missing."),
        ({"api_key": ""}, "Option api_key is missing."),
    ],
)
def test_what_only_the_specification_forbids_is_told_by_the_options_name(
    toy: CommandLine, options: dict[str, Any], sentence: str
) -> None:
    assert checked(toy, {**KEY, **options})["message"].startswith(sentence)


def test_no_value_is_repeated_that_may_be_a_secret_under_a_misspelled_name(toy: CommandLine) -> None:
    config = toy.file("config.json", {**KEY, "way": {"kind": "hunter2-is-my-secret"}})
    child = toy.start(ChoosySource(), "check", "--debug", "--config", config)
    output = child.stdout.read() or b""
    while more := child.stdout.read():
        output += more
    assert child.wait() == 0
    assert b"FAILED" in output
    assert b"hunter2" not in output
    assert "hunter2" not in child.stderr


@pytest.mark.parametrize("empty", [None, ""])
def test_an_option_that_was_left_empty_is_like_an_absent_one(toy: CommandLine, empty: str | None) -> None:
    config = {**KEY, "pages": empty, "names": empty, "way": empty}
    assert checked(toy, config)["status"] == "SUCCEEDED"
    assert checked(toy, {**KEY, "way": {"kind": "token", "more": empty}})["status"] == "SUCCEEDED"
    code, messages = toy.read(ChoosySource(), config=config)
    assert code == 0
    assert statuses(messages, "toy")[-1] == "COMPLETE"


def test_a_read_with_a_wrong_option_fails_before_it_begins(toy: CommandLine) -> None:
    code, messages = toy.read(ChoosySource(), config={**KEY, "pages": 0})
    assert code == 1
    assert [(error["message"], error["failure_type"]) for error in errors(messages)] == [
        ("pages is 0: write 1 or more.", "config_error")
    ]
    assert statuses(messages, "toy") == []
