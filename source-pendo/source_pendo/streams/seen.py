"""What each visitor saw or answered last: one row for a visitor and a guide's step or poll."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final, TypeAlias

from source_kit.convert import RecordMapper, epoch_millis, iso_millis
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import VISITOR_ID, Bound, Row, Stage, app_parameter, day_before, quote
from source_pendo.client import REFUSALS, Forbidden, NotOffered
from source_pendo.config import LARGEST_RECORD_LIMIT
from source_pendo.paging import KeyPager, is_exact, may_begin_at
from source_pendo.streams.base import STATE_VERSION, PendoStream
from source_pendo.unread_visitors import is_time
from source_pendo.values import document_mapper, whole_number

#: Days before the state's day, beside `lookback_window`: a day begins up to 12 hours after its begin in UTC, and Pendo
#: shows events up to eight hours after they happened (certain: another vendor's commit log).
_SLACK_DAYS: Final = 1
#: The type of a poll that asks for a score (certain: seen by clients)
_NPS: Final = "NPSRating"
#: Scores that wait for their reasons, or reasons for their scores, in memory
_HALVES_AT_ONCE: Final = 10_000
#: Visitor, guide, poll
_Key: TypeAlias = tuple[Any, Any, Any]


class SeenStream(PendoStream):
    """The latest state of each visitor with each step or poll of a guide, in all applications.

    The first sync, and every full refresh, reads the source of a whole life in order of visitors. Its state is written
    at the end; until then it holds the visitor to go on at (`resume`). Later syncs ask for the rows whose latest event
    lies in the days since the state, in one question. A row leaves a window when its visitor comes back later, so the
    window ends now; it begins `lookback_window` days before the state, because events come late. The state moves once,
    at the end, to no later than the start of the sync (UNSORTED-ADVANCES-LAST).

    If Pendo answers several rows of one key, the newest is emitted. A row that lacks a part of its key is emitted, too,
    because a lost row is lost for ever; such rows are counted, with a warning.

    Both sources are in Pendo's API documentation (August 2025) and were not seen live.

    State: `{"<cursor>": "2026-03-01T00:00:00.000Z", "version": 1}`.
    """

    #: The source of a window; that of a whole life has `Ever` behind its name.
    source: ClassVar[str]
    documented_only = True
    docs = replace(
        PendoStream.docs,
        resolution="1 ms",
        late_rows="45 minutes to 6 hours; events of devices that were offline come up to a week late",
        read_again="what happened in the `lookback_window` days before the state, and one more day",
        deletes="a reset of a staged guide removes its rows at Pendo; here they stay until a full refresh",
        requests="one request for every `record_limit` rows",
    )
    #: Rows of this sync that lack a part of their key
    keyless = 0

    _since: int | None
    _sync_start: datetime
    _until: int
    _resume: str | None
    _mapper: RecordMapper

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the state; decide between reading everything and reading a window."""
        self._since, self._resume = self.cursor_millis(state, "resume"), None
        self._sync_start, self._until = sync_start, epoch_millis(sync_start)
        if (resume := self.resume_of(state)) is not None:
            self._take_resume(resume)
        self._mapper = document_mapper(self.get_json_schema())

    def slices(self) -> Iterable[str]:
        return ("everything" if self._since is None else "changes",)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        yield from self._everything() if self._since is None else self._changes_or_everything(self._since)
        self._until = min(self._until, epoch_millis(self.client.connection.cursor_ceiling(self._sync_start)))
        # A state in the future stays: what it says was read.
        reached = max(self._until, self._since or 0)
        yield Checkpoint({self.cursor_field: iso_millis(reached), "version": STATE_VERSION})

    def finish(self) -> None:
        super().finish()
        if self.keyless:
            self.logger.warning(
                f"Stream {self.name}: {self.keyless} rows lack a part of their key ({', '.join(self.key)}). They are "
                "emitted; a destination that dedupes may keep one of several"
            )

    def probe(self) -> None:
        self.client.aggregate("probe", [self._whole_life(), {"limit": 1}]).close()

    def records(self, rows: list[Row]) -> list[Row]:
        """Records of rows that hold all rows of each of their visitors: one for a key."""
        newest: dict[tuple[Any, ...], Row] = {}
        for record in sorted(self._mapper(rows), key=lambda record: record.get(self.cursor_field) or ""):
            parts = tuple(map(record.get, self.key))
            self.ageless += record.setdefault(self.cursor_field, None) is None
            self.keyless += not all(parts)
            newest[parts if all(parts) else (*parts, len(newest))] = record
        return list(newest.values())

    def pager(self, bound: Bound | None = None) -> KeyPager:
        return KeyPager(VISITOR_ID, self.config.record_limit, LARGEST_RECORD_LIMIT, bound)

    def _parameters(self) -> dict[str, Any]:
        """Without applications Pendo answers for the default one only."""
        return {"appId": app_parameter(self.config.app_ids)}

    def _whole_life(self) -> Stage:
        return {"source": {f"{self.source}Ever": self._parameters()}}

    def _window(self, since: int) -> Stage:
        """The source of what happened since epoch milliseconds, less the lookback, until now."""
        first = day_before(min(since, self._until), self.config.lookback_days + _SLACK_DAYS)
        series = {"period": "dayRange", "first": first, "last": "now()"}
        return {"source": {self.source: self._parameters(), "timeSeries": series}}

    def _everything(self) -> Iterator[SliceItem]:
        pager = self.pager(None if self._resume is None else Bound(">=", self._resume))
        return self.by_key(self._whole_life(), pager, self.records, restart=self._start_over, resume_at=self._resume_at)

    def _resume_at(self, visitor_id: str) -> dict[str, Any]:
        return {"visitor_id": visitor_id, "until": self._until}

    def _start_over(self) -> None:
        self._until = epoch_millis(self._sync_start)

    def _changes_or_everything(self, since: int) -> Iterator[SliceItem]:
        """A check and the first sync ask for the whole life only, so a refusal of windows must not end the stream."""
        try:
            yield from self._changes(since)
        except REFUSALS as error:
            self.logger.warning(
                f"Stream {self.name}: Pendo refuses to list only what happened lately, so everything is read "
                f"({error.internal_message})"
            )
            yield from self._everything()

    def _changes(self, since: int) -> Iterator[SliceItem]:
        for rows in self.client.keyed_rows("changes", self._window(since), self.pager()):
            yield self.records(rows)

    def _take_resume(self, resume: Mapping[str, Any]) -> None:
        """Go on with an interrupted first reading.

        What happened to earlier visitors meanwhile comes with the next sync, because the state at the end is no later
        than the start of that reading.
        """
        key, until = resume.get("visitor_id"), resume.get("until")
        known = set(resume) == {"visitor_id", "until"} and self._since is None
        if not known or not isinstance(key, str) or not is_time(until):
            raise self.unreadable_state()
        if is_exact(key):  # else no query would find it: everything is read again
            self._resume, self._until = key, min(until, self._until)


class GuidesSeen(SeenStream):
    """Each visitor's views of each step of each guide: the first, the last, and how views last ended.

    A row comes again when its latest view lies in the days that a sync reads (documented). What ends a view comes with
    it, or within `lookback_window` days after it; later than that it comes with the next view or full refresh.
    """

    source = "guidesSeen"
    key = ("visitor_id", "guide_id", "guide_step_id")
    cursor_field = "last_seen_at"


@dataclass(frozen=True, slots=True)
class Poll:
    """What a guide's definition says about a poll: its type, and the id of the poll that asks for the reason."""

    type: str | None
    follow_up: str | None


_UNKNOWN: Final = Poll(None, None)


class PollResponses(SeenStream):
    """Each visitor's latest answer to each poll.

    Pendo calls the column of the answer `pollResponse` or `response` (documentation and its examples differ). The
    answer to a pick list is the id of a choice, whose label is in `guides.polls`. The types of the polls come from the
    guides; a poll of a deleted guide has none.

    An NPS guide has two polls, the score and the reason. The row of the score has both, so that NPS needs no join. Also
    in an incremental sync, where one of the two may be older than the window: then the answers to these polls are read
    from the source of a whole life, and the score is emitted as it is there.

    If Pendo fails to list the guides, the stream fails, because rows without types would replace those that have them,
    and the next sync may do better. If Pendo refuses the guides to the key, rows come without types, with a warning.
    """

    source = "pollsSeen"
    key = ("visitor_id", "guide_id", "poll_id")
    cursor_field = "time"
    docs = replace(
        SeenStream.docs, requests="one request for every `record_limit` rows, one for the guides, a few for NPS polls"
    )

    #: By guide and poll
    _polls: Mapping[tuple[Any, Any], Poll]
    #: The other poll of an NPS guide, by guide and poll
    _partners: Mapping[tuple[Any, Any], str]
    #: Answers of this sync to polls that no guide has
    untyped = 0

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        super().start(state, full_refresh, sync_start)
        self._polls = self._listed_polls()
        self._partners = {}
        for (guide, score), poll in self._polls.items():
            if poll.type == _NPS and poll.follow_up:
                self._partners |= {(guide, score): poll.follow_up, (guide, poll.follow_up): score}

    def records(self, rows: list[Row]) -> list[Row]:
        """As the base, with what the guides say about the polls."""
        for row in rows:
            answer = row.pop("pollResponse", None)
            row["response"] = row.get("response") if answer is None else answer
        records = super().records(rows)
        answers = {self._key_of(record): record["response"] for record in records}
        for record in records:
            visitor, guide, poll_id = map(record.get, self.key)
            poll = self._polls.get((guide, poll_id), _UNKNOWN)
            is_score = poll.type == _NPS
            self.untyped += poll is _UNKNOWN
            record["poll_type"] = poll.type
            record["nps_score"] = whole_number(record["response"]) if is_score else None
            record["nps_comment"] = answers.get((visitor, guide, poll.follow_up)) if is_score else None
        return records

    def finish(self) -> None:
        super().finish()
        if self.untyped:
            self.logger.warning(
                f"Stream {self.name}: {self.untyped} answers are to polls of which Pendo lists no guide (it was "
                "deleted, or the list is not whole), so they come without poll_type, nps_score and nps_comment"
            )

    def _changes(self, since: int) -> Iterator[SliceItem]:
        """The rows of the window. Scores of which it has one half, the score or the reason, come from `_joined`."""
        halves: dict[_Key, Row | None] = {}
        first: str | None = None
        for rows in self.client.keyed_rows("changes", self._window(since), self.pager()):
            if rows and not halves:
                first = rows[0].get(VISITOR_ID)
            records = self.records(rows)
            answered = {self._key_of(record): record for record in records}
            for (visitor, guide, poll), record in answered.items():
                partner = self._partners.get((guide, poll))
                if visitor and partner and (visitor, guide, partner) not in answered:
                    is_score = record["poll_type"] == _NPS
                    halves[visitor, guide, poll if is_score else partner] = record if is_score else None
            yield [record for record in records if halves.get(self._key_of(record)) is not record]
            if len(halves) >= _HALVES_AT_ONCE:
                yield from self._joined(halves, first)
                halves = {}
        if halves:
            yield from self._joined(halves, first)

    def _joined(self, halves: dict[_Key, Row | None], first: Any) -> Iterator[SliceItem]:
        """Scores by key, from the source of a whole life, which has the reasons, too; as they are if it lacks them.

        Only the pages from the visitor `first` to the last one of the halves are read: a whole life is long.
        """
        bound = Bound(">=", first) if isinstance(first, str) and may_begin_at(first) else None
        waiting = {visitor for visitor, _, _ in halves}
        people = {(visitor, guide) for visitor, guide, _ in halves}
        polls = {poll for _, guide, score in halves for poll in (score, self._partners[guide, score])}
        where = " || ".join(f"pollId == {quote(poll)}" for poll in sorted(polls))
        for rows in self.client.keyed_rows("NPS", self._whole_life(), self.pager(bound), where=f"({where})"):
            records = self.records([row for row in rows if (row.get(VISITOR_ID), row.get("guideId")) in people])
            yield [record for record in records if self._key_of(record) in halves]
            for record in records:
                halves.pop(self._key_of(record), None)
            waiting.difference_update(row.get(VISITOR_ID) for row in rows)
            if not waiting:
                break
        yield [record for record in halves.values() if record is not None]

    def _key_of(self, record: Row) -> _Key:
        visitor, guide, poll = map(record.get, self.key)
        return visitor, guide, poll

    def _listed_polls(self) -> Mapping[tuple[Any, Any], Poll]:
        polls: dict[tuple[Any, Any], Poll] = {}
        try:
            for guides in self.client.rows(lambda: self.client.list_objects("/guide"), None, polls.clear):
                for guide in guides:
                    for poll in _polls_of(guide):
                        polls[str(guide.get("id")), str(poll.get("id"))] = _described(poll)
        except (Forbidden, NotOffered) as error:
            self.logger.warning(
                f"Stream {self.name}: Pendo does not list the guides, so answers come without poll_type, nps_score and "
                f"nps_comment ({error.internal_message})"
            )
        return polls


def _polls_of(guide: Row) -> list[Row]:
    found = guide.get("polls")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _described(poll: Row) -> Poll:
    attributes = poll.get("attributes")
    known = attributes if isinstance(attributes, dict) else {}
    type_, follow_up = known.get("type"), known.get("followUp")
    return Poll(type_ if isinstance(type_, str) else None, follow_up if isinstance(follow_up, str) else None)
