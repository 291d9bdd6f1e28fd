"""What single visitors did: one request for a visitor and a day, so only for those who ask for it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import quote as percent_encode

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import epoch_millis, iso_millis, utc_now
from source_kit.errors import Throttled, config_error
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import Bound, KeyPager, Row, Stage, is_exact, source_stage
from source_pendo.client import (
    PLACE_IS_GONE,
    STATE_VERSION,
    Forbidden,
    PendoStream,
    PlaceIsGone,
    fits_a_state,
    from_the_place,
)
from source_pendo.config import DEFAULT_HISTORY_DAYS, LARGEST_RECORD_LIMIT, Config
from source_pendo.left_behind import LeftBehind, is_time
from source_pendo.record_ids import GrowingIds
from source_pendo.values import document_converter, instant

_DAY_MS: Final = 86_400_000
#: Pendo answers for the last 180 days (certain: two other connectors); a day less, because the clock goes on meanwhile
_KEPT_DAYS: Final = 179
_VISITORS_A_SLICE: Final = 20
#: So many refusals without a single answer mean that the endpoint is closed, not that these visitors are gone
_REFUSALS_THAT_CLOSE: Final = 50
#: So many other visitors are asked before the endpoint is called closed
_ASKED_ONCE_MORE: Final = 5
_ANONYMOUS: Final = "_PENDO_T_"
_VERSION: Final = {"version": STATE_VERSION}


@dataclass(frozen=True, slots=True)
class VisitorWindow:
    """A visitor and the days to ask for: starts of 24 hours each, in epoch milliseconds."""

    visitor_id: str
    starts: range


class VisitorBatch(tuple[VisitorWindow, ...]):
    """A few visitors in order of their ids, read in one slice. For a log line it is a number: ids name people."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{len(self)} visitors"


class VisitorHistory(PendoStream):
    """The activities of each visitor, from an endpoint that answers 24 hours of one visitor at a time.

    That is visitors times days requests, so it is bounded: 180 days at most, only visitors that were active since the
    last sync, none that must not be processed, anonymous ones only where the option asks for them. Visitors are read in
    order of their ids; the state moves at the end, to the start of the sync, and until then holds the id to go on
    from. A visitor whom the endpoint does not know (404) or refuses (422) is skipped and counted; if it refuses
    everybody, which was observed in 2026, the stream fails. Before that some other visitors are asked, since the only
    one who was active may be the one who is gone.

    A visitor for whom Pendo fails costs nobody else: the others are read, then the stream ends with an error that says
    how many are missing. The state moves on without them: `behind` says, by hashes of their ids, from when on they are
    to be read. Where they are too many for it, it stays. Reading stops early only where the key is refused, where Pendo
    throttles, and where it answers for nobody any more.

    State: `{"modified_ts": "2026-03-01T00:00:00.000Z", "version": 1}`.
    """

    key = ("record_id",)
    cursor_column = "modified_ts"
    cursor_resolution = "1 ms"
    parallel_slices = True
    state_interval = 5.0
    settle = "45 minutes to 6 hours"
    reread = "`lookback_window` days of the visitors that were active since"
    deletes = "nothing is reported"
    permission = "read access; Pendo may refuse this endpoint to a subscription"
    cost = "one request a visitor and day: 1,000 visitors and 30 days are 30,000 requests"

    def __init__(self, config: Config, session: requests.Session) -> None:
        super().__init__(config, session)
        self._since: int | None = None
        self._sync_start = datetime.min.replace(tzinfo=UTC)
        self._began = self._first = self._until = 0
        self._after: str | None = None
        self._lock = threading.Lock()
        self._answered = self._refused = 0
        self._refusal = 0
        self._open: bool | None = None
        self._behind = LeftBehind()
        self._last: VisitorBatch | None = None
        self._witness: str | None = None
        self._ids = GrowingIds()
        self._shape = document_converter(self.get_json_schema())

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Fix the days of this sync, or take up an interrupted one."""
        self.require_members(state, "resume", "behind")
        self._since = self.cursor_millis(state)
        self._sync_start = sync_start
        self._began = self._until = epoch_millis(sync_start)
        self._answered = self._refused = 0
        self._open = self._after = self._witness = self._last = None
        try:
            self._behind = LeftBehind(state.get("behind"))
        except ValueError:
            raise self.unreadable_state() from None
        resume = self.resume_of(state)
        if resume is not None:
            self._take_resume(resume)
        elif self._since is None and state.keys() - {"version"}:
            raise self.unreadable_state()
        self._first = max(self._began - _KEPT_DAYS * _DAY_MS, self._first_wanted())

    def slices(self) -> Iterable[VisitorBatch]:
        """Visitors with something to read, a few a slice, in order of their ids."""
        some: list[VisitorWindow] = []
        for row in self._listed():
            starts = self._starts(row)
            if not starts:
                continue
            if len(some) == _VISITORS_A_SLICE:
                yield VisitorBatch(some)
                some = []
            some.append(VisitorWindow(row["visitorId"], starts))
        if some:
            self._last = VisitorBatch(some)
            yield self._last

    def read_slice(self, slice_: VisitorBatch) -> Iterator[SliceItem]:
        """The activities of a few visitors."""
        for window in slice_:
            yield from self._whole(window)
        last = slice_[-1].visitor_id
        if self._answered and (slice_ is self._last or fits_a_state(last)):
            yield Checkpoint({"resume": {"visitor_id": last, "until": self._covered()}, "last": slice_ is self._last})

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The key to go on from beside the last time; a new time ends the resuming.

        The engine calls it when everything before the update was read, so it is known then who was left behind.
        """
        ended = self.cursor_column in update or update["last"]
        behind = self._behind.in_state(failed_only=ended and self._after is None)
        if behind is None:  # too many for a state: the next sync begins where this one did
            return {name: state[name] for name in (self.cursor_column, "behind") if name in state} | _VERSION
        marks = {"behind": behind} if behind else {}
        if ended and (self.cursor_column in update or self._behind.count):
            return {**(self.final_state() or {}), **marks}
        resume = {"resume": update["resume"]} if fits_a_state(update["resume"]["visitor_id"]) else {}
        kept = {name: value for name, value in state.items() if name != "behind"}
        return {**kept, **resume, **marks, **_VERSION}

    def finish(self) -> None:
        """Say how many were skipped; fail where some could not be read, or where nobody was answered."""
        if self._refused and not self._answered and not self._behind.count and not self._is_open():
            raise self._closed()
        if self._refused:
            self.logger.warning(
                f"Stream {self.name}: {self._refused} visitors were skipped because Pendo has no history for them "
                f"(last status {self._refusal})"
            )
        if self._behind.count:
            raise self._behind.error(nobody_answered=not self._answered)

    def final_state(self) -> Mapping[str, Any] | None:
        """All visitors were read: the time at which that began. A state in the future stays."""
        reached = max(self._covered(), self._since or 0)
        return {self.cursor_column: iso_millis(reached), "version": STATE_VERSION}

    def _covered(self) -> int:
        """Until when activities are read; a clock that is ahead covers no more than Pendo's."""
        return min(self._until, epoch_millis(self.began(self._sync_start)))

    def probe(self) -> None:
        """Ask for a visitor and for the last day of that one: a key without the right to histories gets a 403.

        That Pendo does not know this one visitor (404, 422) proves nothing.
        """
        for visitor_id in self._some_visitors("probe", 1):
            start = epoch_millis(utc_now()) - _DAY_MS
            self.call(_path(visitor_id), params={"starttime": start}, accept=(404, 422)).close()

    def _listed(self) -> Iterator[Row]:
        """Visitors in order of their ids, with what tells when they were active; all, where the id to go on at is gone.

        Nobody was handed out by then, so that nobody is read yet.
        """
        try:
            yield from self._listed_from_the_place()
        except PlaceIsGone:
            self.logger.warning(PLACE_IS_GONE.format(self.name))
            self._until, self._after, self._open = self._began, None, None
            yield from self._listed_from_the_place()

    def _listed_from_the_place(self) -> Iterator[Row]:
        """Visitors page by page."""
        bound = None if self._after is None else Bound(">=", self._after)
        pager = KeyPager("visitorId", self.config.record_limit, LARGEST_RECORD_LIMIT, bound)
        columns = {
            "visitorId": "visitorId",
            "lastupdated": "metadata.auto.lastupdated",
            "lastvisit": "metadata.auto.lastvisit",
            "donotprocess": "metadata.pendo.donotprocess",
        }
        lists = self.keyed_rows("visitors", self._source_stage(), pager, [{"select": columns}])
        for rows in from_the_place(self._after, "visitorId", lists):
            yield from rows

    def _starts(self, row: Row) -> range:
        """The days to ask for: from the first of this sync to the day after the visitor was last active."""
        if row.get("donotprocess") is True:
            return range(0)
        if not self.config.include_anonymous_visitors and str(row["visitorId"]).startswith(_ANONYMOUS):
            return range(0)
        visited, updated = row.get("lastvisit"), row.get("lastupdated")
        behind = self._behind.since(str(row["visitorId"]))
        if behind is not None:
            return range(max(behind, self._began - _KEPT_DAYS * _DAY_MS), self._until, _DAY_MS)
        if not isinstance(visited, int | float):
            return range(self._first, self._until, _DAY_MS)  # a change of metadata alone proves no end of the visits
        active = int(max(visited, updated) if isinstance(updated, int | float) else visited) + _DAY_MS
        if self._since is not None and active < self._since:
            return range(0)
        return range(self._first, min(self._until, active), _DAY_MS)

    def _whole(self, window: VisitorWindow) -> Iterator[SliceItem]:
        """A visitor's activities; one for whom Pendo fails is left behind, and everybody else is read."""
        try:
            yield from self._activities(window)
        except (Forbidden, Throttled):
            raise
        except AirbyteTracedException as error:
            if error.failure_type is FailureType.config_error:
                raise  # about the connection, not about a visitor
            self.logger.info(f"Stream {self.name}: a visitor could not be read: {error.message}")
            suspicious = self._behind.add(window.visitor_id, window.starts.start, error)
            if suspicious and not self._answers_somebody():
                raise self._behind.error(nobody_answered=True) from error
        else:
            self._behind.done(window.visitor_id)

    def _activities(self, window: VisitorWindow) -> Iterator[SliceItem]:
        seen: set[str] = set()
        path = _path(window.visitor_id)
        for start in window.starts:
            answer = self.call(path, params={"starttime": start}, accept=(404, 422))
            if answer.status != 200:
                answer.close()
                self._count_refusal(answer.status)
                return
            before: Counter[bytes] = Counter()
            for rows in answer.rows(None):
                records = self._records(window.visitor_id, [row for row in rows if self._wanted(row)], before)
                yield [record for record in records if not _remember(seen, record["record_id"])]
            with self._lock:
                self._answered += 1
                self._witness = window.visitor_id

    def _wanted(self, row: Row) -> bool:
        """Whether an activity happened in one of the applications asked for; one without an application is wanted."""
        wanted, app = self.config.app_ids, row.get("appId")
        return not wanted or app is None or str(app) in wanted

    def _records(self, visitor_id: str, rows: list[Row], before: Counter[bytes]) -> list[dict[str, Any]]:
        """Neighboring days answer some activities twice, and later ones again with a later end: one id for all.

        What shares a key in one answer, of which `before` counts the earlier rows, happened more than once.
        """
        records = []
        for row, record_id in zip(rows, self._ids(rows, (visitor_id,), before), strict=True):
            times = [at for at in (row.get("ts"), row.get("lastTs")) if isinstance(at, int | float)]
            record: dict[str, Any] = self._shape(row)
            record["visitor_id"] = visitor_id
            record["modified_ts"] = instant(max(times)) if times else None
            record["record_id"] = record_id
            records.append(record)
        return records

    def _count_refusal(self, status: int) -> None:
        with self._lock:
            self._refused += 1
            self._refusal = status
            suspicious = not self._answered and self._refused >= _REFUSALS_THAT_CLOSE
        if suspicious and not self._is_open():
            raise self._closed()

    def _is_open(self) -> bool:
        """Whether Pendo answers for any of a few visitors. Asked once a sync, when it has refused all others."""
        with self._lock:
            if self._open is None:
                start = self._until - _DAY_MS
                self._open = any(
                    self._is_answered(visitor_id, start)
                    for visitor_id in self._some_visitors("others", _ASKED_ONCE_MORE)
                )
            return self._open

    def _answers_somebody(self) -> bool:
        """Whether Pendo still answers for the last visitor that it answered for; before the first, for any of a few."""
        with self._lock:
            witness = self._witness
        try:
            if witness is None:
                return self._is_open()
            return self._is_answered(witness, self._until - _DAY_MS)
        except AirbyteTracedException:
            return False

    def _is_answered(self, visitor_id: str, start: int) -> bool:
        answer = self.call(_path(visitor_id), params={"starttime": start}, accept=(404, 422))
        answer.close()
        return answer.status == 200

    def _some_visitors(self, label: str, count: int) -> list[str]:
        pipeline = [self._source_stage(), {"limit": count}, {"select": {"visitorId": "visitorId"}}]
        answer = self.aggregate(label, pipeline, small=count > 1)
        rows = [row for part in answer.rows("results") for row in part]
        return [row["visitorId"] for row in rows if isinstance(row.get("visitorId"), str)]

    def _closed(self) -> AirbyteTracedException:
        return config_error(
            f"Pendo refuses the history of every visitor (status {self._refusal}): the endpoint is not open to this "
            "subscription. Deselect visitor_history and use the event streams, or ask Pendo to open it.",
            f"GET /visitor/<id>/history: status {self._refusal} for {self._refused} visitors",
        )

    def _source_stage(self) -> Stage:
        return source_stage("visitors", {"identified": not self.config.include_anonymous_visitors})

    def _first_wanted(self) -> int:
        if self._since is not None:
            # One day more: activities of the last hours before the state may not have been processed then.
            return self._since - (self.config.lookback_days + 1) * _DAY_MS
        if self.config.start_date is None:
            return self._until - DEFAULT_HISTORY_DAYS * _DAY_MS
        return epoch_millis(datetime.combine(self.config.start_date, time(), UTC))

    def _take_resume(self, resume: Mapping[str, Any]) -> None:
        visitor_id, until = resume.get("visitor_id"), resume.get("until")
        if not isinstance(visitor_id, str) or not is_time(until):
            raise self.unreadable_state()
        if not is_exact(visitor_id):  # no question finds the place: everybody is read again
            return
        self._after, self._until = visitor_id, min(until, self._until)
        self._open = True  # such a state is written only when somebody was answered


def _path(visitor_id: str) -> str:
    """The address of a visitor's history. Ids hold slashes, question marks and percent signs."""
    return f"/visitor/{percent_encode(visitor_id, safe='')}/history"


def _remember(seen: set[str], record_id: str) -> bool:
    """Whether an id was seen before; from now on it was."""
    before = record_id in seen
    seen.add(record_id)
    return before
