"""Requests to a vendor. Each stream holds a `Client`, and all clients of a sync share a `Connection`."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from urllib3 import Timeout, exceptions

from source_kit import activity
from source_kit.convert import utc_now
from source_kit.errors import OPTION, Action, ErrorRule, ErrorTable, shorten, system_error
from source_kit.http.body import CONNECT_TIMEOUT_SECONDS, Response, Session, fault_of, is_broken, is_network_error
from source_kit.http.retry import RETRY_POLICY, Attempts, RetryPolicy, http_date
from source_kit.http.rows import Decode, RowReader
from source_kit.json_text import BadDocument, UnexpectedShape, loads, require_room
from source_kit.limits import JSON_BYTES, TooLarge, megabytes

_ERROR_BODY_BYTES = 64 * 1024
_DEBUG_CHARACTERS = 2_000
#: Attempts at each request after a slice that failed alone. In an outage, the full number for each slice takes hours.
_FEW_TRIES = 2
#: How often a body is requested that breaks while its rows are read
BODY_TRIES = 3
#: Ignore a clock difference below this: syncs read a longer time again.
CLOCK_TOLERANCE = timedelta(minutes=1)
#: Ignore a `Date` header this far behind our clock; some proxies report 1970.
CLOCK_CREDIBLE = timedelta(days=30)


class Answer:
    """A complete answer. Its body can be read once, with `rows`, `json` or `content`."""

    def __init__(self, response: Response, what: str, table: ErrorTable, stream: str = "") -> None:
        self.status = response.status
        self.headers = response.headers
        self.envelope: dict[str, Any] = {}
        self._spool = response.spool
        self._what = what
        self._table = table
        self._stream = stream

    def rows(self, key: str | None, decode: Decode = orjson.loads) -> Iterator[list[Any]]:
        """The rows of the document's array `key`, in lists of bounded size. With None the document is the array.

        Rows are dicts, or what `decode` makes of them (see `RowReader`). Afterwards `envelope` holds the other members
        of the document.
        """
        reader = RowReader(self._spool, key, decode=decode)
        with self._reading():
            yield from reader
        self.envelope = reader.envelope

    def json(self) -> Any:
        """The whole document."""
        with self._reading():
            text = self._spool.read(JSON_BYTES + 1)
            require_room(text, "a document")
            return loads(text)

    def content(self, limit: int) -> bytes:
        """The body as it is. More than `limit` bytes are an error."""
        with self._reading():
            if self._spool.seek(0, 2) > limit:
                raise TooLarge(f"an answer of more than {megabytes(limit)}")
            self._spool.seek(0)
            return self._spool.read()  # not `read(limit)`, which would take so much memory first

    def close(self) -> None:
        """Drops a body that is not read."""
        self._spool.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._spool:
                yield
        except BadDocument as error:
            raise BadAnswer(
                message=self._table.misshapen if isinstance(error, UnexpectedShape) else self._table.not_json,
                internal_message=f"{self._what}: status {self.status}: {shorten(str(error))}",
                failure_type=FailureType.transient_error,
            ) from error
        except TooLarge as error:
            raise too_large(self._stream, self._table.vendor, self._what, error) from error


class BadAnswer(AirbyteTracedException):
    """A complete answer that is not JSON of the expected shape."""


def too_large(stream: str, vendor: str, what: str, error: TooLarge) -> AirbyteTracedException:
    """The error for an answer beyond a limit. It is not retried."""
    return system_error(
        f"Stream {stream}: {vendor} sent {error}. The connector does not take in so much at once, and stopped the "
        f"stream there, so that nothing is skipped for ever. Make it smaller at {vendor}, or leave the stream out, "
        "and report it.",
        f"{what}: {error}",
    )


class Connection:
    """What all clients of one sync share: the vendor's address and clock, the session, the headers.

    `connections` is the number of requests at the same time. `option` is the one that names the server, for errors.
    `before_request` is called before every attempt, e.g. to wait for a request budget. `clock_matters` is False for a
    server whose streams keep no time in their states: then a difference of the clocks is nothing to warn of.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        before_request: Callable[[], None] = lambda: None,
        *,
        connections: int,
        option: str = OPTION,
        clock_matters: bool = True,
    ) -> None:
        self.base_url = base_url
        self.session = Session(base_url, connections, option)
        self.headers = headers
        self.before_request = before_request
        self.clock_matters = clock_matters
        #: How far this machine's clock is ahead of the vendor's; zero if they agree or if it is not known
        self.clock_ahead = timedelta(0)
        self.first_answer_at: datetime | None = None  # by the vendor's clock, by ours while that is not known
        self._clock_known = False
        self._lock = threading.Lock()

    def cursor_ceiling(self, sync_start: datetime) -> datetime:
        """The latest instant to which a cursor that follows the clock may move. Call it after the first answer.

        It is `sync_start` by the vendor's clock, if this machine's clock is clearly ahead. It is the time of the first
        answer, if this machine's clock was set back since. A state in the vendor's future would hide what happens until
        then.
        """
        ceiling, first = sync_start - self.clock_ahead, self.first_answer_at
        return ceiling if first is None or ceiling - first <= CLOCK_TOLERANCE else first

    def note_clock(self, date: str, sent: datetime, vendor: str, logger: logging.Logger) -> None:
        """Compares the clocks by the `Date` header of the first answer that has a credible one."""
        with self._lock:
            if self._clock_known:
                return
            at = http_date(date)
            self._clock_known = at is not None and sent - at <= CLOCK_CREDIBLE
            if at is None or not self._clock_known:
                at = sent
            self.first_answer_at = min(at, self.first_answer_at or at)
            ahead = sent - at
            if ahead <= CLOCK_TOLERANCE:
                return
            self.clock_ahead = ahead
        if not self.clock_matters:
            return
        logger.warning(
            f"This machine's clock is {ahead.total_seconds():.0f} s ahead of {vendor}'s. States follow {vendor}'s "
            "clock. Correct this machine's clock."
        )


class Client:
    """The requests of one stream.

    `name` is the stream's, for log lines and errors. `read_timeout` is in seconds, for the wait until an answer begins
    and again until it ends. It and `retry_policy` may be changed between requests: `check` sets shorter ones.
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
        self.failed_in_a_row = 0  # slices since one was last read to its end
        self.logger = logging.getLogger(f"airbyte.streams.{name}")

    def policy(self) -> RetryPolicy:
        """The retry policy of the next request. While slices fail in a row, it has few tries."""
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
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Sends one request, and retries it as the error table says.

        `path` is appended to the base URL and must be percent-encoded. `headers` are sent beside the connection's. A
        status in `accept` is returned like a 200. Raises AirbyteTracedException with the table's sentence.
        """
        what = f"{method} {urlsplit(path).path}"
        attempts = Attempts(self.policy(), what, self.logger)
        while True:
            self.connection.before_request()
            sent = utc_now()
            with activity.current().doing(f"{self.name}: {what}"):
                response = self._send(method, path, headers or {}, params=params, json=json)
            if isinstance(response, Exception):
                rule = self.transport_rule(method, response)
                attempts.again_or_raise(rule, None, _without_queries(repr(response)))
                continue
            status = response.status
            self.logger.debug("%s: status %d", what, status)
            if (200 <= status < 300 or status in accept) and not (status < 300 and is_broken(response)):
                self.connection.note_clock(response.headers.get("Date", ""), sent, self.error_table.vendor, self.logger)
                return Answer(response, what, self.error_table, self.name)
            with response.spool as spool:
                body = spool.read(_ERROR_BODY_BYTES).decode("utf-8", "replace")
            if status < 300:
                rule = ErrorRule(status, self.error_table.not_json, Action.RETRY, FailureType.transient_error)
            else:
                redirected = _redirected_to(response)
                rule = self.error_table.rule_for(status, body + redirected)
                body = redirected or body  # the body of a redirect repeats its address, which may hold secrets
            attempts.again_or_raise(rule, response, body)

    def rows(
        self, ask: Callable[[], Answer], key: str | None, restart: Callable[[], None], decode: Decode = orjson.loads
    ) -> Generator[list[Any], None, Answer]:
        """The rows of an answer, as `Answer.rows` gives them.

        If its body breaks while they are read, it is requested again.

        `ask` sends the request. `restart` is called before each repetition: then `ask` brings all rows again, or those
        that are left, as it wants. Returns the answer, whose `envelope` is complete.
        """
        for tries_left in reversed(range(BODY_TRIES)):
            answer = ask()
            try:
                yield from answer.rows(key, decode)
                break
            except AirbyteTracedException as error:
                if not tries_left or error.failure_type is not FailureType.transient_error:
                    raise
                self.logger.info(f"Stream {self.name}: a body broke in the middle and is requested again")
                restart()
        return answer

    def close(self) -> None:
        """Closes the connections, which other clients may share."""
        self.connection.session.close()

    def _send(self, method: str, path: str, headers: Mapping[str, str], **request: Any) -> Response | Exception:
        if self.logger.isEnabledFor(logging.DEBUG):
            self.logger.debug(shorten(f"{method} {self.connection.base_url}{path} {request}", _DEBUG_CHARACTERS))
        timeout = Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=self.read_timeout)
        try:
            sent = {**self.connection.headers, **headers}
            return self.connection.session.send(method, path, sent, timeout, **request)
        except (OSError, exceptions.HTTPError) as error:  # urllib3 wraps most OSErrors
            return error
        except TooLarge as error:
            raise too_large(self.name, self.error_table.vendor, f"{method} {urlsplit(path).path}", error) from error

    def transport_rule(self, method: str, error: Exception) -> ErrorRule:
        """The error rule for a request without an answer."""
        table = self.error_table
        answered = self.connection.first_answer_at is not None
        fault = fault_of(error, self.connection.base_url, table.option, answered=answered)
        if fault is not None:
            return ErrorRule(None, fault.message, Action.RETRY if fault.heals else Action.FAIL, fault.failure_type)
        if isinstance(error, exceptions.LocationValueError):
            return ErrorRule(None, table.bad_address, failure_type=FailureType.config_error)
        if not is_network_error(error):
            return ErrorRule(None, table.unknown)
        late = isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError)
        message = table.timeout if late else table.unreachable
        return ErrorRule(None, message, Action.RETRY, FailureType.transient_error)


def _redirected_to(response: Response) -> str:
    """The host of a redirect, for the error table and the internal message. The rest of the address may be secret."""
    with suppress(ValueError):
        host = urlsplit(response.headers.get("Location", "")).hostname
        if host and 300 <= response.status < 400:
            return f" (redirected to {host})"
    return ""


def _without_queries(text: str) -> str:
    """An error's text without the queries of URLs, which hold names and addresses of people."""
    return re.sub(r"\?[^\s'\")]+", "?...", text)
