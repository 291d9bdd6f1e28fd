"""A connector's specification: its file `spec.yaml`, and the message of the command `spec`, made without the CDK.

The CDK takes half a second to import, and its YAML loader, which is written in Python, 20 ms for a file.
"""

from __future__ import annotations

import json
import pkgutil
from typing import Any

import yaml

#: The parts of a specification whose message is made here. The CDK's models have more, each with rules of its own.
_PLAIN = {"connectionSpecification": dict, "documentationUrl": str}
#: What the CDK's models add
_DEFAULTS = {"supportsNormalization": False, "supportsDBT": False}


def read_specification(package: str) -> Any:
    """The content of the package's `spec.yaml`. Raises FileNotFoundError, or YAMLError for what is no YAML."""
    return yaml.load(_file(package), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


def specification_line(package: str) -> bytes | None:
    """The package's SPEC message as a line, with the same bytes as the CDK makes.

    None for a file that is missing or broken, or has other parts: the CDK makes the message of these, or the error.
    """
    try:
        found = read_specification(package)
        if {name: type(part) for name, part in found.items()} != _PLAIN:
            return None
        specification = {name: found[name] for name in _PLAIN} | _DEFAULTS
        message = json.dumps({"type": "SPEC", "spec": specification}, ensure_ascii=False, separators=(",", ":"))
        return message.encode() + b"\n"
    except Exception:  # the CDK meets the same fault, and has a message for it
        return None


def _file(package: str) -> bytes:
    content = pkgutil.get_data(package, "spec.yaml")
    if content is None:
        raise FileNotFoundError(f"The files of the package {package} cannot be read")
    return content
