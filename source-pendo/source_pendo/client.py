"""How Pendo is talked to: headers, errors and their sentences, and the base of every stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit import activity
from source_kit.convert import epoch_millis, parse_instant
from source_kit.errors import Action, ErrorRule, ErrorTable, Throttled, config_error
from source_kit.http.client import Answer, BatchHttpStream

from source_pendo.aggregation import KeyPager, KeyTooLarge, Row, Stage, envelope, may_begin_at, no_progress
from source_pendo.config import Config

KEY_HEADER: Final = "x-pendo-integration-key"
AGGREGATION: Final = "/aggregation"
#: Format of the states that this release writes; a state without a version is of this one.
STATE_VERSION: Final = 1
#: A state must stay under two kilobytes, so a key that is longer than this as JSON is not written into one. Bytes.
_LONGEST_KEY_IN_STATE: Final = 1_500
#: So many bodies that break in the middle, one after another, fail a stream
BROKEN_BODIES: Final = 3
#: Pages smaller than this do not make a query easier
_SMALLEST_PAGE: Final = 500
#: So often a query that cannot be cut any further is asked for, should what was too much for Pendo pass
_TRIES_OF_A_SMALL_QUERY: Final = 3


class QueryTooBig(AirbyteTracedException):
    """Pendo gave up on a query or ran out of memory: it has to be asked in smaller pieces."""


class NoAnswerInTime(QueryTooBig):
    """Nothing came within the request's time-out: a query that is too big, or a server or network that is gone."""


class BadRequest(AirbyteTracedException):
    """A 400 without a text that is known: if everything is answered so, the key belongs to another region."""


class BadQuery(AirbyteTracedException):
    """A 400 that says that Pendo does not understand the query."""


class NotOffered(AirbyteTracedException):
    """There is nothing at the address (404), or Pendo refuses what was asked for (422)."""


class Forbidden(AirbyteTracedException):
    """The key is wrong or has no right to this kind of object: Pendo answers 403 in both cases."""


WRONG_REGION: Final = (
    "Pendo does not know this integration key in this region: choose the region in which your subscription lives "
    "(US, US1, EU, JPN or AU; it is in the address of Pendo's pages), or correct api_url."
)
WRONG_KEY: Final = (
    "Pendo refuses the integration key: make a new key in Settings > Integrations > Integration Keys (a key is shown "
    "only once, and the shared secret of track events is none); if there is no such tab, the subscription has no API "
    "access and Pendo has to enable it."
)
FORBIDDEN: Final = (
    "Pendo refuses this stream's objects to the integration key (status 403): the key was revoked or lacks the right "
    "to them. Make a new key with that right in Settings > Integrations > Integration Keys, or deselect the stream."
)
TOO_BIG: Final = (
    "Pendo could not answer a query within its limits of time and memory. Run the sync again later; for an event "
    "stream, restrict app_ids."
)
BAD_QUERY: Final = (
    "Pendo did not understand a query of this connector (status 400). It is a defect of the connector or a change of "
    "Pendo's interface: report it together with the internal message."
)
BAD_REQUEST: Final = (
    "Pendo refused the request (status 400). If every stream fails like this, the region or api_url does not belong to "
    "the integration key: correct it; otherwise report it together with the internal message."
)
NOT_FOUND: Final = (
    "Pendo has nothing at this address (status 404): check api_url, which must be the host only; without api_url, "
    "the subscription does not offer this stream, so deselect it."
)
UNPROCESSABLE: Final = (
    "Pendo refused the content of a request (status 422): deselect the stream if it stays so, and report it together "
    "with the internal message."
)
THROTTLED: Final = (
    "Pendo throttles this integration key and did not stop within the time that was waited for it: lower num_workers, "
    "or let other users of the key finish, and run the sync again."
)
BROKEN: Final = (
    "Pendo failed to answer, after several attempts: run the sync again later; it goes on from its last state."
)
BLOCKED: Final = (
    "A proxy or firewall refuses the request (status 451): allow the connection to Pendo's host, or correct api_url."
)

_CONFIG, _SYSTEM, _TRANSIENT = FailureType.config_error, FailureType.system_error, FailureType.transient_error

#: One row for each kind of answer that Pendo, or what stands before it, was seen to give. First match first.
ERRORS: Final = ErrorTable(
    "Pendo",
    (
        # Certain: an open pull request of another connector; 400 on some accounts, 408 on others.
        ErrorRule(400, TOO_BIG, Action.FAIL, _TRANSIENT, body="Query exceeded memory limit", raises=QueryTooBig),
        # Of an aggregation it means that the query is too big, see `aggregate`; elsewhere there is nothing to cut.
        ErrorRule(408, BROKEN, Action.RETRY, _TRANSIENT),
        # A valid key on another region's host; the text is from one write-up, unverified.
        ErrorRule(400, WRONG_REGION, Action.FAIL, _CONFIG, body="missing jzb"),
        ErrorRule(
            400,
            BAD_QUERY,
            Action.FAIL,
            _SYSTEM,
            body="Cannot parse filter expression|bad pipeline|bad source|unexpected parameters|no period specified",
            raises=BadQuery,
        ),
        ErrorRule(400, BAD_REQUEST, Action.FAIL, _SYSTEM, raises=BadRequest),
        ErrorRule(401, WRONG_KEY, Action.FAIL, _CONFIG, raises=Forbidden),
        ErrorRule(403, THROTTLED, Action.THROTTLED, _TRANSIENT, body="rateLimitExceeded", raises=Throttled),
        ErrorRule(403, FORBIDDEN, Action.FAIL, _CONFIG, raises=Forbidden),
        ErrorRule(404, NOT_FOUND, Action.FAIL, _CONFIG, raises=NotOffered),
        ErrorRule(422, UNPROCESSABLE, Action.FAIL, _SYSTEM, raises=NotOffered),
        ErrorRule(429, THROTTLED, Action.THROTTLED, _TRANSIENT, raises=Throttled),
        ErrorRule(451, BLOCKED, Action.FAIL, _CONFIG),
        ErrorRule(range(500, 600), BROKEN, Action.RETRY, _TRANSIENT),
    ),
)


class PendoStream(BatchHttpStream):
    """Base of the streams: where Pendo is, how the key is shown, where the schema lies.

    A stream says `key`, its primary key, and `cursor_column`, its cursor field, as class attributes, so that no
    instance can change another's.
    """

    error_table = ERRORS
    key: ClassVar[tuple[str, ...]] = ()
    cursor_column: ClassVar[str] = ""
    permission: ClassVar[str] = "read access (any integration key)"
    #: Rows of this sync without a time of change
    ageless: int = 0

    def __init__(self, config: Config, session: requests.Session) -> None:
        self.config = config
        super().__init__(session)
        self.read_timeout = float(config.request_timeout)

    def finish(self) -> None:
        """Say how many rows have no time of change."""
        if self.ageless:
            self.logger.warning(
                f"Stream {self.name}: {self.ageless} rows have no {self.cursor_column}. They are emitted at every "
                "sync and do not move the state."
            )

    @property
    def url_base(self) -> str:
        """Region's host, or the one of `api_url`, with the path of the API."""
        return self.config.base_url

    @property
    def auth_headers(self) -> Mapping[str, str]:
        """The integration key."""
        return {KEY_HEADER: self.config.api_key, "Accept": "application/json"}

    @property
    def primary_key(self) -> str | list[str] | None:
        """The class's key, a fresh list for every caller."""
        return self.key[0] if len(self.key) == 1 else list(self.key) or None

    @property
    def cursor_name(self) -> str:
        """The cursor field of this instance; empty for a stream without one."""
        return self.cursor_column

    @property
    def cursor_field(self) -> str | list[str]:
        """The cursor as Airbyte asks for it."""
        return self.cursor_name or []

    def aggregate(self, label: str, pipeline: Sequence[Stage], *, small: bool = False) -> Answer:
        """Run an aggregation. `label` names the request, after the stream's name, in logs on either side.

        Raises QueryTooBig where Pendo cannot answer within its limits or in time, otherwise the table's errors. A
        `small` query, of which nothing can be cut off, is asked for again before.
        """
        body = envelope(f"{self.name}/{label}", pipeline)
        for failed in range(1, _TRIES_OF_A_SMALL_QUERY):
            try:
                return self._aggregate_once(body)
            except QueryTooBig as error:
                if not small:
                    raise
                why = f"Stream {self.name}: attempt {failed} at a small query failed ({error.internal_message})"
                self.logger.info(why)
                activity.current().wait(self.retry_policy.base_seconds * 4.0**failed, why)
        return self._aggregate_once(body)

    def _aggregate_once(self, body: Mapping[str, Any]) -> Answer:
        answer = self.call(AGGREGATION, method="POST", json=body, accept=(408,))
        if answer.status != 408:
            return answer
        answer.close()
        detail = f"POST {AGGREGATION}: status 408"
        raise QueryTooBig(message=TOO_BIG, internal_message=detail, failure_type=FailureType.transient_error)

    def _transport_rule(self, error: Exception) -> ErrorRule:
        """A query that is not answered in time is too big, too: Pendo gives up on one after five minutes itself."""
        rule = super()._transport_rule(error)
        if isinstance(error, requests.exceptions.ReadTimeout) and error.request and error.request.method == "POST":
            return replace(rule, action=Action.FAIL, raises=NoAnswerInTime)
        return rule

    def keyed_rows(
        self, label: str, source: Stage, pager: KeyPager, behind: Sequence[Stage] = (), *, where: str | None = None
    ) -> Iterator[list[Row]]:
        """The rows of a source, in order and page by page as `pager` says; `behind` are stages after the limit.

        `where` is a filter on all of the pages.

        A page that is too much for Pendo is halved, one whose body breaks in the middle is asked for again from its
        last key on. Whenever `pager.bound` has moved after a list, all rows before that bound have been handed out.
        """
        broken = 0
        while not pager.done:
            filters = [{"filter": condition} for condition in (where, pager.filter) if condition]
            stages = [source, *filters, {"sort": pager.order}, {"limit": pager.limit}, *behind]
            try:
                answer = self.aggregate(label, stages, small=is_small(pager.limit) and not pager.grown)
            except QueryTooBig as error:
                if is_small(pager.limit) and not pager.grown:
                    raise
                self.logger.info(f"Stream {self.name}: pages of {pager.limit} rows are too much ({error})")
                pager.shrink()
                continue
            try:
                for rows in answer.rows("results"):
                    yield pager.add(rows)
            except AirbyteTracedException as error:
                pager.broken_off()
                broken = self.once_more(broken, error)
                continue
            broken = 0
            try:
                yield pager.end_page()
            except KeyTooLarge:
                msg = f"pages of {pager.limit} rows hold one id in several spellings, or none that can be asked for"
                raise no_progress(msg) from None

    def once_more(self, broken: int, error: AirbyteTracedException) -> int:
        """Counts the bodies that broke one after another. Raises the error of the last that is allowed."""
        if broken + 1 >= BROKEN_BODIES or error.failure_type is not FailureType.transient_error:
            raise error
        self.logger.info(f"Stream {self.name}: a body broke in the middle and is asked for again")
        return broken + 1

    def probe(self) -> None:
        """Ask for the least that shows that the key may read this stream. Raises what `call` raises."""
        raise NotImplementedError

    def cursor_millis(self, state: Mapping[str, Any]) -> int | None:
        """The cursor of a state as epoch milliseconds; None where the state has none.

        Raises a config_error for a state that no release of this connector wrote.
        """
        version = state.get("version", STATE_VERSION)
        value = state.get(self.cursor_name)
        if version == STATE_VERSION and value is None:
            return None
        if version == STATE_VERSION and isinstance(value, str):
            try:
                return epoch_millis(parse_instant(value))
            except (ValueError, OverflowError):
                pass
        raise self.unreadable_state()

    def require_members(self, state: Mapping[str, Any], *others: str) -> None:
        """Raises a config_error for a state with a member that no release of this stream wrote, e.g. another stream's.

        Taken for an empty one it would start the stream anew. `others` are members beside cursor and version.
        """
        if not set(state) <= {self.cursor_name, "version", *others}:
            raise self.unreadable_state()

    def resume_of(self, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What a state says about an interrupted reading; None where it says nothing."""
        resume = state.get("resume")
        if resume is not None and not isinstance(resume, dict):
            raise self.unreadable_state()
        return resume

    def unreadable_state(self) -> AirbyteTracedException:
        """The error for a state that cannot be read."""
        return config_error(
            f"The state of stream {self.name} cannot be read: it must be like "
            f'{{"{self.cursor_name}": "2026-03-01T00:00:00.000Z", "version": {STATE_VERSION}}}. Correct it, update the '
            "connector if a newer release wrote it, or reset the stream to read it anew."
        )


PLACE_IS_GONE: Final = (
    "Stream {}: the saved state goes on at an id that Pendo does not have (it was deleted, or the state is of another "
    "subscription), so everything is read anew"
)


class PlaceIsGone(Exception):
    """The row at which an interrupted reading was to go on does not come: it was removed, or the state is another's."""


def from_the_place(place: str | None, column: str, lists: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """The lists of an ordered reading that goes on at the key `place`; all of them where there is none.

    What lies before the place was read only if the place is one of this subscription. So raises PlaceIsGone, before
    anything was handed out, where the first row is not the one at the place.
    """
    sought = place
    for rows in lists:
        if sought is not None and rows:
            if str(rows[0].get(column)).casefold() != sought.casefold():
                raise PlaceIsGone
            sought = None
        yield rows
    if sought is not None:
        raise PlaceIsGone


def is_small(limit: int) -> bool:
    """Whether pages are too small to be halved."""
    return limit // 2 < _SMALLEST_PAGE


def fits_a_state(key: str) -> bool:
    """Whether a key may be kept in a state: it is short, with a state's ASCII escapes, and a page may begin there."""
    return len(json.dumps(key)) <= _LONGEST_KEY_IN_STATE and may_begin_at(key)
