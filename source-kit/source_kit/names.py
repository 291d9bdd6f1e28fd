"""Field names: the vendors' camelCase to the snake_case of the tables."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """`trackTypeId` -> `track_type_id`, `rulesJSON` -> `rules_json`. Names without capitals stay as they are."""
    return _WORD_START.sub("_", name).lower() if any(map(str.isupper, name)) else name
