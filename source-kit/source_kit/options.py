"""Options: each is declared once, as a field of a frozen dataclass. A test compares the specification with it.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Options):
        api_key: str = text("an API key of Acme", required=True, secret=True)
        num_workers: int = whole(1, 20, default=4)

    Config.parse({"api_key": " abc\\n", "num_workers": ""})  # Config(num_workers=4), with api_key "abc"

Equal mistakes get equal sentences: `Option num_workers must be a whole number from 1 to 20.` They never hold the value,
which may be a secret that was entered in the wrong field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeVar, overload
from urllib.parse import urlsplit

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.errors import config_error

T = TypeVar("T")
#: Gets a text without the white space around it, and returns something false for a wrong one
Check = Callable[[str], Any]

_NOT_A_SECRET = "must be text without spaces, line breaks or unusual characters: enter"  # noqa: S105
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+").fullmatch


@dataclass(frozen=True, kw_only=True)
class Option:
    """The declaration of one option.

    `read` makes the typed value and raises ValueError or OverflowError for a wrong one, whose sentence ends with
    `problem` and `expected`. `spec` is the JSON schema that the specification must have for the option. `as_text`
    converts a number for an option that is text. `groups` are the choices of a `group`, whose option `by` names one.
    """

    expected: str
    read: Callable[[Any], Any]
    spec: Mapping[str, Any]
    name: str | None = None
    required: bool = False
    problem: str = "must be"
    as_text: Callable[[int], str] | None = None
    groups: Mapping[str, type[Options]] = field(default_factory=dict)
    by: str = ""

    def value(self, name: str, raw: Any) -> Any:
        """The typed value. Raises a config_error that names the option and what is expected."""
        try:
            return self.read(raw)
        except (ValueError, OverflowError):
            raise config_error(f"Option {name} {self.problem} {self.expected}.") from None

    def filled_in(self, raw: Any) -> Any:
        """A raw value in the form of the specification."""
        if self.as_text and isinstance(raw, int) and not isinstance(raw, bool):
            return self.as_text(raw)
        chosen = self.groups.get(_kind(raw, self.by))
        return chosen.filled_in(raw) if chosen else raw


@dataclass(frozen=True, slots=True)
class Options:
    """Base of the options of a source, and of each group of options in them."""

    @classmethod
    def declared(cls) -> dict[str, tuple[str, Option]]:
        """The field's name and the declaration of each option, by the option's name."""
        options = [(known.name, known.metadata["option"]) for known in fields(cls)]
        return {option.name or name: (name, option) for name, option in options}

    @classmethod
    def filled_in(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The raw options without blanks: for an empty option, forms send nothing, null, "" or white space."""
        declared, given = cls.declared(), _without_blanks(raw)
        return {name: declared[name][1].filled_in(given[name]) if name in declared else given[name] for name in given}

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """The typed options; unknown ones are ignored. Raises a config_error that names the option and the fix."""
        given = cls.filled_in(raw)
        values = {}
        for name, (attribute, option) in cls.declared().items():
            if name in given:
                values[attribute] = option.value(name, given[name])
            elif option.required:
                raise cls.missing(name)
        return cls(**values)

    @classmethod
    def missing(cls, name: str) -> AirbyteTracedException:
        """The error for a required option that is missing."""
        return config_error(f"Option {name} is missing: enter {cls.declared()[name][1].expected}.")


def _without_blanks(options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: _without_blanks(value) if isinstance(value, Mapping) else value for name, value in options.items()}
    return {
        name: value
        for name, value in given.items()
        if value not in (None, {}) and not (isinstance(value, str) and not value.strip())
    }


def _declare(default: T, read: Callable[[Any], Any], expected: str, spec: Mapping[str, Any], **more: Any) -> T:
    option = Option(expected=expected, read=read, spec=spec, **more)
    return field(default=default, repr="airbyte_secret" not in spec, metadata={"option": option})


@overload
def text(expected: str, *, required: Literal[True], secret: bool = ..., check: Check = ..., name: str = ...) -> str: ...
@overload
def text(expected: str = ..., *, secret: bool = ..., check: Check = ..., **more: Any) -> str | None: ...
def text(
    expected: str = "text", *, required: bool = False, secret: bool = False, check: Check | None = None, **more: Any
) -> Any:
    """A text without the white space around it. `more` are the fields `name` and `as_text` of `Option`.

    A secret is not in the `repr`. Without its own `check` it must be valid in an HTTP header.
    """
    spec: dict[str, Any] = {"type": "string"}
    if secret:
        spec["airbyte_secret"] = True
        more["problem"] = _NOT_A_SECRET
    read = _text(check or (_VISIBLE_ASCII if secret else bool))
    return _declare(MISSING if required else None, read, expected, spec, required=required, **more)


@overload
def url(example: str, *, required: Literal[True]) -> str: ...
@overload
def url(example: str, *, check: Check = ..., path: str = ...) -> str | None: ...
def url(example: str, *, required: bool = False, check: Check = bool, path: str = "") -> Any:
    """An http(s) address without a slash at the end, and without the `path` that the connector adds itself."""

    def read(raw: Any) -> str:
        address = _text(bool)(raw).rstrip("/").removesuffix(path)
        parts = urlsplit(address)
        _require(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
        _require(not (parts.username or parts.password or re.search(r"[\s?#]", address)) and check(address))
        return address

    without = "without user name, password, query and fragment"
    expected = f"an http:// or https:// address such as {example}, {without}"
    return _declare(MISSING if required else None, read, expected, {"type": "string"}, required=required)


def choice(choices: Iterable[T], *, default: T, name: str | None = None) -> T:
    """One of several texts, in upper or lower case."""
    known = {str(one).casefold(): one for one in choices}
    words = [str(one) for one in known.values()]
    read = _text(lambda word: word.casefold() in known)
    spec = {"type": "string", "enum": words, "default": str(default)}
    return _declare(default, lambda raw: known[read(raw).casefold()], f"one of {', '.join(words)}", spec, name=name)


def whole(low: int, high: int, *, default: int, name: str | None = None) -> int:
    """A whole number within limits. 3.0 is one."""

    def read(raw: Any) -> int:
        _require(isinstance(raw, int | float) and not isinstance(raw, bool) and low <= raw <= high and raw == int(raw))
        return int(raw)

    spec = {"type": "integer", "minimum": low, "maximum": high, "default": default}
    return _declare(default, read, f"a whole number from {low} to {high}", spec, name=name)


def flag(*, default: bool) -> bool:
    """True or false. Texts and numbers are refused."""

    def read(raw: Any) -> bool:
        _require(isinstance(raw, bool))
        return bool(raw)

    return _declare(default, read, "true or false, without quotes", {"type": "boolean", "default": default})


def instant(then: Callable[[datetime], T], *, check: Check = bool, name: str | None = None) -> T | None:
    """A date or a date and time, in UTC if it has no time zone. `then` converts it; it gets it with its own zone."""

    def read(raw: Any) -> T:
        at = datetime.fromisoformat(_text(check)(raw).upper())
        return then(at if at.tzinfo else at.replace(tzinfo=UTC))

    spec = {"type": "string", "format": "date-time"}
    return _declare(None, read, "a date, or a date and time such as 2026-01-01T00:00:00Z", spec, name=name)


def texts(expected: str, *, check: Check, unique: bool = False) -> tuple[str, ...]:
    """A list of texts. A repeated one is dropped, or refused if they must be `unique`."""

    def read(raw: Any) -> tuple[str, ...]:
        _require(isinstance(raw, list))
        found = dict.fromkeys(map(_text(check), raw))
        _require(not unique or len(found) == len(raw))
        return tuple(found)

    spec: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "default": []}
    return _declare((), read, expected, {**spec, "uniqueItems": True} if unique else spec)


@overload
def group(groups: Mapping[str, type[T]], *, default: str, by: str = ...) -> T: ...
@overload
def group(groups: Mapping[str, type[T]], *, default: None, by: str = ...) -> T | None: ...
def group(groups: Mapping[str, type[T]], *, default: str | None, by: str = "auth_type") -> Any:
    """One of several groups of options, each a subclass of `Options`. Its option `by` names the group."""
    known: Any = groups

    def read(raw: Any) -> Any:
        _require(_kind(raw, by) in known)
        return known[_kind(raw, by)].parse(raw)

    spec = {"type": "object"} if default is None else {"type": "object", "default": {by: default}}
    value = None if default is None else known[default]()
    return _declare(value, read, f"an object whose {by} is one of {', '.join(groups)}", spec, groups=known, by=by)


def _kind(raw: Any, by: str) -> str:
    return str(raw.get(by)) if isinstance(raw, Mapping) else ""


def _require(right: Any) -> None:
    if not right:
        raise ValueError


def _text(check: Check) -> Callable[[Any], str]:
    def read(raw: Any) -> str:
        _require(isinstance(raw, str) and check(raw.strip()))
        return str(raw).strip()

    return read
