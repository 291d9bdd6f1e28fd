"""What a connector declares about its options, its specification and its page say too, one option after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from source_kit.options import Option, Options

ROOT = Path(__file__).resolve().parents[1]
#: Keywords that only forms use: a pattern may be narrower than what the connector takes, or be missing
_FOR_FORMS = {"title", "description", "order", "examples", "pattern", "pattern_descriptor", "minLength", "oneOf"}


def test_the_specification_has_the_declared_options(connector: Any) -> None:
    """Names, types, defaults, limits, choices, secrets, and which ones are required."""
    file = connector.folder / connector.package / "spec.yaml"
    schema = yaml.safe_load(file.read_text(encoding="utf-8"))["connectionSpecification"]

    assert _specified(schema) == _declared(connector.source.options)


def _specified(schema: dict[str, Any]) -> dict[str, Any]:
    options = {name: option for name, option in schema["properties"].items() if "const" not in option}
    return {
        name: _without_form(option)
        | {"required": name in schema["required"]}
        | {"groups": {_kind(one): _specified(one) for one in option.get("oneOf", ())}}
        for name, option in options.items()
    }


def _kind(schema: dict[str, Any]) -> tuple[str, str]:
    """The option that names a group of options, and the group's name."""
    [(by, kind)] = [(name, option["const"]) for name, option in schema["properties"].items() if "const" in option]
    assert by in schema["required"]
    return by, kind


def _without_form(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        word: _without_form(value) if word == "items" else value
        for word, value in schema.items()
        if word not in _FOR_FORMS
    }


def _declared(options: type[Options]) -> dict[str, Any]:
    return {
        name: {
            **option.spec,
            "required": option.required,
            "groups": {(option.by, kind): _declared(within) for kind, within in option.groups.items()},
        }
        for name, (_, option) in options.declared().items()
    }


def test_the_page_has_the_sentence_for_every_wrong_option(connector: Any) -> None:
    page = (ROOT / "docs" / f"{connector.vendor}.md").read_text(encoding="utf-8")
    rows = [_pattern(row) for row in re.findall(r"^\| `?(Option .+?)`? \|", page, re.MULTILINE)]
    sentences = [sentence for name, option in _all(connector.source.options) for sentence in _sentences(name, option)]

    assert len(sentences) > len(connector.source.options.declared())
    assert [sentence for sentence in sentences if not any(row.fullmatch(sentence) for row in rows)] == []


def _all(options: type[Options]) -> Iterator[tuple[str, Option]]:
    for name, (_, option) in options.declared().items():
        yield name, option
        for within in option.groups.values():
            yield from _all(within)


def _sentences(name: str, option: Option) -> Iterator[str]:
    yield f"Option {name} {option.problem} {option.expected}."
    if option.required:
        yield f"Option {name} is missing: enter {option.expected}."


def _pattern(row: str) -> re.Pattern[str]:
    """A row of the page, where `{...}` and `...` stand for what is filled in."""
    return re.compile(".+".join(map(re.escape, re.split(r"\{[^}]*\}|\.\.\.", row))))
