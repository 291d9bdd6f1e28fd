"""Grouped events: sums for each visitor and object over a day or an hour."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.names import snake_case
from source_kit.rows import Shaper

from source_pendo.aggregation import Row
from source_pendo.config import Config
from source_pendo.record_ids import IdentityIds
from source_pendo.streams.event_days import EventStream
from source_pendo.values import Instants, instant

_TIMES: Final = ("first_time", "last_time")
#: Few values repeat in these, so they are formatted once each
_BUCKETS: Final = ("day", "hour", "week", "month", "quarter", "last_key_frame_timestamp")


class GroupedEvents(EventStream):
    """Rows that count what a visitor did with an object in a day or an hour.

    Counters of a row grow while a day is open and for about ten days after, and the row keeps its `record_id`, so an
    upserting destination replaces it.
    """

    object_id: ClassVar[str]
    grouped = True

    def __init__(self, config: Config, session: requests.Session) -> None:
        super().__init__(config, session)
        bucket = Instants().__getitem__
        converters = dict.fromkeys(_BUCKETS, bucket) | dict.fromkeys(_TIMES, instant)
        self._shape = Shaper(snake_case, converters)
        self._ids = IdentityIds(
            (
                self.cursor_name,
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

    @property
    def cursor_name(self) -> str:
        """`day` or `hour`, as the option `period` says."""
        return self.config.period

    def records(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Pendo's columns in snake_case, instants as text, and the key."""
        ids = self._ids(rows)
        records = self._shape(rows)
        cursor = self.cursor_name
        for record, record_id in zip(records, ids, strict=True):
            if record.get(cursor) is None:  # rows of different days would share one key
                raise self._no_cursor(record_id)
            record["record_id"] = record_id
        return records

    def _no_cursor(self, record_id: str) -> AirbyteTracedException:
        return AirbyteTracedException(
            message=(
                f"Pendo sent a row of {self.name} that does not say its {self.cursor_name}, so the stream was stopped "
                "before rows of different times could replace one another. Run the sync again; if it happens again, "
                "report it."
            ),
            internal_message=f"row {record_id} has no {self.cursor_name}",
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
