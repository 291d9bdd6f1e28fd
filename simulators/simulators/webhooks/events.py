"""An event as it is posted, and how the same document is written in different bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SEPARATORS = ((",", ":"), (", ", ": "), (" , ", " : "))


@dataclass(frozen=True, slots=True)
class Event:
    """`ids` are those of the vendor (None: the event has none), `kind` is for people, `body` what is sent."""

    ids: tuple[str | None, ...]
    kind: str
    document: Any
    body: bytes

    def encoded_again(self, rng: random.Random) -> bytes:
        """The same document in other bytes."""
        return encoded(self.document, rng)


def encoded(document: Any, rng: random.Random) -> bytes:
    """JSON with random order of keys, spacing, line feeds and escapes."""
    indent = 2 if rng.random() < 0.05 else None
    text = json.dumps(
        _shuffled(document, rng),
        separators=_SEPARATORS[rng.choice((0, 0, 1, 2))],
        ensure_ascii=rng.random() < 0.5,
        indent=indent,
    )
    return text.encode()


def _shuffled(document: Any, rng: random.Random) -> Any:
    if isinstance(document, dict):
        names = list(document)
        rng.shuffle(names)
        return {name: _shuffled(document[name], rng) for name in names}
    return [_shuffled(item, rng) for item in document] if isinstance(document, list) else document


def in_arrays(events: Iterator[Event], share: float, rng: random.Random) -> Iterator[Event]:
    """Puts 2 to 5 events into the array of one body, so often that `share` of the bodies are arrays."""
    for event in events:
        if rng.random() >= share:
            yield event
            continue
        several = [event, *(next(events) for _ in range(rng.randrange(1, 5)))]
        document = [one.document for one in several]
        ids = tuple(one_id for one in several for one_id in one.ids)
        yield Event(ids, "array", document, encoded(document, rng))
