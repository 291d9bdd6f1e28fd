"""Grouped events: sums for each visitor and object over a day or an hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, ClassVar, Final

from source_kit.errors import system_error
from source_kit.http.client import Connection
from source_kit.json_text import dumps
from source_kit.stream import RecordLines

from source_pendo import native_records
from source_pendo.aggregation import Objects, Row
from source_pendo.config import Config
from source_pendo.event_rows import Cut, RowText
from source_pendo.native_records import NativeRecords
from source_pendo.record_ids import identity_ids
from source_pendo.streams.event_days import EventStream, Reading
from source_pendo.values import instant

#: Only an answer by day has these (observed)
_TIMES_OF_DAYS: Final = ("day", "week", "month", "quarter")
_TIMES: Final = (*_TIMES_OF_DAYS, "hour", "first_time", "last_time", "last_key_frame_timestamp")
#: Columns that tell rows of one visitor, account and object apart. All are part of the key, so the list never changes
_REST_OF_IDENTITY: Final = (
    "server",
    "remoteIp",
    "userAgent",
    "tabId",
    "analyticsSessionId",
    "parameters",
    "properties",
)


class GroupedEvents(EventStream):
    """Rows that count what a visitor did with an object in a day or an hour.

    Counters of a row grow while a day is open and for about ten days after, and the row keeps its `record_id`, so an
    upserting destination replaces it.
    """

    object_id: ClassVar[str]
    grouped = True
    #: Rows of this sync without their day
    _undated = 0
    converters = dict.fromkeys(_TIMES, instant)

    def __init__(self, config: Config, connection: Connection) -> None:
        super().__init__(config, connection)
        self.cursor_field = config.period
        # A day is hashed as its date: its instant moves when the subscription's time zone is changed.
        hour = ("hour",) if config.period == "hour" else ()
        self._identity = (*hour, "appId", "visitorId", "accountId", self.object_id, *_REST_OF_IDENTITY)
        self._native = NativeRecords(
            self.name,
            required=config.period,
            identity=self._identity,
            instants=self.converters.keys(),
            added=("record_id", "read_day", "read_at"),
        )

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override] # the base caches for ever
        """The schema without the times that only rows of the other period have."""
        schema = super().get_json_schema()
        absent = _TIMES_OF_DAYS if self.cursor_field == "hour" else ("hour",)
        return {**schema, "properties": {name: of for name, of in schema["properties"].items() if name not in absent}}

    @property
    def order(self) -> tuple[str, ...]:
        return (self.object_id, "accountId", "server", "remoteIp", "userAgent")

    def ids(self, rows: list[Row], reading: Reading) -> list[str]:
        return identity_ids(rows, self._identity, self._hashed(reading.day))

    def _hashed(self, day: str) -> tuple[str, ...]:
        """What is hashed of the reading of a day."""
        return (day,) if self.cursor_field == "day" else ()

    def cut_of(self, day: date) -> Cut:
        if native_records.MISSING is not None:
            return super().cut_of(day)
        return partial(self._native.cut, of=self._hashed(day.isoformat()))

    def items(self, rows: list[RowText], reading: Reading) -> list[Row] | RecordLines:
        if native_records.MISSING is not None:
            return super().items(rows, reading)
        constants = dumps({"read_day": reading.day, "read_at": reading.at})[1:-1]
        return self._native.lines(
            rows,
            self._hashed(reading.day),
            constants,
            ids_of=lambda found: self.ids(found, reading),
            records_of=lambda found, ids: self.records(found, ids, reading),
        )

    def records(self, rows: list[Row], ids: list[str], reading: Reading) -> list[Row]:
        """As the base. A row without its day is counted; one without its hour is an error, since keys hash the hour."""
        records = super().records(rows, ids, reading)
        cursor = self.cursor_field
        undated = [record["record_id"] for record in records if record.get(cursor) is None]
        if undated and cursor == "hour":
            raise system_error(
                f"Pendo sent a row of {self.name} that does not say its hour, so the stream was stopped before rows of "
                "different times could replace one another. Run the sync again; if it happens again, report it.",
                f"row {undated[0]} has no hour",
            )
        self._undated += len(undated)
        return records

    def finish(self) -> None:
        super().finish()
        if self._undated:
            self.logger.warning(
                f"Stream {self.name}: {self._undated} rows do not say their day. They were emitted without it; "
                "read_day says in which day's reading they came"
            )


class Events(GroupedEvents):
    """All activity, on tagged pages and features or not; `page_id` is usually the constant `allevents`.

    Track events are in it only where the settings of their application count them as time (documented).
    """

    source = "events"
    object_id = "pageId"


class PageEvents(GroupedEvents):
    """Views of tagged pages."""

    source = "pageEvents"
    object_id = "pageId"
    objects = Objects(object_id, "/page")


class FeatureEvents(GroupedEvents):
    """Clicks on tagged features."""

    source = "featureEvents"
    object_id = "featureId"
    objects = Objects(object_id, "/feature")


class TrackEvents(GroupedEvents):
    """Track events, which the customer's own code sends; `properties` holds what it sent.

    `server` is `__apitrackevent__` for events that a server sent (documented). Pendo documents that an event with a
    time in the past waits for a daily or weekly pass, and that one which arrives more than seven days late may never be
    processed. So `lookback_window` should be 15 where servers send old times.
    """

    docs = replace(
        GroupedEvents.docs,
        late_rows=(
            f"{GroupedEvents.docs.late_rows}; one that was sent with a time in the past waits for a daily or weekly "
            "pass (documented), so it may come about 14 days later (inferred)"
        ),
    )
    source = "trackEvents"
    object_id = "trackTypeId"
    objects = Objects(object_id, "/tracktype")
