"""Metrics: one row for each parent, resolution and period, from arrays that the vendor sends without dates.

Late opens, clicks and conversions change past periods for months, so every sync reads all periods again. Values are in
one open map, because the vendor adds metrics without notice and omits what does not apply.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from source_kit.convert import utc_now
from source_kit.stream import Record, StreamDocs

from source_customerio.series import EASTERN, Resolution, from_start, instant_or_none, months_touched, until_now
from source_customerio.streams.base import integer_or_same
from source_customerio.streams.children import Children
from source_customerio.streams.lists import Broadcasts, Campaigns, Newsletters, TransactionalMessages
from source_customerio.streams.parents import Parent, first_of

#: A range of version 2 is at most ten years (certain: vendor documentation); leap days included, this stays below.
TEN_YEARS = timedelta(days=3650)
#: Most periods of version 1 (certain: vendor documentation): ten years of months, and the present one.
MOST_STEPS: Mapping[Resolution, int] = {Resolution.DAYS: 45, Resolution.MONTHS: 121}


class Metrics(Children, ABC):
    """Metrics of each parent. Those that are requested by date, since the parent was created, are exact and in UTC."""

    own_key: ClassVar[tuple[str, ...]] = ("resolution", "period_start")
    docs = StreamDocs(
        late_rows="opens and clicks change past periods for up to six months",
        read_again="all periods",
        deletes="metrics of deleted objects are gone with the next sync",
        requests="1 for each campaign, and the shared list of campaigns",
    )

    def series_of(self, document: Mapping[str, Any]) -> Mapping[str, list[Any]]:
        """The arrays at `metric.series`; none where the vendor has recorded nothing. Raises a BadAnswer."""
        metric = document.get("metric") or {}
        if not isinstance(metric, dict) or (metric and "series" not in metric):
            self.client.misshapen("'metric' has no 'series'")
        return self.arrays(metric.get("series"))

    def arrays(self, series: Any) -> Mapping[str, list[Any]]:
        """The arrays by their names. The vendor writes null for one, or all, that it did not record.

        Raises a BadAnswer where values are no arrays: numbers that are there would become no row.
        """
        if not series:
            return {}
        if not isinstance(series, dict):
            self.client.misshapen("a series is no object of arrays")
        arrays = {name: array for name, array in series.items() if isinstance(array, list)}
        others = {name for name, value in series.items() if name not in arrays and value is not None}
        if any(isinstance(series[name], dict) for name in others) or (others and not arrays):
            self.client.misshapen(f"no array at {', '.join(sorted(others))}")
        return arrays

    def records(self, parent: Parent, resolution: Resolution, periods: Iterator[Record], **more: Any) -> list[Record]:
        """Periods as rows with the columns of the key."""
        common = {**self.columns_of_parent(parent), **more, "resolution": resolution.value}
        return [{**common, **period} for period in periods]

    def created(self, parent: Parent) -> datetime:
        """When the parent was created, ten years back at most; that where it is unknown or lies in the future."""
        earliest = self._sync_start - TEN_YEARS
        seconds = parent.created
        if seconds is None or not earliest.timestamp() <= seconds <= self._sync_start.timestamp():
            return earliest
        return datetime.fromtimestamp(seconds, UTC)

    def first_day(self, parent: Parent) -> datetime:
        """Midnight of the day that the parent was created on."""
        return Resolution.DAYS.floor(self.created(parent))

    def bounds(self, parent: Parent) -> dict[str, str]:
        """`start` and `end` of the request, in epoch seconds."""
        return {"start": str(int(self.first_day(parent).timestamp())), "end": str(int(self._sync_start.timestamp()))}


class DatedMetrics(Metrics, ABC):
    """Metrics of version 2, in days, of which the vendor says when they begin."""

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """The answer says where its series begins; where it does not, it begins with the requested day."""
        params = {"version": "2", "res": Resolution.DAYS.value, "tz": "UTC", **self.bounds(parent)}
        document = self.client.document(self.path_of(parent), "metric", params)
        if document.get("res") not in (None, "days", "daily"):
            self.client.misshapen("the metrics are not those of days")
        first = instant_or_none(document.get("start"))
        yield from self.rows_since(Resolution.DAYS.floor(first) if first else self.first_day(parent), parent, document)

    def rows_since(self, start: datetime, parent: Parent, document: Mapping[str, Any]) -> Iterator[list[Record]]:
        """The rows of one answer, whose series begins at `start`."""
        yield self.records(parent, Resolution.DAYS, from_start(self.series_of(document), start, Resolution.DAYS))


class CampaignMetrics(DatedMetrics):
    """Deliveries of campaigns and what became of them, by version 2 of the vendor's metrics."""

    parent = Campaigns
    endpoint = "campaigns/{}/metrics"


class CampaignJourneyMetrics(Metrics):
    """The funnel of campaigns: journeys by the day on which they started, and what became of them."""

    parent = Campaigns
    endpoint = "campaigns/{}/journey_metrics"

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """All three parameters are required. The answer has no dates: it begins with the requested day."""
        params = {"resolution": "daily", **self.bounds(parent)}
        document = self.client.document(self.path_of(parent), "journey_metric", params)
        journeys = self.arrays(document["journey_metric"])
        yield self.records(parent, Resolution.DAYS, from_start(journeys, self.first_day(parent), Resolution.DAYS))


class ApproximateMetrics(Metrics, ABC):
    """Metrics of version 1: the last 45 days and the last 121 months, without a date in the answer.

    The starts of the periods are computed from the time of the answer and hold approximately.
    """

    docs = replace(Metrics.docs, requests="2 for each parent, and the shared list of parents")

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """Days, all 45; then months, those since the parent was created and one more."""
        for resolution in Resolution:
            steps = MOST_STEPS[resolution]
            if resolution is Resolution.MONTHS:
                steps = min(steps, 1 + months_touched(self.created(parent), self._sync_start.astimezone(EASTERN)))
            params = {"period": resolution.value, "steps": str(steps)}
            yield from self.rows_until_now(parent, resolution, params)

    def rows_until_now(
        self, parent: Parent, resolution: Resolution, params: Mapping[str, str]
    ) -> Iterator[list[Record]]:
        """The rows of one resolution, from one answer with all periods up to its own time."""
        document = self.client.document(self.path_of(parent), "metric", params)
        yield self.records(parent, resolution, until_now(self.series_of(document), utc_now(), resolution))


class BroadcastMetrics(ApproximateMetrics):
    """Deliveries of broadcasts and what became of them."""

    parent = Broadcasts
    endpoint = "broadcasts/{}/metrics"


class NewsletterMetrics(ApproximateMetrics):
    """Deliveries of newsletters and what became of them."""

    parent = Newsletters
    endpoint = "newsletters/{}/metrics"


class TransactionalMetrics(ApproximateMetrics):
    """Deliveries of transactional messages and what became of them."""

    parent = TransactionalMessages
    endpoint = "transactional/{}/metrics"


class LinkMetrics(ApproximateMetrics, ABC):
    """Clicks on each link of each parent. All clicks, not only the first of each person."""

    own_key = ("link_id", "resolution", "period_start")

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        super().start(state, full_refresh, sync_start)
        self._with_nameless: set[int] = set()

    def rows_until_now(
        self, parent: Parent, resolution: Resolution, params: Mapping[str, str]
    ) -> Iterator[list[Record]]:
        """The series of every link, to the last page of links. A link without an id has no key and is skipped."""
        for document in self.client.documents(self.path_of(parent), "links", params):
            now, links = utc_now(), document["links"] or []
            if not isinstance(links, list) or not set(map(type, links)) <= {dict, type(None)}:
                self.client.misshapen("'links' is no list of objects")
            rows: list[Record] = []
            for item in links:
                link = (item or {}).get("link")
                if not isinstance(link, dict) or link.get("id") is None:
                    self._with_nameless.add(parent.id)
                    continue
                if "metric" not in item and len(item) > 1:
                    self.client.misshapen("a link has no 'metric'")
                periods, number = until_now(self.series_of(item), now, resolution), integer_or_same(link["id"])
                rows += self.records(parent, resolution, periods, link_id=number, href=link.get("href"))
            yield rows

    def finish(self) -> None:
        super().finish()
        if self._with_nameless:
            self.logger.warning(
                f"Stream {self.name}: links without an id were skipped in {len(self._with_nameless)} "
                f"{self.parent.endpoint}: {first_of(self._with_nameless)}"
            )


class CampaignLinkMetrics(LinkMetrics):
    """Clicks on the links of campaigns."""

    parent = Campaigns
    endpoint = "campaigns/{}/metrics/links"


class NewsletterLinkMetrics(LinkMetrics):
    """Clicks on the links of newsletters."""

    parent = Newsletters
    endpoint = "newsletters/{}/metrics/links"


class BroadcastLinkMetrics(LinkMetrics):
    """Clicks on the links of broadcasts. Paths and shapes are documented, and were never seen live."""

    parent = Broadcasts
    endpoint = "broadcasts/{}/metrics/links"
    documented_only = True


class TransactionalLinkMetrics(LinkMetrics):
    """Clicks on the links of transactional messages. The path is documented, its answer is inferred from the others."""

    parent = TransactionalMessages
    endpoint = "transactional/{}/metrics/links"
    documented_only = True
