"""Guide and poll events: one row for each thing that a visitor did."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from source_pendo.aggregation import Row
from source_pendo.record_ids import content_ids
from source_pendo.streams.event_days import EventStream, Reading
from source_pendo.values import instant, number, text

#: Columns that depend on the period of the query and not on the event
_ASKED_FOR: Final = frozenset({"day", "hour", "week", "month", "quarter"})
_TIMES: Final = _ASKED_FOR | {"browser_time", "guide_timestamp", "received_time"}


class SingleEvents(EventStream):
    """Events that never change once they are there.

    Their `record_id` is a hash of all that Pendo sent about the event; equal events are numbered.
    Days are the days in which Pendo counts an event. `browser_time` comes from the visitor's clock and may lie years
    before or after, so it is never used to ask for rows.
    """

    grouped = False
    cursor_field = "browser_time"
    converters = dict.fromkeys(_TIMES, instant)
    docs = replace(
        EventStream.docs,
        late_rows="45 minutes to 6 hours; events of devices that were offline come up to a week late",
    )

    def ids(self, rows: list[Row], reading: Reading) -> list[str]:
        return content_ids(rows, _ASKED_FOR)


_OF_GUIDES: Final = replace(
    SingleEvents.docs,
    deletes=f"{SingleEvents.docs.deletes}; a reset of a staged guide removes its past events and answers (documented)",
)


class GuideEvents(SingleEvents):
    """What visitors did with guides: seen, advanced, dismissed, and more."""

    docs = _OF_GUIDES
    source = "guideEvents"
    order = ("browserTime", "guideId", "guideStepId", "type")


class PollEvents(SingleEvents):
    """Answers to polls. An NPS guide has two polls, the score and the reason, so look at `poll_id`.

    The answer is a score, free text, or the id of a choice whose label is in `guides.polls`: always a text here, and a
    number in `poll_response_number` if it is one.
    """

    docs = _OF_GUIDES
    source = "pollEvents"
    order = ("browserTime", "pollId")

    def records(self, rows: list[Row], ids: list[str], reading: Reading) -> list[Row]:
        records = super().records(rows, ids, reading)
        for record in records:
            response = record.get("poll_response")
            if response is not None:
                record["poll_response"] = text(response)
                record["poll_response_number"] = number(response)
        return records
