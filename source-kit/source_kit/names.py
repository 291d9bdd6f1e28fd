"""Field names: the vendors' camelCase to the snake_case of the tables."""

from __future__ import annotations

import re
from functools import lru_cache

from source_kit.limits import REMEMBERED_NAME

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """`trackTypeId` -> `track_type_id`, `rulesJSON` -> `rules_json`. Names without capitals stay as they are."""
    return _remembered(name) if len(name) <= REMEMBERED_NAME else _converted(name)


def _converted(name: str) -> str:
    return _WORD_START.sub("_", name).lower() if any(map(str.isupper, name)) else name


_remembered = lru_cache(maxsize=4096)(_converted)
