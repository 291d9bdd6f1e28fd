"""Prometheus metrics, read from the counts when somebody asks: the way of a post pays nothing for them.

They are open to everybody, so no path, secret or personal data is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from webhook_inlet.pages.readers import Unread
    from webhook_inlet.service import Service
    from webhook_inlet.stats import Histogram


class ServiceCollector(Collector):
    """The counts of a service. `unread` (by inlet and reader) and `free_bytes` come from the last look at the store."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.unread: Mapping[str, Mapping[str, Unread]] = {}
        self.free_bytes: int | None = None

    def collect(self) -> Iterator[Metric]:
        yield from self._posts()
        yield from self._service_wide()
        yield from self._readers()

    def _posts(self) -> Iterator[Metric]:
        posts = CounterMetricFamily(
            "inlet_posts", "Posts by what became of them, since the start.", labels=["inlet", "outcome"]
        )
        answers = HistogramMetricFamily(
            "inlet_ack_seconds",
            "Seconds from request line to answer, without posts of a bad signature.",
            labels=["inlet"],
        )
        keys = CounterMetricFamily(
            "inlet_key_used", "Posts verified by the secret at this place.", labels=["inlet", "key"]
        )
        last = GaugeMetricFamily(
            "inlet_last_event_timestamp", "When the last verified post came, seconds since 1970.", labels=["inlet"]
        )
        for name, inlet in self._service.inlets.items():
            for outcome, count in inlet.stats.total.items():
                posts.add_metric([name, outcome.value], count)
            for place, count in sorted(inlet.stats.keys_used.items()):
                keys.add_metric([name, str(place)], count)
            answers.add_metric([name], buckets(inlet.stats.answers), inlet.stats.answers.sum)
            if inlet.stats.last_event_at is not None:
                last.add_metric([name], inlet.stats.last_event_at)
        yield from (posts, answers, keys, last)

    def _service_wide(self) -> Iterator[Metric]:
        commits, writer = self._service.commits, self._service.writer
        ready = 0 if self._service.not_ready() else 1
        yield _histogram("inlet_commit_seconds", "Seconds that a commit to the store took.", commits.seconds)
        yield _histogram("inlet_batch_events", "Events in a commit.", commits.events)
        yield GaugeMetricFamily("inlet_queue", "Lines that wait for a commit.", writer.queued_lines)
        yield GaugeMetricFamily("inlet_queue_bytes", "Bytes that wait for a commit.", writer.queued_bytes)
        yield GaugeMetricFamily("inlet_ready", "1 if posts are stored, 0 if they are answered with 503.", ready)
        if self.free_bytes is not None:
            yield GaugeMetricFamily("inlet_disk_free_bytes", "Free space of the store's disk.", self.free_bytes)

    def _readers(self) -> Iterator[Metric]:
        unread = GaugeMetricFamily(
            "inlet_unread_events",
            "Events that a reader has not fetched; a lower bound while older segments are still to be counted.",
            labels=["inlet", "reader"],
        )
        for inlet, readers in self.unread.items():
            for reader, known in readers.items():
                unread.add_metric([inlet, reader], known.events)
        yield unread


def buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """The counts as Prometheus wants them: of all values up to each bound."""
    counts, so_far = [], 0
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        so_far += count
        counts.append((bound, float(so_far)))
    return counts


def _histogram(name: str, words: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, words, buckets=buckets(histogram), sum_value=histogram.sum)


def registry(collector: ServiceCollector) -> CollectorRegistry:
    """The metrics of a service and of its process (memory, processor time, open files)."""
    metrics = CollectorRegistry(auto_describe=False)
    metrics.register(collector)
    ProcessCollector(registry=metrics)
    return metrics
