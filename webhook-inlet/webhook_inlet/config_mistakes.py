"""Mistakes of the configuration as sentences. No sentence holds a value of the file: it may be a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


class ConfigMistakes(Exception):
    """What is wrong with the configuration: one sentence each, which begins with the option."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


#: Parts of pydantic's locations that are no options: the values of `type` and `auth_type`
_TAGS = {"store": {"volume", "bucket"}, "credentials": {"role", "keys", "default"}}
#: Sentences by pydantic's type of error; `{...}` is taken from the error's own limits, never from the input
_SENTENCES = {
    "missing": "is missing.",
    "string_type": "must be text; put a number into quotes.",
    "string_too_short": "must not be empty.",
    "too_short": "must not be empty.",
    "string_too_long": "must have at most {max_length} characters.",
    "too_long": "must have at most {max_length} entries.",
    "literal_error": "must be {expected}.",
    "union_tag_not_found": "needs {discriminator}.",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}.",
    "tuple_type": "must be a list.",
    "int_type": "must be a whole number.",
    "int_parsing": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "float_type": "must be a number.",
    "float_parsing": "must be a number.",
    "finite_number": "must be a number.",
    "greater_than_equal": "must be at least {ge}.",
    "less_than_equal": "must be at most {le}.",
    "string_pattern_mismatch": "must be of lower-case letters, digits and hyphens.",
    "model_type": "must be a group of options.",
    "model_attributes_type": "must be a group of options.",
    "path_type": "must be the name of a folder.",
}
_INNER = re.compile(r"[a-z_]+(\[\d+\])?: ")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}|[a-z][a-z_]{0,39}")
#: What a missing option asks for
_MISSING = {
    "read_token": "is missing. It, or read_token_file, is the bearer token of /log and /status.",
    "store": "is missing. It says where events are kept, e.g. {type: volume, path: /data}.",
    "inlets": "is missing. `webhook-inlet new` prints an entry.",
    "path": "is missing.",
}


def sentences(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """One sentence for each mistake, `option.path: what is wrong and what would be right.`"""
    for detail in error.errors(include_url=False, include_input=False):
        place = _without_tags(detail["loc"])
        text = _sentence(detail, place, model)
        inner = _INNER.match(text)  # a validator of a group may name the option itself
        yield f"{_option(place)}.{text}" if inner else f"{_option(place)}: {text}"


def _sentence(detail: ErrorDetails, place: list[str | int], model: type[BaseModel]) -> str:
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(limits["error"])  # a validator's own sentence
    if kind == "extra_forbidden":
        known = _options_at(detail["loc"][:-1], model)
        return f"is not an option. The options here are {', '.join(known)}."
    if kind == "missing" and place[-1] in _MISSING:
        return _MISSING[str(place[-1])]
    if kind in _SENTENCES:
        return _SENTENCES[kind].format_map(_Limits(limits))
    return f"is not valid ({kind})."


class _Limits(dict[str, Any]):
    """The limits of an error; numbers without a needless fraction."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        super().__init__(
            {
                name: int(value) if isinstance(value, float) and value.is_integer() else value
                for name, value in limits.items()
            }
        )


def _options_at(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """The options of the group at a location; what stands for another one by a file is among them."""
    group: type[BaseModel] = model
    for part in location:
        if isinstance(part, int):
            continue
        if part in group.model_fields:
            choices = list(_models(group.model_fields[part].annotation))
            if len(choices) == 1:
                group = choices[0]
        else:
            group = next(choice for choice in choices if part in get_args(choice.model_fields[_tag(choice)].annotation))
    names = list(group.model_fields)
    return names + [f"{name}_file" for name in names if name in ("read_token", "secrets")]


def _tag(model: type[BaseModel]) -> str:
    return next(iter(model.model_fields))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _without_tags(location: tuple[int | str, ...]) -> list[str | int]:
    place: list[str | int] = []
    before: int | str = ""
    for part in location:
        if part not in _TAGS.get(str(before), ()):
            place.append(part)
            before = part
        else:
            before = ""
    return place


def shown(name: object) -> str:
    """The name of an option for a sentence; a secret that slipped into the place of a name is not shown."""
    return str(name) if _NAME.fullmatch(str(name)) else "(not shown)"


def _option(place: list[str | int]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{shown(part)}"
    return text or "the file"
