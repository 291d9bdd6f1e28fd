"""Accounts and visitors: read whole by key, afterwards by the time of their last change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.items import Checkpoint, SliceItem
from source_kit.names import snake_case
from source_kit.timestamps import epoch_millis, iso_millis

from source_pendo.aggregation import Bound, ChangePager, KeyPager, Row, Stage, app_parameter, source_stage
from source_pendo.client import STATE_VERSION, PendoStream, fits_a_state
from source_pendo.config import LARGEST_RECORD_LIMIT, Config
from source_pendo.metadata_schema import (
    Groups,
    MetadataShaper,
    app_groups,
    has_app_fields,
    usable_groups,
    with_groups,
)

#: A change may become visible hours after the time that it carries; eight hours is the longest that was reported for
#: events (certain: another vendor's commit log), for metadata nothing is known.
_OVERLAP_MS: Final = int(timedelta(hours=8) / timedelta(milliseconds=1))
_CURSOR_PATH: Final = "metadata.auto.lastupdated"


class Entity(PendoStream):
    """Accounts or visitors with their metadata, one column for each metadata group.

    The first sync, and every full refresh, reads without any filter in order of the key, because a filter on
    `lastupdated` drops those that have none, e.g. visitors that must not be processed. Its state is written at the end,
    when all were seen; until then it holds the key to go on from (`resume`). Later syncs ask for what changed since the
    state, less eight hours, up to the start of the sync, in order of change, so their state moves with every page.

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
    reread = "changes of the eight hours before the state"
    deletes = "a deleted one is not reported; its row stays in the destination until a full refresh"
    cost = "one request for every `record_limit` rows, and one for the metadata"

    def __init__(self, config: Config, session: requests.Session) -> None:
        super().__init__(config, session)
        self._since: int | None = None
        self._newest: int | None = None
        self._until = 0
        self._resume: str | None = None
        self.page_size = config.record_limit
        self._shape: MetadataShaper | None = None

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
        groups: dict[str, dict[str, dict[str, Any]]] = {}
        try:
            groups = self._metadata_groups()
        except AirbyteTracedException as error:
            if error.failure_type is FailureType.transient_error:
                raise
            self.logger.warning(self._untyped(error))
        self._shape = MetadataShaper(PendoStream.get_json_schema(self), groups, self.logger)
        self._since = self.cursor_millis(state)
        self._newest = self._since
        self._until = epoch_millis(sync_start)
        self._resume = None
        resume = self.resume_of(state)
        if self._since is None and resume is not None:
            self._take_resume(resume)

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
            return sorted({row["id"] for part in rows for row in part if isinstance(row.get("id"), int)})
        except AirbyteTracedException as error:
            self.logger.info(
                f"Stream {self.name}: Pendo does not tell the applications, so the schema leaves out the metadata of "
                f"single applications; the records hold it ({error.internal_message})"
            )
            return []

    def _everything(self) -> Iterator[SliceItem]:
        pager = KeyPager(
            self.key_column,
            self.config.record_limit,
            LARGEST_RECORD_LIMIT,
            None if self._resume is None else Bound(">=", self._resume),
        )
        told = pager.bound
        for rows in self.keyed_rows("everything", self._source_stage(), pager):
            yield self._records(rows)
            if pager.bound is not None and pager.bound is not told and fits_a_state(pager.bound.key):
                told = pager.bound
                yield Checkpoint(self._unfinished(told.key))
        yield Checkpoint(self._reached(self._newest))

    def _changes(self, since: int) -> Iterator[SliceItem]:
        """Pages by time and key, up to the start of the sync."""
        span = (since - _OVERLAP_MS, self._until)
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

    def _records(self, rows: list[Row]) -> list[dict[str, Any]]:
        shape = self._shape
        assert shape is not None  # noqa: S101 - made by start
        records = []
        for row in rows:
            record: dict[str, Any] = {snake_case(name): value for name, value in row.items() if name != "metadata"}
            metadata = row.get("metadata")
            groups = metadata if isinstance(metadata, dict) else {}
            record[self.cursor_column] = None
            for group, values in groups.items():
                record[f"metadata_{group}"] = shape(group, values)
            updated = (record.get("metadata_auto") or {}).get(self.cursor_column)
            if updated is not None:
                record[self.cursor_column] = updated
                self._note(groups["auto"][self.cursor_column])
            records.append(record)
        return records

    def _note(self, updated: Any) -> None:
        if isinstance(updated, int | float) and (self._newest is None or updated > self._newest):
            self._newest = int(updated)

    def _position(self, row: Row) -> tuple[int, str]:
        """Time and key of a row that was found by its time; a row without them would end the paging unseen."""
        auto = (row.get("metadata") or {}).get("auto") or {}
        updated, key = auto.get(self.cursor_column), row.get(self.key_column)
        if not isinstance(updated, int | float) or not isinstance(key, str):
            message = (
                f"Pendo answered a row of {self.name} without {_CURSOR_PATH} or {self.key_column}, by which it was "
                "asked for, so the sync cannot go on. Run it again; if it happens again, report it."
            )
            raise AirbyteTracedException(message=message, failure_type=FailureType.system_error)
        return int(updated), key

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
        if not isinstance(key, str) or not isinstance(until, int) or not isinstance(newest, int | None):
            raise self.unreadable_state()
        self._resume, self._newest, self._until = key, newest, min(until, self._until)


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
