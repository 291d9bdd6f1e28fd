"""Which objects of a list were emitted, so that those that are gone are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from source_pendo.values import instant, text

#: Airbyte's own name for the time of a deletion
DELETED_AT: Final = "_ab_cdc_deleted_at"
#: So that a state stays small: with more objects than this, no deletion is found
MOST_KNOWN: Final = 5_000
#: Bytes that one object may take in a state. Pendo's ids have 27 characters, which take 47 with the time of change.
_BYTES_OF_ONE: Final = 64
_BYTES_OF_A_TIME: Final = len('"":1772341200123, ')


def with_deletions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema and the column that says when an object was found deleted."""
    column = {
        "description": "When a sync found that the object is gone; null while it is there",
        "type": ["null", "string"],
        "format": "date-time",
        "airbyte_type": "timestamp_with_timezone",
    }
    return {**schema, "properties": {**schema["properties"], DELETED_AT: column}}


class KnownObjects:
    """The emitted objects of one list: id and last known change, in epoch milliseconds or None.

    In a state it is `{"<id>": 1772341200123}`. Call `add` for every object of a list, wanted or not, then `deleted`,
    then `in_state`.
    """

    def __init__(self, saved: Any) -> None:
        """`saved` is the part of a state; None: no sync has noted its objects yet.

        Raises ValueError for what `in_state` cannot have returned.
        """
        if not isinstance(saved, dict | None) or not all(map(_is_change, (saved or {}).values())):
            raise ValueError
        self._is_first = saved is None
        self._before: dict[str, int | None] = dict(saved or {})
        self._now: dict[str, int | None] = {}
        self._listed: set[str] = set()
        #: Objects whose ids are too long for a state
        self.too_long = 0

    def add(self, object_id: Any, changed: int | None, *, wanted: bool) -> bool:
        """Note an object of the list; `wanted` ones are emitted.

        Returns whether it has to be emitted whatever its age: it came back, or it, or its last change, belongs to an
        application that was not read before.
        """
        if object_id is None:
            return False
        name = text(object_id)
        self._listed.add(name)
        if len(json.dumps(name)) - 2 + _BYTES_OF_A_TIME > _BYTES_OF_ONE:
            self.too_long += wanted
            return False
        known, emitted = name in self._before, self._before.get(name)
        if wanted:
            # Never earlier than what was emitted before: the deletion must be the newest row of its key.
            times = [at for at in (changed, emitted, self._now.get(name)) if at is not None]
            self._now[name] = max(times, default=None)
        elif known:
            self._now[name] = emitted
        return wanted and not self._is_first and (not known or (changed or 0) > (emitted or 0))

    def deleted(self) -> dict[str, int | None]:
        """The known objects that the list lacks, with their last known changes. An empty list deletes nothing."""
        if not self._listed:
            return {}
        return {name: changed for name, changed in self._before.items() if name not in self._listed}

    @property
    def list_is_suspicious(self) -> bool:
        """Whether the list is empty, and was not before."""
        return bool(self._before) and not self._listed

    def in_state(self) -> dict[str, int | None] | None:
        """What the next sync must know. None: more objects than a state may hold."""
        known = self._before if self.list_is_suspicious else self._now
        return known if len(known) <= MOST_KNOWN else None


def _is_change(value: Any) -> bool:
    """Whether a value is a time of change as `in_state` has it: one that a timestamp can hold, or none."""
    return value is None or (value.__class__ is int and (value == 0 or instant(value) is not None))
