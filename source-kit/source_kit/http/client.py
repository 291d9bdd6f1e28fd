"""Requests to a vendor: one call with time-outs, retries and an error table, whose answer is complete.

A stream holds a `Client`; the clients of one sync share a `Connection`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from urllib3.exceptions import HTTPError, LocationValueError

from source_kit import activity
from source_kit.convert import utc_now
from source_kit.errors import Action, ErrorRule, ErrorTable, shorten
from source_kit.http.body import CONNECT_TIMEOUT_SECONDS, cut_or_no_json, spool_of
from source_kit.http.faults import fault_of, is_network_error
from source_kit.http.retry import RETRY_POLICY, Attempts, RetryPolicy, http_date
from source_kit.http.rows import RowReader
from source_kit.json_text import BadDocument, UnexpectedShape, loads, require_room
from source_kit.limits import JSON_BYTES, TooLarge

_ERROR_BODY_BYTES = 64 * 1024
#: Attempts at a request of the slice after one that failed alone: the full number at each slice would take hours.
_FEW_TRIES = 2
#: A body that turns out broken while its rows are read is asked for at most this many times.
BODY_TRIES = 3
#: Two clocks that differ by less agree: what a sync reads again covers more than that.
CLOCK_TOLERANCE = timedelta(minutes=1)
#: Ignore a `Date` header this far behind our clock; some proxies report 1970.
CLOCK_CREDIBLE = timedelta(days=30)
#: How requests and urllib3 report a URL that is none
_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    LocationValueError,
)


class Answer:
    """An answer that arrived whole. Its body is read once, by `rows` or by `json`."""

    def __init__(self, response: requests.Response, what: str, table: ErrorTable, stream: str = "") -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.envelope: dict[str, Any] = {}
        self._spool = spool_of(response)
        self._what = what
        self._table = table
        self._stream = stream

    def rows(self, key: str | None) -> Iterator[list[dict[str, Any]]]:
        """The rows of the array `key` of the document (None: the document is the array), in lists of bounded size.

        Afterwards `envelope` holds the document's other members.
        """
        reader = RowReader(self._spool, key)
        try:
            yield from reader
        except BadDocument as error:
            self._bad(error)
        except TooLarge as error:
            raise too_large(self._stream, self._table.vendor, self._what, error) from error
        finally:
            self._spool.close()
        self.envelope = reader.envelope

    def json(self) -> Any:
        """The whole document."""
        try:
            with self._spool:
                text = self._spool.read(JSON_BYTES + 1)
                require_room(text, "a document")
                return loads(text)
        except BadDocument as error:
            self._bad(error)
        except TooLarge as error:
            raise too_large(self._stream, self._table.vendor, self._what, error) from error

    def close(self) -> None:
        """Frees the body unread."""
        self._spool.close()

    def _bad(self, error: BadDocument) -> NoReturn:
        raise BadAnswer(
            message=self._table.misshapen if isinstance(error, UnexpectedShape) else self._table.not_json,
            internal_message=f"{self._what}: status {self.status}: {shorten(str(error))}",
            failure_type=FailureType.transient_error,
        ) from error


class BadAnswer(AirbyteTracedException):
    """An answer that arrived whole and holds something else than was asked for."""


def too_large(stream: str, vendor: str, what: str, error: TooLarge) -> AirbyteTracedException:
    """The error for an answer that lies beyond a limit, which no repetition heals."""
    return AirbyteTracedException(
        message=(
            f"Stream {stream}: {vendor} sent {error}. The connector does not take in so much at once, and stopped the "
            f"stream there, so that nothing is skipped for ever. Make it smaller at {vendor}, or leave the stream out, "
            "and report it."
        ),
        internal_message=f"{what}: {error}",
        failure_type=FailureType.system_error,
    )


class Connection:
    """Where a vendor is, and what all clients of one sync share: the session, the headers, the vendor's clock.

    `before_request` is called before every attempt: the place to wait for a request budget.
    """

    def __init__(
        self,
        base_url: str,
        session: requests.Session,
        headers: Mapping[str, str],
        before_request: Callable[[], None] | None = None,
    ) -> None:
        self.base_url = base_url
        self.session = session
        self.headers = headers
        self.before_request = before_request or (lambda: None)
        #: How much this machine's clock is ahead of the vendor's at the first answer; zero where they agree
        self.clock_ahead = timedelta(0)
        self._first_answer_at: datetime | None = None
        self._lock = threading.Lock()

    @property
    def answered(self) -> bool:
        """Whether the vendor has answered a request of this sync."""
        return self._first_answer_at is not None

    def cursor_ceiling(self, sync_start: datetime) -> datetime:
        """The latest instant to which a cursor that follows the clock may move; ask behind the first answer.

        Where this machine's clock is ahead of the vendor's, a state at `sync_start` would hide what happens until then.
        So it is the time that the vendor gave its first answer, if that is clearly earlier.
        """
        first = self._first_answer_at
        return sync_start if first is None or sync_start - first <= CLOCK_TOLERANCE else first

    def note_clock(self, date: str, sent: datetime, vendor: str, logger: logging.Logger) -> None:
        """Keeps the vendor's time of the first answer: its `Date` header, unless that is missing or incredible."""
        with self._lock:
            if self._first_answer_at is not None:
                return
            at = http_date(date) or sent
            ahead = sent - at
            self._first_answer_at = sent if ahead > CLOCK_CREDIBLE else at
        if CLOCK_TOLERANCE < ahead <= CLOCK_CREDIBLE:
            self.clock_ahead = ahead
            logger.warning(
                f"This machine's clock is {ahead.total_seconds():.0f} s ahead of {vendor}'s. States follow {vendor}'s "
                "clock. Correct this machine's clock."
            )


class Client:
    """The requests of one stream.

    `name` is the stream's, for log lines and sentences. `retry_policy` and `read_timeout` (seconds until an answer
    begins, and again until it has ended) may be changed between requests: `check` sets short ones.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        error_table: ErrorTable,
        retry_policy: RetryPolicy = RETRY_POLICY,
        read_timeout: float = 60.0,
    ) -> None:
        self.name = name
        self.connection = connection
        self.error_table = error_table
        self.retry_policy = retry_policy
        self.read_timeout = read_timeout
        #: How many slices failed since one was last read to its end
        self.failed_in_a_row = 0
        self.logger = logging.getLogger(f"airbyte.streams.{name}")

    def policy(self) -> RetryPolicy:
        """The retry policy of the next request: few tries while slice after slice fails, as in an outage."""
        if not self.failed_in_a_row:
            return self.retry_policy
        return replace(self.retry_policy, tries=min(_FEW_TRIES, self.retry_policy.tries))

    def call(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """One request, repeated by the error table, its answer complete.

        `path` is joined to the base URL and must be percent-encoded. A status in `accept` is handed back like a 200.
        Raises AirbyteTracedException with the table's sentence.
        """
        what = f"{method} {urlsplit(path).path}"
        attempts = Attempts(self.policy(), what, self.logger)
        while True:
            self.connection.before_request()
            sent = utc_now()
            with activity.current().doing(f"{self.name}: {what}"):
                response = self._send(method, path, params, json)
            if isinstance(response, Exception):
                rule = self.transport_rule(response)
                attempts.again_or_raise(rule, None, _without_queries(repr(response)))
                continue
            status = response.status_code
            if (200 <= status < 300 or status in accept) and not (status < 300 and cut_or_no_json(spool_of(response))):
                self.connection.note_clock(response.headers.get("Date", ""), sent, self.error_table.vendor, self.logger)
                return Answer(response, what, self.error_table, self.name)
            with spool_of(response) as spool:
                body = spool.read(_ERROR_BODY_BYTES).decode("utf-8", "replace")
            if status < 300:
                rule = ErrorRule(status, self.error_table.not_json, Action.RETRY, FailureType.transient_error)
            else:
                rule = self.error_table.rule_for(status, body := body + _redirected_to(response))
            attempts.again_or_raise(rule, response, body)

    def rows(
        self, ask: Callable[[], Answer], key: str | None, restart: Callable[[], None]
    ) -> Generator[list[dict[str, Any]], None, Answer]:
        """The rows of an answer; one whose body turns out broken on the way is asked for again.

        `ask` makes the request. `restart` is called before each repetition, which brings all rows anew, or what is
        left of them, as `ask` says. Returns the answer, whose `envelope` is complete.
        """
        for tries_left in reversed(range(BODY_TRIES)):
            answer = ask()
            try:
                yield from answer.rows(key)
                break
            except AirbyteTracedException as error:
                if not tries_left or error.failure_type is not FailureType.transient_error:
                    raise
                self.logger.info(f"Stream {self.name}: a body broke in the middle and is asked for again")
                restart()
        return answer

    def close(self) -> None:
        """Closes the connections, also those of the clients that share them."""
        self.connection.session.close()

    def _send(
        self, method: str, path: str, params: Mapping[str, Any] | None, json: Mapping[str, Any] | None
    ) -> requests.Response | Exception:
        try:
            return self.connection.session.request(
                method,
                self.connection.base_url + path,
                headers=dict(self.connection.headers),
                params=params,
                json=json,
                timeout=(CONNECT_TIMEOUT_SECONDS, self.read_timeout),
                stream=True,
                allow_redirects=False,
            )
        except (OSError, HTTPError) as error:  # every error of requests is an OSError; some of urllib3 pass through it
            return error
        except TooLarge as error:
            raise too_large(self.name, self.error_table.vendor, f"{method} {urlsplit(path).path}", error) from error

    def transport_rule(self, error: Exception) -> ErrorRule:
        """The row of the error table for an error without an answer."""
        table, config, transient = self.error_table, FailureType.config_error, FailureType.transient_error
        fault = fault_of(error, self.connection.base_url, answered=self.connection.answered)
        if fault is not None:
            action, kind = (Action.RETRY, transient) if fault.heals else (Action.FAIL, config)
            return ErrorRule(None, fault.message, action, kind)
        if isinstance(error, _BAD_ADDRESS):
            return ErrorRule(None, table.bad_address, Action.FAIL, config)
        if not is_network_error(error):
            return ErrorRule(None, table.unknown, Action.FAIL, FailureType.system_error)
        timed_out = isinstance(error, requests.exceptions.Timeout)
        return ErrorRule(None, table.timeout if timed_out else table.unreachable, Action.RETRY, transient)


def _redirected_to(response: requests.Response) -> str:
    """The host that a redirect leads to, for the error table and the internal message; the rest may hold secrets."""
    with suppress(ValueError):
        host = urlsplit(response.headers.get("Location", "")).hostname
        if host and 300 <= response.status_code < 400:
            return f" (redirected to {host})"
    return ""


def _without_queries(text: str) -> str:
    """An error's text without what was asked for: queries carry names and addresses of people."""
    return re.sub(r"\?[^\s'\")]+", "?...", text)
