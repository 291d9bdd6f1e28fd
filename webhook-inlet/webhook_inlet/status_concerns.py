"""What needs a look although posts may be stored: the head of the status page names it, so that a glance is enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: A refused signature and an error are shown loudly for so many seconds
LOUD_SECONDS = 3600
#: Less free space than this (bytes) is said before posts are refused
LITTLE_SPACE = 1_000_000_000
#: Silence of a sender (seconds) that is said; some senders are quiet for a night
SILENT_SECONDS = 24 * 3600
#: A reader is late if an event waits so long (seconds): a daily sync did not come
LATE_SECONDS = 36 * 3600
#: Other readers, such as a person's curl, owe nobody a visit
_CONNECTORS = "airbyte-source-"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Concern:
    """A sentence, its instant if it has one, and the inlet that it is about."""

    words: str
    at: str | None = None
    inlet: str | None = None


def concerns(status: Json, now: float) -> list[Concern]:
    """What to look at, besides the problem of an inlet that is not ready.

    `status` is the JSON of `/status`, `now` its time in epoch seconds.
    """
    free = status["store"]["free_bytes"]
    found = []
    if status["ready"] and free is not None and free < LITTLE_SPACE:
        found.append(Concern("The disk is nearly full. Make the volume larger, or lower retention_days."))
    for inlet in status["inlets"]:
        found += _of_inlet(inlet, status["problem"], now)
        # a bucket is also read past this process
        if status["store"]["type"] == "volume" and _unread(inlet, age(status["started_at"], now)):
            found.append(Concern("No connector has read since the start. Look at its syncs.", inlet=inlet["name"]))
    return found


def _of_inlet(inlet: Json, problem: str | None, now: float) -> Iterator[Concern]:
    name, refused_at = inlet["name"], inlet["last_bad_signature_at"]
    failed, last = inlet["last_error"], inlet["last_event_at"]
    if refused(inlet, now):
        yield Concern("Posts are refused, because their signature is wrong. The last one:", refused_at, name)
    known = failed and (failed["words"] == problem or same_moment(failed["at"], refused_at))
    if failed and not known and age(failed["at"], now) < LOUD_SECONDS:
        yield Concern("A post failed. The last error:", failed["at"], name)
    if not problem and inlet["lanes_problem"]:
        yield Concern("The store does not say what it holds.", None, name)
    if last and age(last, now) > SILENT_SECONDS:
        yield Concern(
            "No event came for more than a day. Is the webhook still enabled at the sender? The last event:", last, name
        )
    for reader in inlet["readers"]:
        if reader["missed_segments"]:
            yield Concern(f"{reader['reader']} has lost events: they were removed before it read them.", None, name)
        if reader["reader"].startswith(_CONNECTORS) and (reader["lag_seconds"] or 0) > LATE_SECONDS:
            yield Concern(
                f"{reader['reader']} does not read. Look at its syncs. Last seen:", reader["last_seen_at"], name
            )


def refused(inlet: Json, now: float) -> bool:
    """Whether a wrong signature is still a problem. A sender may pause for an hour or more after it and say nothing.

    So it is one for an hour, and then until a post is verified.
    """
    at, last = inlet["last_bad_signature_at"], inlet["last_event_at"]
    return at is not None and (age(at, now) < LOUD_SECONDS or last is None or last < at)


def _unread(inlet: Json, started_seconds: float) -> bool:
    """Whether there are events and no connector has come since the start, long ago."""
    seen = any(reader["reader"].startswith(_CONNECTORS) for reader in inlet["readers"])
    readable = inlet["source"] != "standard" and bool(inlet["lanes"])
    return started_seconds > LATE_SECONDS and readable and not seen


def same_moment(one: str, other: str | None) -> bool:
    """Whether two instants are those of one post: its error and its refusal are noted one after the other."""
    return other is not None and abs(instant(one) - instant(other)) < 2


def age(at: str, now: float) -> float:
    """Seconds since an instant; 0 if the clock was set back."""
    return max(0.0, now - instant(at))


def instant(at: str) -> float:
    """Epoch seconds."""
    return datetime.fromisoformat(at).timestamp()
