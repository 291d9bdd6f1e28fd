"""Reads the configuration file into plain options: environment variables and secret files take their places."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from webhook_inlet.config_mistakes import ConfigMistakes, shown

_VARIABLE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?")


class _Twice(yaml.MarkedYAMLError):
    """An option stands twice in a group."""


class _Loader(yaml.SafeLoader):
    """YAML takes the last of two equal keys, and the other one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        known: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in known:
                    raise _Twice(problem_mark=key.start_mark)
                known.add(key.value)
        return super().construct_mapping(node, deep)


def read_options(file: Path) -> tuple[dict[str, Any], list[str]]:
    """The options of a file, and the mistakes so far. Raises ConfigMistakes if the file cannot be read at all.

    `${NAME}` in a text takes an environment variable, `$${` stands for `${`. It is replaced behind the YAML, so that a
    value cannot change the structure of the file. `secrets_file` (one key a line) becomes `secrets`, `read_token_file`
    becomes `read_token`; a relative name starts at the folder of the configuration file.
    """
    try:
        options = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise ConfigMistakes([f"{file}: cannot be read ({error.strerror}). Check --config."]) from None
    except UnicodeDecodeError:
        raise ConfigMistakes([f"{file}: is not UTF-8 text."]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        if isinstance(error, _Twice):
            raise ConfigMistakes([f"{file}: an option stands twice in a group{where}; remove one of them."]) from None
        raise ConfigMistakes([f"{file}: is not valid YAML{where}."]) from None
    except Exception:  # a date or a number that is none: the loader lets Python's own errors out, which show the value
        raise ConfigMistakes([f"{file}: has a value that YAML cannot read. Put dates and texts into quotes."]) from None
    if not isinstance(options, dict):
        raise ConfigMistakes([f"{file}: must hold options (store, read_token, inlets)."])
    mistakes: list[str] = []
    try:
        options = _with_variables(options, "", mistakes)
    except RecursionError:
        raise ConfigMistakes([f"{file}: has a part that contains itself, or is nested too deeply."]) from None
    _take_file(options, "read_token", "", file.parent, mistakes)
    inlets = options.get("inlets")
    listed = inlets if isinstance(inlets, list) else []
    for place, inlet in enumerate(listed):
        if isinstance(inlet, dict):
            _take_file(inlet, "secrets", f"inlets[{place}].", file.parent, mistakes)
    return options, mistakes


def _with_variables(value: Any, path: str, mistakes: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _with_variables(item, f"{path}.{shown(key)}" if path else shown(key), mistakes)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_variables(item, f"{path}[{place}]", mistakes) for place, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "${"
        name = found["name"]
        if name is None:
            mistakes.append(
                f"{path}: `${{` must be followed by the name of an environment variable and `}}`; "
                "`$${` stands for a plain `${`."
            )
            return ""
        if name not in os.environ:
            mistakes.append(f"{path}: the environment variable {name} is not set.")
        return os.environ.get(name, "")

    return _VARIABLE.sub(replace, value)


def _take_file(options: dict[str, Any], option: str, path: str, folder: Path, mistakes: list[str]) -> None:
    """Puts what the file of `<option>_file` holds in the place of `option`."""
    name = options.pop(f"{option}_file", None)
    if name is None:
        return
    where = f"{path}{option}_file"
    if option in options:
        mistakes.append(f"{where}: stands beside {path}{option}; give one of them.")
        return
    if not isinstance(name, str):
        mistakes.append(f"{where}: must be the name of a file.")
        return
    try:
        text = (folder / name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8 text"
        mistakes.append(f"{where}: cannot be read ({reason}).")
        return
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        mistakes.append(f"{where}: the file is empty.")
        return
    options[option] = lines if option == "secrets" else lines[0]
