"""Which topics each person is subscribed to, taken from the profiles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from source_kit.stream import Record, SliceItem, StreamDocs

from source_customerio.streams.people import Batch, Profiles, preferences_of

#: A number in one way only: `topic_07` beside `topic_7` would be a second row with the same key
_TOPIC = re.compile(r"topic_(0|[1-9][0-9]{0,17})")
_NAMED = 3
_SHAPE_AT_MOST = 30


class Kept(NamedTuple):
    """What `customers` kept of the people of one request, each as `preferences_of` gives it."""

    number: int
    people: list[list[Any]]

    def __str__(self) -> str:
        return f"preferences from request {self.number + 1} of customers"


class CustomerTopics(Profiles):
    """One row for each person and topic: what the person chose, and what applies.

    `subscribed_set` is what the person chose, null where the person chose nothing for this topic. `subscribed` is what
    applies with the topics' defaults, null where the profile does not say it for this topic (a topic that is gone, for
    example). Both attributes and their form are documented; that the second one holds every topic is inferred. A person
    without either attribute has no rows.

    Profiles that `customers` read in the same sync are not requested again. Those that it could not read are.
    """

    key = ("cio_id", "topic_id")
    reads_after = frozenset({"customers"})
    documented_only = True
    docs = StreamDocs(
        read_again="everything",
        deletes="deleted people, and topics that a profile no longer names, are gone with the next sync",
        requests="0 beside `customers`, otherwise 11 for each 1,000 people",
    )

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        super().start(state, full_refresh, sync_start)
        self._malformed = 0
        self._unnamed: Counter[str] = Counter()

    def slices(self) -> Iterator[Kept | Batch]:
        """What `customers` kept, then the people whom it did not read, who are everybody if it did not run."""
        people = self.client.connection.people
        if people.read:
            self.logger.info(f"Stream {self.name}: {len(people.read)} requests of customers serve this stream, too")
            for number, kept in people.preferences:
                yield Kept(number, kept)
        for batch in super().slices():
            if batch.number not in people.read:
                yield batch

    def read_slice(self, slice_: Kept | Batch) -> Iterator[SliceItem]:
        if isinstance(slice_, Kept):
            yield self._rows(slice_.people)
            return
        for profiles in self.profiles(slice_):
            yield self._rows(preferences_of(profiles))

    def _rows(self, people: list[list[Any]]) -> list[Record]:
        """The rows of some people. A text that cannot be read is counted, and so is a topic without a number."""
        rows, malformed, unnamed = [], 0, Counter[str]()
        for cio_id, chosen, computed, changed in people:
            try:
                set_, applies = topics_in(chosen), topics_in(computed)
            except ValueError:
                malformed += 1
                continue
            for name in {**set_, **applies}:
                number = _TOPIC.fullmatch(name)
                if number is None:
                    unnamed[shape_of(name)] += 1
                    continue
                rows.append(
                    {
                        "cio_id": cio_id,
                        "topic_id": int(number[1]),
                        "identifier": name,
                        "subscribed_set": set_.get(name),
                        "subscribed": applies.get(name),
                        "changed_at": changed if isinstance(changed, int) else None,
                    }
                )
        with self._lock:
            self._malformed += malformed
            self._unnamed += unnamed
        return rows

    def finish(self) -> None:
        super().finish()
        if self._malformed:
            self.logger.warning(
                f"Stream {self.name}: the preferences of {self._malformed} people could not be read, so they have no "
                "rows here. Their attributes are in `customers` as they came. Report it to Customer.io's support."
            )
        if self._unnamed:
            shapes = ", ".join(sorted(self._unnamed)[:_NAMED])
            self.logger.warning(
                f"Stream {self.name}: {self._unnamed.total()} preferences were left out, because their topics have no "
                f"name of the form topic_7, and so no topic_id. Their names look like {shapes} (a stands for any "
                "letter, 9 for any digit)."
            )


def topics_in(value: Any) -> dict[str, bool | None]:
    """The topics in an attribute: a text of JSON like `{"topics":{"topic_7":false}}`, or that object itself.

    Raises ValueError for anything else, unless it is empty.
    """
    document = orjson.loads(value) if isinstance(value, str) and value else value
    if not isinstance(document or {}, dict):
        raise ValueError("no object")
    topics = (document or {}).get("topics") or {}
    if not isinstance(topics, dict) or not all(one is None or isinstance(one, bool) for one in topics.values()):
        raise ValueError("no map of booleans")
    return topics


def shape_of(name: str) -> str:
    """A name without what it says: every letter an `a`, every digit a `9`."""
    text = re.sub(r"[^\W\d_]", "a", name[:_SHAPE_AT_MOST])
    return re.sub(r"\d", "9", text)
