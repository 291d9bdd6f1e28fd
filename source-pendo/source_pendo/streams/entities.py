"""Accounts and visitors: read whole by key, afterwards by the time of their last change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeGuard

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import epoch_millis, iso_millis, snake_case
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import (
    Bound,
    ChangePager,
    KeyPager,
    Row,
    Stage,
    app_id_of,
    app_parameter,
    is_exact,
    source_stage,
)
from source_pendo.client import (
    PLACE_IS_GONE,
    STATE_VERSION,
    BadQuery,
    BadRequest,
    NotOffered,
    PendoStream,
    PlaceIsGone,
    fits_a_state,
    from_the_place,
)
from source_pendo.config import LARGEST_RECORD_LIMIT, Config
from source_pendo.metadata_schema import (
    Groups,
    MetadataShaper,
    app_groups,
    has_app_fields,
    usable_groups,
    with_groups,
)
from source_pendo.values import change_time

#: A change may become visible hours after the time that it carries; eight hours is the longest that was reported for
#: events (certain: another vendor's commit log), for metadata nothing is known.
_OVERLAP_MS: Final = int(timedelta(hours=8) / timedelta(milliseconds=1))
_AUTO: Final = "auto"
_CURSOR_PATH: Final = f"metadata.{_AUTO}.lastupdated"


class Entity(PendoStream):
    """Accounts or visitors with their metadata, one column for each metadata group.

    The first sync, and every full refresh, reads without any filter in order of the key, because a filter on
    `lastupdated` drops those that have none, e.g. visitors that must not be processed. Its state is written at the end,
    when all were seen; until then it holds the key to go on from (`resume`). Later syncs ask for what changed since the
    state, less eight hours, up to the start of the sync, in order of change, so their state moves with every page; then
    for those without a time of change, e.g. visitors that a bulk deletion has marked: their age is not known, so they
    are emitted at every sync (UNKNOWN-AGE-IS-EMITTED).

    State: `{"lastupdated": "2026-03-01T00:00:00.000Z", "version": 1}`.
    """

    source: ClassVar[str]
    key_column: ClassVar[str]
    kind: ClassVar[str]
    cursor_column = "lastupdated"
    cursor_resolution = "1 ms"
    server_filters = True
    rows_sorted = True
    settle = "not documented; eight hours are allowed for"
    reread = "changes of the eight hours before the state, and all that have no time of change"
    deletes = "a deleted one is not reported, its row stays until a full refresh; one marked `donotprocess` is emitted"
    cost = "one request for every `record_limit` rows, one for the metadata, one for those without a time of change"

    def __init__(self, config: Config, session: requests.Session) -> None:
        super().__init__(config, session)
        self._since: int | None = None
        self._newest: int | None = None
        self._began = self._until = 0
        self._oldest = 0
        self._resume: str | None = None
        self.page_size = config.record_limit
        self._shaper: MetadataShaper | None = None

    @property
    def source_parameters(self) -> dict[str, Any]:
        """Parameters of the source."""
        raise NotImplementedError

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override] # the base caches for ever
        """The schema with the subscription's own metadata, or without it, where Pendo does not tell it."""
        try:
            groups = self._metadata_groups()
            return with_groups(super().get_json_schema(), groups | app_groups(groups, self._app_ids(groups)))
        except AirbyteTracedException as error:
            self.logger.warning(f"{self._untyped(error)}. Discover again before the next sync")
            return super().get_json_schema()

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the state; decide between reading all and reading changes.

        Raises where the metadata fields cannot be read at the moment: read without their types, times would arrive as
        numbers in columns of timestamps, and the state would move past them. Where Pendo refuses them for good the
        discovered schema has no types either.
        """
        self.require_members(state, "resume")
        self._since = self.cursor_millis(state)
        self._newest = self._since
        self._began = self._until = epoch_millis(sync_start)
        self.ageless = 0
        self._resume = None
        resume = self.resume_of(state)
        if resume is not None:
            self._take_resume(resume)
        groups: dict[str, dict[str, dict[str, Any]]] = {}
        try:
            groups = self._metadata_groups()
        except AirbyteTracedException as error:
            if error.failure_type is FailureType.transient_error:
                raise
            self.logger.warning(self._untyped(error))
        self._shaper = MetadataShaper(PendoStream.get_json_schema(self), groups, self.logger)

    def slices(self) -> Iterable[str]:
        """One slice: everything, or what changed."""
        return ("everything" if self._since is None else "changes",)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """The records, and the state as far as it may move."""
        return self._everything() if self._since is None else self._changes(self._since)

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """An update is a whole state: `resume` must not outlive the reading that it belongs to."""
        return dict(update)

    def probe(self) -> None:
        """Ask for one row."""
        self.aggregate("probe", [self._source_stage(), {"limit": 1}]).close()

    def _metadata_groups(self) -> dict[str, dict[str, dict[str, Any]]]:
        return usable_groups(self.call(f"/metadata/schema/{self.kind}").json())

    def _untyped(self, error: AirbyteTracedException) -> str:
        return (
            f"Stream {self.name}: Pendo does not tell the metadata fields, so they are passed on without types "
            f"({error.internal_message})"
        )

    def _app_ids(self, groups: Groups) -> list[int]:
        """The applications, where some fields are kept for each of them. The source is known second-hand only."""
        if not has_app_fields(groups):
            return []
        try:
            rows = self.aggregate("apps", [source_stage("apps", None)]).rows("results")
            return sorted({int(app) for part in rows for row in part if (app := app_id_of(row)) is not None})
        except AirbyteTracedException as error:
            self.logger.info(
                f"Stream {self.name}: Pendo does not tell the applications, so the schema leaves out the metadata of "
                f"single applications; the records hold it ({error.internal_message})"
            )
            return []

    def _everything(self) -> Iterator[SliceItem]:
        try:
            yield from self._everything_from_the_place()
        except PlaceIsGone:
            self.logger.warning(PLACE_IS_GONE.format(self.name))
            self._resume, self._newest, self._until = None, None, self._began
            yield from self._everything_from_the_place()

    def _everything_from_the_place(self) -> Iterator[SliceItem]:
        pager = KeyPager(
            self.key_column,
            self.config.record_limit,
            LARGEST_RECORD_LIMIT,
            None if self._resume is None else Bound(">=", self._resume),
        )
        told = pager.bound
        lists = self.keyed_rows("everything", self._source_stage(), pager)
        for rows in from_the_place(self._resume, self.key_column, lists):
            yield self._records(rows)
            if pager.bound is not None and pager.bound is not told and fits_a_state(pager.bound.key):
                told = pager.bound
                yield Checkpoint(self._unfinished(told.key))
        yield Checkpoint(self._reached(self._newest))

    def _changes(self, since: int) -> Iterator[SliceItem]:
        """Pages by time and key, up to the start of the sync."""
        span = (since - _OVERLAP_MS, self._until)
        self._oldest = span[0]
        limits = self.config.record_limit, LARGEST_RECORD_LIMIT
        pager = ChangePager(_CURSOR_PATH, self.key_column, *limits, span=span, position=self._position)
        told = pager.bound
        for rows in self.keyed_rows("changes", self._source_stage(), pager):
            if rows:
                since = max(since, self._position(rows[-1])[0])
                yield self._records(rows)
            if pager.bound is not told:
                told = pager.bound
                yield Checkpoint(self._reached(since))
        yield Checkpoint(self._reached(since))
        yield from self._without_time()
        yield Checkpoint(self._reached(since))

    def _without_time(self) -> Iterator[SliceItem]:
        """Those without a time of change, which no comparison with a time finds.

        Pendo documents that `==` compares null as a value of its own and, elsewhere, `isNil`; the second is asked where
        the first is refused. Rows that have a time came before.
        """
        for condition in (f"{_CURSOR_PATH} == null", f"isNil({_CURSOR_PATH})"):
            pager = KeyPager(self.key_column, self.config.record_limit, LARGEST_RECORD_LIMIT)
            try:
                for rows in self.keyed_rows("without time", self._source_stage(), pager, where=condition):
                    yield self._records([row for row in rows if self._time(row) is None])
            except (BadQuery, BadRequest, NotOffered) as error:
                refused = error.internal_message
                continue
            return
        self.logger.warning(
            f"Stream {self.name}: Pendo refuses to name the rows without {self.cursor_column}, so they come with a "
            f"full refresh only ({refused})"
        )

    def _records(self, rows: list[Row]) -> list[dict[str, Any]]:
        shaper = self._shaper
        assert shaper is not None  # noqa: S101 - made by start
        records = []
        for row in rows:
            record: dict[str, Any] = {snake_case(name): value for name, value in row.items() if name != "metadata"}
            record[self.cursor_column] = None
            shaper.shape(row.get("metadata"), record)
            auto = record.get("metadata_auto")
            if auto:
                record[self.cursor_column] = auto.get(self.cursor_column)
            updated = self._time(row)
            if updated is None:
                self.ageless += 1
            elif self._newest is None or updated > self._newest:
                self._newest = updated
            records.append(record)
        return records

    def _time(self, row: Row) -> int | None:
        """When a row changed, in epoch milliseconds; None where it does not say."""
        metadata = row.get("metadata")
        auto = metadata.get(_AUTO) if isinstance(metadata, dict) else None
        updated = auto.get(self.cursor_column) if isinstance(auto, dict) else None
        return None if isinstance(updated, str) else change_time(updated)

    def _position(self, row: Row) -> tuple[int, str]:
        """Time and key of a row that was found by its time; one without a key would end the paging unseen.

        One without a time, which Pendo documents that a comparison drops, counts as the oldest.
        """
        updated, key = self._time(row), row.get(self.key_column)
        if not isinstance(key, str):
            message = (
                f"Pendo answered a row of {self.name} without {self.key_column}, by which it was "
                "asked for, so the sync cannot go on. Run it again; if it happens again, report it."
            )
            raise AirbyteTracedException(message=message, failure_type=FailureType.system_error)
        return (self._oldest if updated is None else updated), key

    def _source_stage(self) -> Stage:
        return source_stage(self.source, self.source_parameters)

    def _reached(self, newest: int | None) -> dict[str, Any]:
        if newest is None:
            return {"version": STATE_VERSION}
        capped = newest if newest == self._since else min(newest, self._until)
        return {self.cursor_column: iso_millis(capped), "version": STATE_VERSION}

    def _unfinished(self, key: str) -> dict[str, Any]:
        resume = {self.key[0]: key, "newest": self._newest, "until": self._until}
        return {self.cursor_column: None, "resume": resume, "version": STATE_VERSION}

    def _take_resume(self, resume: Mapping[str, Any]) -> None:
        """Go on with an interrupted first reading. What changed before its key since it began comes with the next sync,

        because the state at the end stays at or before the time at which that reading began.
        """
        key, newest, until = resume.get(self.key[0]), resume.get("newest"), resume.get("until")
        known = set(resume) <= {self.key[0], "newest", "until"} and self._since is None
        if not known or not isinstance(key, str) or not _is_time(until) or not (newest is None or _is_time(newest)):
            raise self.unreadable_state()
        if is_exact(key):  # else no question finds the place: everything is read again
            self._resume, self._newest, self._until = key, newest, min(until, self._until)


def _is_time(value: Any) -> TypeGuard[int]:
    """Whether a member of a state is a time as this connector writes it."""
    return isinstance(value, int) and value == change_time(value)


class Accounts(Entity):
    """Accounts of the whole subscription."""

    source = "accounts"
    key_column = "accountId"
    kind = "account"
    key = ("account_id",)

    @property
    def source_parameters(self) -> dict[str, Any]:
        """The applications; whether Pendo restricts accounts by them is not known."""
        return {"appId": app_parameter(self.config.app_ids)}


class Visitors(Entity):
    """Visitors of the whole subscription; anonymous ones only where the option asks for them."""

    source = "visitors"
    key_column = "visitorId"
    kind = "visitor"
    key = ("visitor_id",)

    @property
    def source_parameters(self) -> dict[str, Any]:
        """`identified` drops anonymous visitors. The source knows no applications: an unknown parameter is an error."""
        return {"identified": not self.config.include_anonymous_visitors}
