"""The stream of what was posted to a webhook-inlet, and its options. A connector adds what its vendor's bodies mean."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from typing import Any, ClassVar

from source_kit import activity
from source_kit.convert import utc_now
from source_kit.errors import config_error
from source_kit.json_schema import ANYTHING
from source_kit.network import warn_of_plain_http
from source_kit.options import group, texts
from source_kit.s3.options import BucketStore
from source_kit.stream import BatchStream, Checkpoint, SliceItem, StreamDocs
from source_kit.webhook_inlet_log import InletLog, InletStore
from source_kit.webhook_log import SEGMENTS_AHEAD, LaneRead, Position, WebhookLog, parts, plan, positions_of
from source_kit.webhook_records import Form, Path, RecordMaker

WebhookStore = InletStore | BucketStore
STORES: Mapping[str, type[WebhookStore]] = {"inlet": InletStore, "bucket": BucketStore}
#: Attempts at each request to a bucket in a check
_CHECK_ATTEMPTS = 2
#: Lanes that are read at the same time. More only take memory: lines are decoded one after the other anyway.
_LANES_AT_ONCE = 4
_COLUMN = re.compile(r"[^.=]+(\.[^.=]+)*=[a-z][a-z0-9_]*").fullmatch


def webhook_store() -> WebhookStore | None:
    """Declares the option `webhook_store`: where the log of the webhook-inlet is. Without it there is no stream."""
    return group(STORES, by="type", default=None)


def webhook_columns() -> tuple[str, ...]:
    """Declares the option `webhook_columns`: further columns of `webhook_events`, each a path and a name."""
    return texts(
        "a list of texts like properties.guideProperties.name=guide_title: a path into the body, an equals sign, and "
        "the name of a new column in small letters, digits and underscores",
        check=_COLUMN,
        unique=True,
    )


class WebhookEvents(BatchStream):
    """What a vendor posted to one inlet, each post once at least. `record_id` collapses what came twice.

    The state is the position in each lane. Lanes are read independently; each fails alone, and its state moves segment
    by segment. A sync ends at the end of the log that was listed when it began.
    """

    key = ("record_id",)
    cursor_field = "received_at"
    parallel_slices = True
    independent_slices = True
    whole = True
    state_interval = 1.0
    docs = StreamDocs(
        resolution="1 ms",
        late_rows="seconds after the post; the cursor decides nothing, positions in the log do",
        read_again="nothing",
        deletes="events are not deleted; the inlet forgets them after retention_days",
        permission="the read_token of the webhook-inlet, or read access to its bucket",
        requests="one for the list of lanes, one for each segment of up to 8 MB",
    )
    #: The vendor's name, for sentences
    vendor: ClassVar[str]
    #: What is known of the vendor's bodies
    form: ClassVar[Form]

    def __init__(self, store: WebhookStore, columns: tuple[str, ...], reader: str) -> None:
        """`columns` are those of the option, `reader` is the name by which the inlet knows the connector."""
        super().__init__()
        self._store = store
        self._columns = _paths(columns, super().get_json_schema()["properties"])
        self._reader = reader
        self._log: WebhookLog | None = None
        self._maker = RecordMaker(self.form, self._columns)
        self._lanes_at_once = threading.Semaphore(_LANES_AT_ONCE)
        self._executor: ThreadPoolExecutor | None = None
        self._positions: dict[str, Position] | None = None
        self._listed: frozenset[str] = frozenset()
        self._starts: dict[str, list[int]] = {}  # of the lanes of which nothing was lost
        self._sync_start = utc_now()

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # the CDK's has a cache around it
        """The schema of the vendor's events with the user's own columns, which may hold anything."""
        schema = dict(super().get_json_schema())
        own = {
            name: {"description": f"{'.'.join(path.parts)} of the body, as it was sent", **ANYTHING}
            for name, path in self._columns.items()
        }
        schema["properties"] = {**schema["properties"], **own}
        return schema

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._sync_start = sync_start
        try:
            self._positions = positions_of(state)
        except ValueError:
            raise config_error(
                f"The state of stream {self.name} cannot be read: it must be like "
                '{"lanes": {"20261126T220100Z-a1b2c3": [17, 5]}}. Correct it, update the connector if a newer release '
                "wrote it, or refresh the stream and retain its records to read all that the log still has."
            ) from None

    def slices(self) -> Iterator[LaneRead]:
        """The lanes, each with what is not read yet."""
        known = self._positions or {}
        self._log = log = self._opened(self.logger)
        lanes = log.lanes()
        self.logger.info(f"Stream {self.name}: {_age(log.newest(), self._sync_start)}")
        self._executor = ThreadPoolExecutor(
            SEGMENTS_AHEAD, f"{self.name}-ahead", initializer=activity.bind, initargs=(activity.current(),)
        )
        reads = [plan(lane, known.get(lane.name), self._positions is None) for lane in lanes]
        self._listed = frozenset(lane.name for lane in lanes)
        self._starts = {read.lane.name: list(read.start) for read in reads if not read.lost}
        if gone := len(known.keys() - self._listed):
            self.logger.info(f"Stream {self.name}: {gone} lanes are no longer in the log and leave the state")
        for read in reads:
            ahead = known.get(read.lane.name, read.start) != read.start
            if ahead:
                self.logger.warning(
                    f"Stream {self.name}: the state is ahead of {read}, as after the log was restored from an older "
                    "copy. The lane is read on from its end."
                )
            if ahead or read.lost or read.start <= (read.lane.last, math.inf):
                yield read

    def read_slice(self, slice_: LaneRead) -> Iterator[SliceItem]:
        name = slice_.lane.name
        assert self._log is not None  # noqa: S101 - `slices` made both
        assert self._executor is not None  # noqa: S101
        with self._lanes_at_once:
            if (self._positions or {}).get(name, slice_.start) != slice_.start:
                yield _checkpoint(name, slice_.start)
            for part in parts(self._log, slice_, self._executor):
                yield from self._maker.batches(part, name)
                if part.after != slice_.start:
                    yield _checkpoint(name, part.after)

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The positions of all lanes that are listed, also of those that were not read yet.

        In the state of an interrupted first sync a missing lane would look like a new one, whose segments must all be
        there.
        """
        lanes = {**self._starts, **state.get("lanes", {}), **update["lanes"]}
        return {"lanes": {name: position for name, position in lanes.items() if name in self._listed}}

    def final_state(self) -> Mapping[str, Any]:
        return {"lanes": {}}

    def reached(self, state: Mapping[str, Any]) -> Iterator[datetime]:
        """None: positions are not instants."""
        return iter(())

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if self._log is not None:
            self._log.close()

    def _opened(self, logger: logging.Logger, checking: bool = False) -> WebhookLog:
        """The log. A check does not try long, because a person waits for it."""
        if isinstance(self._store, InletStore):
            warn_of_plain_http(logger, self._store.url, "webhook_store.url", "the token")
            return InletLog(self._store, self.name, self._reader, checking=checking)
        from source_kit.s3.retrying import ATTEMPTS  # only now: it imports botocore
        from source_kit.s3.webhook_log import BucketLog

        return BucketLog(self._store, self._reader, _CHECK_ATTEMPTS if checking else ATTEMPTS)

    def examine(self, logger: logging.Logger) -> str:
        """For `check`: asks for the log and says how it is. Raises an error with a sentence if it cannot be read."""
        log = self._opened(logger, checking=True)
        with closing(log):
            log.lanes()
            newest = log.newest()
            refused = log.refused(self.form.prefix) if isinstance(log, InletLog) else 0
        found = [f"Webhooks: {_age(newest, utc_now())}."]
        if newest is None:
            found.append(
                f"If {self.vendor} should have sent some, compare the address that is entered there with what "
                f"`webhook-inlet url {self._store.inlet}` prints, and send a test event from there."
            )
        if newest is None and isinstance(self._store, BucketStore):
            found.append(
                "If the inlet has received some, webhook_store.prefix or webhook_store.inlet are not those of its "
                "configuration."
            )
        if refused:
            found.append(
                f"In the last 24 hours the inlet refused {refused} posts because of a wrong signature: enter the "
                f"signing key that {self.vendor} shows for this webhook into the inlet's secrets."
            )
        for sentence in found:
            logger.info(sentence)
        return " ".join(found)


def _paths(columns: Iterable[str], taken: Container[str]) -> dict[str, Path]:
    """The paths of the user's columns by name. Raises a config_error for a name that is taken."""
    paths: dict[str, Path] = {}
    for column in columns:
        path, _, name = column.rpartition("=")
        if name in taken or name in paths:
            raise config_error(
                f"Option webhook_columns names a column {name}, which webhook_events has already. Choose another name."
            )
        paths[name] = Path.of(path)
    return paths


def _checkpoint(lane: str, position: Position) -> Checkpoint:
    return Checkpoint({"lanes": {lane: list(position)}})


def _age(newest: datetime | None, now: datetime) -> str:
    if newest is None:
        return "no event is in the log of the inlet"
    seconds = max(0.0, (now - newest).total_seconds())
    for unit, size, below in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * below:
            return f"the last event came {seconds // size:.0f} {unit} ago"
    return f"the last event came {seconds // 86_400:.0f} days ago"
