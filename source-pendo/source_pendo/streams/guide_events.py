"""Guide, poll and email events: one row for each thing that a visitor did."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_pendo.aggregation import EventSource, Row, Scope
from source_pendo.day_notes import Processed, processed
from source_pendo.record_ids import content_ids
from source_pendo.streams.event_days import EventStream, Reading
from source_pendo.streams.grouped_events import Events
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
        requests=f"{EventStream.docs.requests}; one request a sync asks how far Pendo has processed the events",
    )

    def ids(self, rows: list[Row], reading: Reading) -> list[str]:
        return content_ids(rows, _ASKED_FOR)

    def asked_processed(self) -> Processed | None:
        """Asks the source `events`: Pendo documents `details` for the sources of sums only.

        That single events are processed together with them is inferred. Without an answer the clock decides alone.
        """
        source = EventSource(Events.source, "day", (), merge_hours=True)
        scope = Scope(self._sync_start.date() - timedelta(days=1), self.config.app_ids)
        try:
            answer = self.client.aggregate("processed", [*source.stages(scope), {"limit": 1}], details=True)
            for _ in answer.rows("results"):
                pass
        except AirbyteTracedException as error:
            self.logger.info(
                f"Stream {self.name}: how far events are processed is not known ({error.internal_message})"
            )
            return None
        return processed(answer.envelope.get("details"), self.config.app_ids)


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


class EmailEvents(SingleEvents):
    """What became of the emails of NPS guides and campaigns: sent, delivered, opened, clicked, bounced, and more.

    `type` is `email:pendo:` and what happened. The columns are those of Pendo's API documentation (August 2025).
    """

    source = "emailEvents"
    order = ("browserTime", "type")
    documented_only = True
