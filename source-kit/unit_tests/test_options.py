"""Options: what each kind accepts and refuses. The sentences hold no value, which may be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from airbyte_cdk.models import ConnectorSpecification, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from kit_toys import CommandLine, ToySource, ToyStream
from source_kit.options import Options, choice, flag, group, instant, text, texts, url, whole
from source_kit.source import Source
from test_kit.messages import errors, statuses

KEY = {"api_key": "k-1234567"}
PAGES = "Option pages must be a whole number from 1 to 9."


class Color(StrEnum):
    """A choice."""

    RED = "red"
    DARK_BLUE = "Dark-Blue"


@dataclass(frozen=True, kw_only=True)
class Nobody(Options):
    """A group without options."""


@dataclass(frozen=True, kw_only=True)
class Somebody(Options):
    """A group of options."""

    user: str = text("the user's name", required=True)
    number: str | None = text("four digits", check=str.isdecimal, as_text="{:04d}".format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything(Options):
    """One option of each kind."""

    key: str = text("a key", required=True, secret=True)
    note: str | None = text()
    server: str | None = url("https://host.example", path="/v1")
    color: Color = choice(Color, default=Color.RED)
    days: int = whole(0, 30, default=7, name="day_count")
    verbose: bool = flag(default=False)
    start: datetime | None = instant(lambda at: at)
    names: tuple[str, ...] = texts("a list of names", check=str.isalpha)
    hosts: tuple[str, ...] = texts("a list of hosts", check=str.isalpha, unique=True)
    login: Nobody | Somebody = group({"nobody": Nobody, "somebody": Somebody}, default="nobody")
    guest: Nobody | Somebody | None = group({"nobody": Nobody, "somebody": Somebody}, default=None, by="type")


SOMEBODY = {"auth_type": "somebody", "user": " a "}


@pytest.mark.parametrize("blank", [None, "", " \n", {}])
def test_blanks_are_dropped_and_the_rest_takes_its_default(blank: Any) -> None:
    everything = {name: blank for name in Everything.declared() if name != "key"}
    assert Everything.parse({"key": "k", "unknown": 1, **everything}) == Everything(key="k")
    assert Everything(key="k").login == Nobody()
    assert Everything(key="k").guest is None
    assert Everything(key="k").days == 7


@pytest.mark.parametrize(
    ("option", "raw", "field", "value"),
    [
        ("note", " a b ", "note", "a b"),
        ("server", " HTTPS://host.example:8443/v1/ ", "server", "HTTPS://host.example:8443"),
        ("server", "http://host/a@b", "server", "http://host/a@b"),
        ("color", " RED", "color", Color.RED),
        ("color", "dark-blue", "color", Color.DARK_BLUE),
        ("day_count", 0, "days", 0),
        ("day_count", 30.0, "days", 30),
        ("verbose", True, "verbose", True),
        ("start", "2026-03-01", "start", datetime(2026, 3, 1, tzinfo=UTC)),
        ("start", " 2026-03-01t05:00z ", "start", datetime(2026, 3, 1, 5, tzinfo=UTC)),
        ("start", "0001-01-01T00:00:00+14:00", "start", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
        ("names", ["b", " a ", "b"], "names", ("b", "a")),
        ("login", {**SOMEBODY, "number": None}, "login", Somebody(user="a")),
        ("login", {**SOMEBODY, "number": 12}, "login", Somebody(user="a", number="0012")),
        ("guest", {"type": "somebody", "user": "a", "number": 12}, "guest", Somebody(user="a", number="0012")),
        ("guest", {"type": "nobody"}, "guest", Nobody()),
    ],
)
def test_a_value_is_typed(option: str, raw: Any, field: str, value: Any) -> None:
    assert getattr(Everything.parse({"key": "k", option: raw}), field) == value


@pytest.mark.parametrize(
    ("option", "raws", "sentence"),
    [
        (
            "key",
            ["two words", "line\nbreak", "schlüssel", 5],
            "must be text without spaces, line breaks or unusual characters: enter a key.",
        ),
        ("key", [None, " "], "is missing: enter a key."),
        ("note", [5, ["a"], True], "must be text."),
        (
            "server",
            [
                *("host.example", "ftp://host.example", "https://", "https://:80", "https://[::1", "https://host:0"),
                *("https://host:99999", "https://me:word@host", "https://me@host", "https://h?", "https://h#a", 7),
                *("https://h st", "https://h/a\nb"),
            ],
            "must be an http:// or https:// address such as https://host.example, without user name, password, query "
            "and fragment.",
        ),
        ("color", ["green", ["red"], 0, False], "must be one of red, Dark-Blue."),
        (
            "day_count",
            [-1, 31, 1.5, "7", True, float("nan"), float("inf"), [7]],
            "must be a whole number from 0 to 30.",
        ),
        ("verbose", ["true", 1, 0], "must be true or false, without quotes."),
        (
            "start",
            ["yesterday", "2026-02-30", 20260301, "1e9"],
            "must be a date, or a date and time such as 2026-01-01T00:00:00Z.",
        ),
        ("names", ["a", [5], [""], ["a", "b1"], {"a": 1}], "must be a list of names."),
        ("hosts", [["a", "a"], ["a", " a"]], "must be a list of hosts."),
        (
            "login",
            [5, "nobody", {"auth_type": "x"}, {"auth_type": ["nobody"]}, {"user": "a"}],
            "must be an object whose auth_type is one of nobody, somebody.",
        ),
        (
            "guest",
            [5, "nobody", {"type": "x"}, {"type": ["nobody"]}, {"auth_type": "nobody"}],
            "must be an object whose type is one of nobody, somebody.",
        ),
        ("user", [{"auth_type": "somebody"}, {**SOMEBODY, "user": " "}], "is missing: enter the user's name."),
        ("number", [{**SOMEBODY, "number": True}, {**SOMEBODY, "number": "x"}], "must be four digits."),
    ],
)
def test_a_wrong_value_gets_one_sentence_without_the_value(option: str, raws: list[Any], sentence: str) -> None:
    given = "login" if option in ("user", "number") else option
    for raw in raws:
        with pytest.raises(AirbyteTracedException) as caught:
            Everything.parse({"key": "k", given: raw})
        assert caught.value.message == f"Option {option} {sentence}", raw
        assert caught.value.internal_message == caught.value.message
        assert caught.value.failure_type is FailureType.config_error
        assert caught.value.__cause__ is None


def test_a_secret_is_not_in_the_repr() -> None:
    assert "hush" not in repr(Everything.parse({"key": "hush"}))


@dataclass(frozen=True, kw_only=True)
class Choosy(Options):
    """Declares one option; the specification has more."""

    pages: int = whole(1, 9, default=1)


class ChoosySource(Source[Choosy]):
    """Its specification requires two pages or more."""

    options = Choosy
    all_streams = ToySource.all_streams  # type: ignore[assignment]
    probe = ToySource.probe  # type: ignore[assignment]

    def __init__(self) -> None:
        self.toys = [ToyStream("toy")]

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


def test_the_connectors_own_sentence_comes_first(toy: CommandLine) -> None:
    assert checked(toy, {**KEY, "pages": 0}) == {"status": "FAILED", "message": PAGES}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"pages": 1}, "Option pages does not have the form that the specification asks for."),
        ({"names": ["a", 5]}, "Option names.1 does not have the form that the specification asks for."),
        ({"way": {"more": "x"}}, "Option way.kind is missing."),
        ({"api_key": ""}, "Option api_key is missing."),
    ],
)
def test_the_error_for_a_violated_specification_names_the_option(
    toy: CommandLine, options: dict[str, Any], sentence: str
) -> None:
    assert checked(toy, {**KEY, **options})["message"].startswith(sentence)


def test_values_are_not_quoted_because_a_name_may_be_misspelled(toy: CommandLine) -> None:
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
def test_an_empty_option_is_like_an_absent_one(toy: CommandLine, empty: str | None) -> None:
    config = {**KEY, "pages": empty, "names": empty, "way": empty}
    assert checked(toy, config)["status"] == "SUCCEEDED"
    assert checked(toy, {**KEY, "way": {"kind": "token", "more": empty}})["status"] == "SUCCEEDED"
    code, messages = toy.read(ChoosySource(), config=config)
    assert code == 0
    assert statuses(messages, "toy")[-1] == "COMPLETE"


def test_a_read_with_a_wrong_option_fails_before_any_stream_starts(toy: CommandLine) -> None:
    code, messages = toy.read(ChoosySource(), config={**KEY, "pages": 0})
    assert code == 1
    assert [(error["message"], error["failure_type"]) for error in errors(messages)] == [(PAGES, "config_error")]
    assert statuses(messages, "toy") == []
