"""Reads the activities of single visitors: which visitors, which days, and what one visitor's failure means."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import epoch_millis
from source_kit.errors import Throttled, config_error

from source_pendo.aggregation import VISITOR_ID, Bound, Row, visitors_stage
from source_pendo.client import Forbidden, PendoClient
from source_pendo.config import DEFAULT_HISTORY_DAYS, LARGEST_RECORD_LIMIT, Config
from source_pendo.paging import KeyPager
from source_pendo.record_ids import growing_ids
from source_pendo.unread_visitors import UnreadVisitors
from source_pendo.values import document_mapper, instant
from source_pendo.visitor_addresses import VisitorAddresses

DAY_MS: Final = 86_400_000
#: Pendo answers for the last 180 days (certain: its API documentation); a day less, because time passes while we read
_KEPT_DAYS: Final = 179
_VISITORS_A_SLICE: Final = 20
#: After this many refusals without a single answer, ask whether the endpoint is closed
_REFUSALS_THAT_CLOSE: Final = 50
#: This many other visitors are asked for before the endpoint is called closed
_ASKED_ONCE_MORE: Final = 5
_ANONYMOUS: Final = "_PENDO_T_"
_COLUMNS: Final = {
    VISITOR_ID: VISITOR_ID,
    "lastupdated": "metadata.auto.lastupdated",
    "lastvisit": "metadata.auto.lastvisit",
    "donotprocess": "metadata.pendo.donotprocess",
}


@dataclass(frozen=True, slots=True)
class VisitorWindow:
    """A visitor and the days to ask for: starts of 24 hours each, in epoch milliseconds."""

    visitor_id: str
    starts: range


@dataclass(frozen=True, slots=True)
class VisitorBatch:
    """A few visitors in order of their ids, read in one slice. Log lines show their number only: ids name people."""

    windows: tuple[VisitorWindow, ...]
    last: bool

    def __str__(self) -> str:
        return f"{len(self.windows)} visitors"


class HistoryReader:
    """Reads visitors' activities for one sync, by several threads at a time.

    A visitor whom the endpoint does not know (404) or refuses (422) is skipped and counted. If it refuses everybody,
    the endpoint is closed to the subscription. A visitor for whom Pendo fails is kept in `unread`, unless Pendo does
    not answer for anybody anymore.
    """

    def __init__(
        self,
        client: PendoClient,
        config: Config,
        schema: Mapping[str, Any],
        unread: UnreadVisitors,
        resume_at: str | None,
        *,
        since: int | None,
        until: int,
        sync_start: int,
    ) -> None:
        """Times are epoch milliseconds.

        `since` is the state's cursor. `until` is the end of the last day to ask for; that is `sync_start` if everything
        must be read anew. `resume_at` is the id at which to go on; None: the first one.
        """
        self.unread = unread
        #: How many answers held activities or said that there are none
        self.answered = 0
        self._client = client
        self._addresses = VisitorAddresses(client)
        self._config = config
        self._logger = client.logger
        self._lock = threading.Lock()
        self._refused = self._last_refusal = 0
        self._last_answered: str | None = None
        self._mapper = document_mapper(schema)
        self._since, self.until, self._sync_start, self.resume_at = since, until, sync_start, resume_at
        self._oldest = sync_start - _KEPT_DAYS * DAY_MS
        self._first = max(self._first_wanted(), self._oldest)
        #: Whether Pendo answers for anybody; None: not known. A state with an id is written only behind an answer.
        self._open = None if resume_at is None else True

    def _first_wanted(self) -> int:
        if self._since is not None:
            # One day more: activities of the last hours before the state may not have been processed then.
            return self._since - (self._config.lookback_days + 1) * DAY_MS
        if self._config.start_date is None:
            return self.until - DEFAULT_HISTORY_DAYS * DAY_MS
        return epoch_millis(datetime.combine(self._config.start_date, time(), UTC))

    def batches(self) -> Iterator[VisitorBatch]:
        """Visitors with something to read, a few a slice, in order of their ids."""
        bound = None if self.resume_at is None else Bound(">=", self.resume_at)
        pager = KeyPager(VISITOR_ID, self._config.record_limit, LARGEST_RECORD_LIMIT, bound)
        source, select = visitors_stage(self._config), [{"select": _COLUMNS}]
        batch: list[VisitorWindow] = []
        for rows in self._client.resumed_rows("visitors", source, pager, select, restart=self._start_over):
            for row in rows:
                starts = self._starts(row)
                if starts and len(batch) == _VISITORS_A_SLICE:
                    yield VisitorBatch(tuple(batch), last=False)
                    batch = []
                if starts:
                    batch.append(VisitorWindow(row[VISITOR_ID], starts))
        if batch:
            yield VisitorBatch(tuple(batch), last=True)

    def read(self, window: VisitorWindow) -> Iterator[list[Row]]:
        """A visitor's activities. If Pendo fails for this visitor, it is kept in `unread` and nothing is raised."""
        try:
            yield from self._activities(window)
        except (Forbidden, Throttled):
            raise
        except AirbyteTracedException as error:
            if error.failure_type is FailureType.config_error:
                raise  # about the connection, not about a visitor
            self._logger.info(f"Stream {self._client.name}: a visitor could not be read: {error.message}")
            suspicious = self.unread.add(window.visitor_id, window.starts.start, error)
            if suspicious and not self._still_answers():
                raise self.unread.error(nobody_answered=True) from error
        else:
            self.unread.done(window.visitor_id)

    def finish(self) -> None:
        """Log how many visitors were skipped. Raises if some could not be read, or if nobody was answered."""
        if self._refused and not self.answered and not self.unread.count and not self._is_open():
            raise self._closed()
        if self._refused:
            self._logger.warning(
                f"Stream {self._client.name}: {self._refused} visitors were skipped because Pendo has no history for "
                f"them (last status {self._last_refusal})"
            )
        if self.unread.count:
            raise self.unread.error(nobody_answered=not self.answered)

    def _start_over(self) -> None:
        self.until, self.resume_at, self._open = self._sync_start, None, None

    def _starts(self, row: Row) -> range:
        """The days to ask for: from the first of this sync to the day after the visitor was last active."""
        visitor_id = str(row[VISITOR_ID])
        anonymous = visitor_id.startswith(_ANONYMOUS)
        visited, updated = row.get("lastvisit"), row.get("lastupdated")
        # One who was marked between two syncs may have been active before it; a bulk deletion leaves no last visit.
        erased = row.get("donotprocess") is True and visited is None
        if erased or (anonymous and not self._config.include_anonymous_visitors):
            return range(0)
        unread = self.unread.since(visitor_id)
        if unread is not None:
            return range(max(unread, self._oldest), self.until, DAY_MS)
        if not isinstance(visited, int | float):  # a change of metadata alone does not say when the visits ended
            return range(self._first, self.until, DAY_MS)
        active = int(max(visited, updated) if isinstance(updated, int | float) else visited) + DAY_MS
        if self._since is not None and active < self._since:
            return range(0)
        return range(self._first, min(self.until, active), DAY_MS)

    def _activities(self, window: VisitorWindow) -> Iterator[list[Row]]:
        """The activities in the chosen applications, and those that name no application."""
        apps = self._config.app_ids
        seen: set[str] = set()
        for start in window.starts:
            answer = self._addresses.history(window.visitor_id, start)
            if answer.status != 200:
                answer.close()
                with self._lock:
                    self._refused += 1
                    self._last_refusal = answer.status
                    suspicious = not self.answered and self._refused >= _REFUSALS_THAT_CLOSE
                if suspicious and not self._is_open():
                    raise self._closed()
                return
            before: Counter[bytes] = Counter()
            for rows in answer.rows(None):
                wanted = [row for row in rows if not apps or row.get("appId") is None or str(row["appId"]) in apps]
                records = self._records(window.visitor_id, wanted, before)
                yield [record for record in records if record["record_id"] not in seen]
                seen.update(record["record_id"] for record in records)
            with self._lock:
                self.answered += 1
                self._last_answered = window.visitor_id

    def _records(self, visitor_id: str, rows: list[Row], before: Counter[bytes]) -> list[Row]:
        """Activities as records. Neighboring days both answer some activities, at times with a later end: one id each.

        Rows of one answer with an equal identity are different activities; `before` counts the earlier ones.
        """
        records = self._mapper(rows)
        for row, record, record_id in zip(rows, records, growing_ids(rows, (visitor_id,), before), strict=True):
            times = [at for at in (row.get("ts"), row.get("lastTs")) if isinstance(at, int | float)]
            record["visitor_id"] = visitor_id
            record["modified_ts"] = instant(max(times)) if times else None
            record["record_id"] = record_id
        return records

    def _is_open(self) -> bool:
        """Whether Pendo answers for any of a few other visitors. Asked once a sync."""
        with self._lock:
            if self._open is None:
                others = some_visitors(self._client, self._config, "others", _ASKED_ONCE_MORE)
                self._open = any(map(self._is_answered, others))
            return self._open

    def _still_answers(self) -> bool:
        """Whether Pendo still answers for the last visitor it answered for; if there is none, for any of a few."""
        with self._lock:
            visitor_id = self._last_answered
        try:
            return self._is_open() if visitor_id is None else self._is_answered(visitor_id)
        except AirbyteTracedException:
            return False

    def _is_answered(self, visitor_id: str) -> bool:
        answer = self._addresses.history(visitor_id, self.until - DAY_MS)
        answer.close()
        return answer.status == 200

    def _closed(self) -> AirbyteTracedException:
        return config_error(
            f"Pendo refuses the history of every visitor (status {self._last_refusal}): the endpoint is not open to "
            "this subscription. Deselect visitor_history and use the event streams, or ask Pendo to open it.",
            f"GET /visitor/<id>/history: status {self._last_refusal} for {self._refused} visitors",
        )


def some_visitors(client: PendoClient, config: Config, label: str, count: int) -> list[str]:
    """The ids of any visitors."""
    pipeline = [visitors_stage(config), {"limit": count}, {"select": {VISITOR_ID: VISITOR_ID}}]
    rows = client.all_rows(label, pipeline, small=count > 1)
    return [row[VISITOR_ID] for row in rows if isinstance(row.get(VISITOR_ID), str)]
