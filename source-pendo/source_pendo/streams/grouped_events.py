"""Grouped events: sums for each visitor and object over a day or an hour."""

from __future__ import annotations

from typing import ClassVar, Final

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import RecordMapper, snake_case
from source_kit.http.client import Connection

from source_pendo.aggregation import Row
from source_pendo.config import Config
from source_pendo.record_ids import IdentityIds
from source_pendo.streams.event_days import EventStream, Reading
from source_pendo.values import cached_instant, instant

_TIMES: Final = ("first_time", "last_time")
#: Columns with few different values, each of which is formatted once
_BUCKETS: Final = ("day", "hour", "week", "month", "quarter", "last_key_frame_timestamp")


class GroupedEvents(EventStream):
    """Rows that count what a visitor did with an object in a day or an hour.

    Counters of a row grow while a day is open and for about ten days after, and the row keeps its `record_id`, so an
    upserting destination replaces it.
    """

    object_id: ClassVar[str]
    grouped = True

    def __init__(self, config: Config, connection: Connection) -> None:
        super().__init__(config, connection)
        self.cursor_field = config.period
        converters = dict.fromkeys(_BUCKETS, cached_instant) | dict.fromkeys(_TIMES, instant)
        self.mapper = RecordMapper(snake_case, converters)
        self._undated = 0
        # A day is hashed as its date: its instant moves when the subscription's time zone is changed.
        self._ids = IdentityIds(
            (
                *(("hour",) if config.period == "hour" else ()),
                "appId",
                "visitorId",
                "accountId",
                self.object_id,
                "server",
                "remoteIp",
                "userAgent",
                "tabId",
                "analyticsSessionId",
                "parameters",
                "properties",
            )
        )

    @property
    def order(self) -> tuple[str, ...]:
        """Order of a visitor's rows within a page."""
        return (self.object_id, "accountId", "server", "remoteIp", "userAgent")

    def ids(self, rows: list[Row], reading: Reading) -> list[str]:
        """Hashes of what identifies a row; with `period: hour` the hour is in the row."""
        return self._ids(rows, (reading.day,) if self.cursor_field == "day" else ())

    def records(self, rows: list[Row], reading: Reading) -> list[Row]:
        """See the base. Rows without their day are counted; a row without its hour is an error."""
        records = super().records(rows, reading)
        cursor = self.cursor_field
        for record in [record for record in records if record.get(cursor) is None]:
            self._note_undated(record["record_id"])
        return records

    def finish(self) -> None:
        """Log how many rows came without their day."""
        super().finish()
        if self._undated:
            self.logger.warning(
                f"Stream {self.name}: {self._undated} rows do not say their day. They were emitted without it; "
                "read_day says in which day's reading they came"
            )

    def _note_undated(self, record_id: str) -> None:
        """A row without its day belongs to the day that was asked for; rows without their hour would share keys."""
        if self.config.period == "day":
            self._undated += 1
            return
        raise AirbyteTracedException(
            message=(
                f"Pendo sent a row of {self.name} that does not say its hour, so the stream was stopped before rows of "
                "different times could replace one another. Run the sync again; if it happens again, report it."
            ),
            internal_message=f"row {record_id} has no hour",
            failure_type=FailureType.system_error,
        )


class Events(GroupedEvents):
    """All activity, on tagged pages and features or not; `page_id` is usually the constant `allevents`."""

    source = "events"
    object_id = "pageId"


class PageEvents(GroupedEvents):
    """Views of tagged pages."""

    source = "pageEvents"
    object_id = "pageId"


class FeatureEvents(GroupedEvents):
    """Clicks on tagged features."""

    source = "featureEvents"
    object_id = "featureId"


class TrackEvents(GroupedEvents):
    """Track events, which the customer's own code sends; `properties` holds what it sent."""

    source = "trackEvents"
    object_id = "trackTypeId"
