"""Reads the configuration file into plain options: environment variables and secret files take their places."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from webhook_inlet.config_mistakes import ConfigMistakes

_VARIABLE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)\})")


def read_options(file: Path) -> tuple[dict[str, Any], list[str]]:
    """The options of a file, and the mistakes so far. Raises ConfigMistakes if the file cannot be read at all.

    `${NAME}` in a text takes an environment variable, `$${` stands for `${`. It is replaced behind the YAML, so that a
    value cannot change the structure of the file. `secrets_file` (one key a line) becomes `secrets`, `read_token_file`
    becomes `read_token`; a relative name starts at the folder of the configuration file.
    """
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigMistakes([f"{file}: cannot be read ({error.strerror}). Check --config."]) from None
    except UnicodeDecodeError:
        raise ConfigMistakes([f"{file}: is not UTF-8 text."]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigMistakes([f"{file}: is not valid YAML{where}."]) from None
    if not isinstance(options, dict):
        raise ConfigMistakes([f"{file}: must hold options (store, read_token, inlets)."])
    mistakes: list[str] = []
    options = _with_variables(options, "", mistakes)
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
            key: _with_variables(item, f"{path}.{key}" if path else str(key), mistakes) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_variables(item, f"{path}[{place}]", mistakes) for place, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        name = found.group(2)
        if name is None:
            return "${"
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
