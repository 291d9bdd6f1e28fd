"""Accounts and visitors: the first sync reads all by key, later ones what changed since."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeGuard

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import epoch_millis, iso_millis, snake_case
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import Bound, Row, Stage, app_id_of, app_parameter, day_before, visitors_stage
from source_pendo.client import REFUSALS, BadQuery, BadRequest, NotOffered
from source_pendo.config import LARGEST_RECORD_LIMIT
from source_pendo.metadata_schema import Groups, MetadataMapper, app_groups, usable_groups, with_groups
from source_pendo.paging import ChangePager, KeyPager, is_exact, without_key
from source_pendo.streams.base import STATE_VERSION, PendoStream
from source_pendo.values import change_time

#: A change may become visible hours after the time that it carries; eight hours is the longest that was reported for
#: events (certain: another vendor's commit log), for metadata nothing is known.
_OVERLAP_MS: Final = int(timedelta(hours=8) / timedelta(milliseconds=1))
#: Visitors are asked for since so many days before the oldest change that is looked for: a whole day and the time zone
_SINCE_DAYS: Final = 2
_AUTO: Final = "auto"
_CURSOR_PATH: Final = f"metadata.{_AUTO}.lastupdated"


class Entity(PendoStream):
    """Accounts or visitors with their metadata, one column for each metadata group.

    The first sync, and every full refresh, reads without any filter in order of the key, because a filter on
    `lastupdated` drops rows that have none, e.g. visitors that must not be processed. Its state is written at the end;
    until then it holds the key to go on at (`resume`). Later syncs ask for what changed since the state, less eight
    hours, up to the start of the sync, in order of change, so their state moves with every page. Then they ask for the
    rows without a time of change, e.g. visitors that a bulk deletion has marked: their age is not known, so they are
    emitted at every sync (UNKNOWN-AGE-IS-EMITTED).

    State: `{"lastupdated": "2026-03-01T00:00:00.000Z", "version": 1}`.
    """

    key_column: ClassVar[str]
    kind: ClassVar[str]
    cursor_field = "lastupdated"
    docs = replace(
        PendoStream.docs,
        resolution="1 ms",
        late_rows="not documented; eight hours are allowed for",
        read_again="changes of the eight hours before the state, and all that have no time of change",
        deletes=(
            "a deleted one is not reported, its row stays until a full refresh; one marked `donotprocess` is emitted"
        ),
        requests=(
            "one request for every `record_limit` rows, one for the metadata, one for those without a time of change"
        ),
    )

    _since: int | None
    _newest: int | None
    _sync_start: int
    _until: int
    _resume: str | None
    _mapper: MetadataMapper

    @abstractmethod
    def source_stage(self) -> Stage:
        """The first stage of every query."""

    def changes_stage(self, since: int) -> Stage:
        """The first stage of the queries for what changed since an instant in epoch milliseconds."""
        return self.source_stage()

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override] # the base caches for ever
        """The schema with the subscription's own metadata, or without it if Pendo does not list the fields."""
        try:
            groups = self._metadata_groups()
            return with_groups(super().get_json_schema(), {**groups, **app_groups(groups, self._app_ids)})
        except AirbyteTracedException as error:
            self.logger.warning(f"{self._untyped(error)}. Discover again before the next sync")
            return super().get_json_schema()

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the state; decide between reading all and reading changes.

        Raises if the metadata fields cannot be read at the moment: without their types, times would arrive as numbers
        in columns of timestamps, and the state would move past them. If Pendo refuses them for good, the discovered
        schema has no types either.
        """
        self._since = self.cursor_millis(state, "resume")
        self._newest = self._since
        self._sync_start = self._until = epoch_millis(sync_start)
        self._resume = None
        if (resume := self.resume_of(state)) is not None:
            self._take_resume(resume)
        try:
            groups = self._metadata_groups()
        except AirbyteTracedException as error:
            if error.failure_type is FailureType.transient_error:
                raise
            self.logger.warning(self._untyped(error))
            groups = {}
        self._mapper = MetadataMapper(PendoStream.get_json_schema(self), groups, self.logger)

    def slices(self) -> Iterable[str]:
        return ("everything" if self._since is None else "changes",)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        return self._everything() if self._since is None else self._changes(self._since)

    def probe(self) -> None:
        self.client.aggregate("probe", [self.source_stage(), {"limit": 1}]).close()

    def _metadata_groups(self) -> Groups:
        return usable_groups(self.client.call(f"/metadata/schema/{self.kind}").json())

    def _untyped(self, error: AirbyteTracedException) -> str:
        return (
            f"Stream {self.name}: Pendo does not list the metadata fields, so they are emitted without types "
            f"({error.internal_message})"
        )

    def _app_ids(self) -> list[int]:
        """The applications. The source `apps` is in examples of Pendo's documentation."""
        try:
            rows = self.client.all_rows("apps", [{"source": {"apps": None}}])
            return sorted({int(app) for row in rows if (app := app_id_of(row)) is not None})
        except AirbyteTracedException as error:
            self.logger.info(
                f"Stream {self.name}: Pendo does not list the applications, so the metadata of single applications is "
                f"in the records and not in the schema ({error.internal_message})"
            )
            return []

    def _pager(self, bound: Bound | None = None) -> KeyPager:
        return KeyPager(self.key_column, self.config.record_limit, LARGEST_RECORD_LIMIT, bound)

    def _everything(self) -> Iterator[SliceItem]:
        pager = self._pager(None if self._resume is None else Bound(">=", self._resume))
        source = self.source_stage()
        yield from self.by_key(source, pager, self._records, restart=self._start_over, resume_at=self._resume_at)
        yield Checkpoint(self._reached(self._newest))

    def _start_over(self) -> None:
        self._newest, self._until = None, self._sync_start

    def _changes(self, since: int) -> Iterator[SliceItem]:
        """Pages by time and key, up to the start of the sync."""
        span = (since - _OVERLAP_MS, self._until)

        def position(row: Row) -> tuple[int, str]:
            """A row without a time counts as the oldest; Pendo documents that a comparison drops it.

            A row without a key would end the paging unseen.
            """
            updated, key = self._time(row), row.get(self.key_column)
            if not isinstance(key, str):
                raise without_key(self.name, self.key_column)
            return (span[0] if updated is None else updated), key

        limits = self.config.record_limit, LARGEST_RECORD_LIMIT
        pager = ChangePager(_CURSOR_PATH, self.key_column, *limits, span=span, position=position)
        saved = pager.bound
        for rows in self._changed_rows(pager, span[0]):
            if rows:
                since = max(since, position(rows[-1])[0])
                yield self._records(rows)
            if pager.bound is not saved:
                saved = pager.bound
                yield Checkpoint(self._reached(since))
        yield Checkpoint(self._reached(since))
        yield from self._without_time()
        yield Checkpoint(self._reached(since))

    def _changed_rows(self, pager: KeyPager, since: int) -> Iterator[list[Row]]:
        """The rows of all pages. If Pendo refuses the stage that spares it work, the stage of all queries is used."""
        sparing, plain = self.changes_stage(since), self.source_stage()
        try:
            yield from self.client.keyed_rows("changes", sparing, pager)
        except REFUSALS as error:
            if sparing == plain:
                raise
            self.logger.info(
                f"Stream {self.name}: Pendo refuses to look only at what changed lately, so it looks at everything "
                f"({error.internal_message})"
            )
            yield from self.client.keyed_rows("changes", plain, pager)

    def _without_time(self) -> Iterator[SliceItem]:
        """Rows without a time of change, which no comparison with a time finds.

        Pendo documents that `==` compares null as a value of its own and, elsewhere, `isNil`. The second is tried if
        the first is refused. Rows that have a time came before.
        """
        for condition in (f"{_CURSOR_PATH} == null", f"isNil({_CURSOR_PATH})"):
            try:
                for rows in self.client.keyed_rows("no time", self.source_stage(), self._pager(), where=condition):
                    yield self._records([row for row in rows if self._time(row) is None])
            except (BadQuery, BadRequest, NotOffered) as error:
                refused = error.internal_message
                continue
            return
        self.logger.warning(
            f"Stream {self.name}: Pendo refuses to list the rows without {self.cursor_field}, so only a full "
            f"refresh emits them ({refused})"
        )

    def _records(self, rows: list[Row]) -> list[dict[str, Any]]:
        records = []
        for row in rows:
            record: dict[str, Any] = {snake_case(name): value for name, value in row.items() if name != "metadata"}
            record[self.cursor_field] = None
            self._mapper.map(row.get("metadata"), record)
            if auto := record.get("metadata_auto"):
                record[self.cursor_field] = auto.get(self.cursor_field)
            updated = self._time(row)
            if updated is None:
                self.ageless += 1
            elif self._newest is None or updated > self._newest:
                self._newest = updated
            records.append(record)
        return records

    def _time(self, row: Row) -> int | None:
        """When a row changed, in epoch milliseconds; None if it does not say."""
        metadata = row.get("metadata")
        auto = metadata.get(_AUTO) if isinstance(metadata, dict) else None
        updated = auto.get(self.cursor_field) if isinstance(auto, dict) else None
        return None if isinstance(updated, str) else change_time(updated)

    def _reached(self, newest: int | None) -> dict[str, Any]:
        if newest is None:
            return {"version": STATE_VERSION}
        capped = newest if newest == self._since else min(newest, self._until)
        return {self.cursor_field: iso_millis(capped), "version": STATE_VERSION}

    def _resume_at(self, key: str) -> dict[str, Any]:
        return {self.key[0]: key, "newest": self._newest, "until": self._until}

    def _take_resume(self, resume: Mapping[str, Any]) -> None:
        """Go on with an interrupted first reading.

        Rows before its key that changed meanwhile come with the next sync, because the state at the end is no later
        than the start of that reading.
        """
        key, newest, until = resume.get(self.key[0]), resume.get("newest"), resume.get("until")
        known = set(resume) <= {self.key[0], "newest", "until"} and self._since is None
        if not known or not isinstance(key, str) or not _is_time(until) or not (newest is None or _is_time(newest)):
            raise self.unreadable_state()
        if is_exact(key):  # else no query would find it: everything is read again
            self._resume, self._newest, self._until = key, newest, min(until, self._until)


def _is_time(value: Any) -> TypeGuard[int]:
    """Whether a member of a state is a time as this connector writes it."""
    return isinstance(value, int) and value == change_time(value)


class Accounts(Entity):
    """Accounts of the whole subscription.

    Where the subscription uses parent accounts, the child accounts only. Pendo documents that, and that a parameter
    asks for the parents, but not its name.
    """

    key_column = "accountId"
    kind = "account"
    key = ("account_id",)
    docs = replace(
        Entity.docs,
        deletes=(
            f"{Entity.docs.deletes}. Where the subscription uses parent accounts, only child accounts come (documented)"
        ),
    )

    def source_stage(self) -> Stage:
        """With the applications; whether Pendo restricts accounts by them is not known."""
        return {"source": {"accounts": {"appId": app_parameter(self.config.app_ids)}}}


class Visitors(Entity):
    """Visitors of the whole subscription; anonymous ones only if the option asks for them."""

    key_column = "visitorId"
    kind = "visitor"
    key = ("visitor_id",)

    def source_stage(self) -> Stage:
        """`identified` drops anonymous visitors. The source knows no applications: an unknown parameter is an error."""
        return visitors_stage(self.config)

    def changes_stage(self, since: int) -> Stage:
        """With `since`, which spares Pendo to look at every visitor; the filter on the time decides.

        Documented (Pendo's API documentation, August 2025), but not how exact it is, so it begins a whole day earlier.
        """
        visitors = self.source_stage()["source"]["visitors"]
        return {"source": {"visitors": {**visitors, "since": day_before(since, _SINCE_DAYS)}}}
