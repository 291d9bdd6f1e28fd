"""The stream of what was posted to a webhook-inlet, and its options. A connector adds what its vendor's bodies mean."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ClassVar

from source_kit import activity
from source_kit.convert import utc_now
from source_kit.errors import config_error
from source_kit.http.retry import CHECK_RETRY_POLICY
from source_kit.network import warn_of_plain_http
from source_kit.options import group, texts
from source_kit.stream import BatchStream, Checkpoint, SliceItem, StreamDocs
from source_kit.webhook_inlet_log import InletLog, InletStore
from source_kit.webhook_lines import Form, Path, RecordMaker, received_at
from source_kit.webhook_log import SEGMENTS_AHEAD, Lane, LaneRead, Position, WebhookLog, pieces, plan, positions_of

WebhookStore = InletStore
STORES: Mapping[str, type[WebhookStore]] = {"inlet": InletStore}
#: The schema of a value of any type
ANYTHING = {
    "type": ["null", "array", "boolean", "integer", "number", "object", "string"],
    "additionalProperties": True,
}
#: Lanes that are read at the same time. More only take memory: lines are decoded one after the other anyway.
_LANES_AT_ONCE = 4
#: Lanes that are looked at for the newest event
_LANES_LOOKED_AT = 8
#: A check does not wait longer for one answer, because a person waits for the check. Seconds.
_CHECK_TIMEOUT = 20.0
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
        self._log: WebhookLog = InletLog(store, self.name, reader)
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
        schema["properties"] = {**schema["properties"], **dict.fromkeys(self._columns, ANYTHING)}
        return schema

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._sync_start = sync_start
        try:
            self._positions = positions_of(state)
        except ValueError:
            raise config_error(
                f"The state of stream {self.name} cannot be read: it must be like "
                '{"lanes": {"20261126T220100Z-a1b2c3": [17, 5]}}. Correct it, update the connector if a newer release '
                "wrote it, or reset the stream to read all that the log still has."
            ) from None

    def slices(self) -> Iterator[LaneRead]:
        """The lanes, each with what is not read yet."""
        known = self._positions or {}
        if isinstance(self._store, InletStore):
            warn_of_plain_http(self.logger, self._store.url, "webhook_store.url", "the token")
        lanes = self._log.lanes()
        self.logger.info(f"Stream {self.name}: {_age(_newest(self._log, lanes), self._sync_start)}")
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
        assert self._executor is not None  # noqa: S101 - `slices` made it
        with self._lanes_at_once:
            if (self._positions or {}).get(name, slice_.start) != slice_.start:
                yield _checkpoint(name, slice_.start)
            for piece in pieces(self._log, slice_, self._executor):
                yield from self._maker.batches(piece, name)
                if piece.after != slice_.start:
                    yield _checkpoint(name, piece.after)

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
        self._log.close()

    def examine(self, logger: logging.Logger) -> str:
        """For `check`: asks for the log and says how it is. Raises an error with a sentence if it cannot be read."""
        if isinstance(self._log, InletLog):
            self._log.client.retry_policy = CHECK_RETRY_POLICY
            self._log.client.read_timeout = _CHECK_TIMEOUT
        if isinstance(self._store, InletStore):
            warn_of_plain_http(logger, self._store.url, "webhook_store.url", "the token")
        newest = _newest(self._log, self._log.lanes())
        found = [f"Webhooks: {_age(newest, utc_now())}."]
        if newest is None:
            found.append(
                f"If {self.vendor} should have sent some, compare the address that is entered there with what "
                f"`webhook-inlet url {self._store.inlet}` prints, and send a test event from there."
            )
        if isinstance(self._log, InletLog) and (refused := _refused(self._log.status())):
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


def _newest(log: WebhookLog, lanes: list[Lane]) -> datetime | None:
    """When the newest event came; None if there is none. Only the lanes of the youngest processes are looked at."""
    youngest = sorted((lane for lane in lanes if lane.first <= lane.last), key=lambda lane: lane.name)
    found = []
    for lane in youngest[-_LANES_LOOKED_AT:]:
        lines = log.read(lane.name, lane.last, max(0, (lane.lines or 0) - 1))
        at = received_at(lines.data.removesuffix(b"\n").rpartition(b"\n")[2]) if lines else None
        found += [] if at is None else [at]
    return datetime.fromtimestamp(max(found) / 1e6, UTC) if found else None


def _age(newest: datetime | None, now: datetime) -> str:
    if newest is None:
        return "no event is in the log of the inlet"
    seconds = max(0.0, (now - newest).total_seconds())
    for unit, size, below in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * below:
            return f"the last event came {seconds // size:.0f} {unit} ago"
    return f"the last event came {seconds // 86_400:.0f} days ago"


def _refused(status: Mapping[str, Any] | None) -> int | None:
    """The posts of the last 24 hours with a wrong signature; None if the status does not say."""
    try:
        return int((status or {})["posts"]["24h"]["bad_signature"])
    except (KeyError, TypeError, ValueError):
        return None
