"""The head of the status page: whether all is well, and what to look at."""

from __future__ import annotations

from typing import Any

import pytest
from webhook_inlet.status import rfc3339
from webhook_inlet.status_concerns import concerns

NOW = 1_764_200_000.0
HOUR = 3600.0


def ago(seconds: float) -> str | None:
    return rfc3339(NOW - seconds)


def inlet(**changes: Any) -> dict[str, Any]:
    """An inlet that all is well with, but for the changes."""
    return {
        "name": "prod",
        "source": "customerio",
        "last_event_at": ago(60),
        "last_error": None,
        "last_bad_signature_at": None,
        "lanes": [{"lane": "20261126T220100Z-abc123"}],
        "lanes_problem": None,
        "readers": [reader()],
        **changes,
    }


def reader(**changes: Any) -> dict[str, Any]:
    return {
        "reader": "airbyte-source-customerio",
        "last_seen_at": ago(HOUR),
        "missed_segments": 0,
        "lag_seconds": 60.0,
        **changes,
    }


def said(
    one: dict[str, Any],
    started: float = 99 * HOUR,
    store: str = "volume",
    free: int | None = 10**12,
    problem: str | None = None,
) -> list[str]:
    status = {
        "ready": problem is None,
        "problem": problem,
        "started_at": ago(started),
        "store": {"type": store, "free_bytes": free},
        "inlets": [one],
    }
    return [concern.words for concern in concerns(status, NOW)]


def test_nothing_is_said_where_all_is_well() -> None:
    assert said(inlet()) == []
    assert said(inlet(), free=None) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"last_bad_signature_at": ago(30 * HOUR), "last_event_at": None}, "Posts are refused"),
        ({"last_bad_signature_at": ago(5), "last_error": {"at": ago(5), "words": "-"}}, "Posts are refused"),
        ({"last_error": {"at": ago(5), "words": "-"}}, "The last error:"),
        ({"lanes_problem": "The store did not answer."}, "The store does not say"),
        ({"last_event_at": ago(25 * HOUR)}, "No event came for more than a day."),
        ({"readers": [reader(missed_segments=1)]}, "has lost events"),
        ({"readers": [reader(lag_seconds=37 * HOUR)]}, "does not read"),
        ({"readers": [reader(reader="curl")]}, "No connector has read"),
        ({"readers": []}, "No connector has read"),
    ],
)
def test_one_sentence_says_what_to_look_at(changes: dict[str, Any], words: str) -> None:
    found = said(inlet(**changes))
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"last_event_at": None, "lanes": [], "readers": []},  # new: the page says how to begin
        {"last_bad_signature_at": ago(2 * HOUR)},  # verified since
        {"last_error": {"at": ago(2 * HOUR), "words": "-"}},
        {"readers": [reader(lag_seconds=25 * HOUR)]},  # a daily sync
        {"readers": [reader(), reader(reader="curl", lag_seconds=99 * HOUR)]},
        {"source": "standard", "readers": []},  # no connector reads it
    ],
)
def test_what_is_usual_is_not_said(changes: dict[str, Any]) -> None:
    assert said(inlet(**changes)) == []


def test_a_connector_that_was_not_seen_is_told_only_when_it_would_have_been() -> None:
    assert said(inlet(readers=[]), started=HOUR) == []
    assert said(inlet(readers=[]), store="bucket", free=None) == []


def test_a_disk_is_nearly_full_before_posts_are_refused() -> None:
    assert "nearly full" in said(inlet(), free=10**9 - 1)[0]
    assert said(inlet(), free=10**9) == []


def test_what_the_page_says_in_large_letters_is_not_said_again() -> None:
    full = "The volume is full."
    one = inlet(last_error={"at": ago(5), "words": full}, lanes_problem=full)
    assert said(one, free=10**6, problem=full) == []
    assert len(said(inlet(last_error={"at": ago(5), "words": "Another one."}), problem=full)) == 1
