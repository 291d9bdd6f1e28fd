"""Streams over HTTP: one call with timeouts, retries and an error table; an answer that is read row by row."""

from __future__ import annotations

import email.utils
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.sources.streams.http.error_handlers import ErrorHandler
from airbyte_cdk.sources.streams.http.error_handlers.response_models import ErrorResolution, ResponseAction
from airbyte_cdk.sources.streams.http.http_client import HttpClient
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from urllib3.exceptions import HTTPError, LocationValueError

from source_kit import activity
from source_kit.convert import utc_now
from source_kit.errors import Action, ErrorRule, ErrorTable, RetryPolicy, shorten
from source_kit.http.body import CONNECT_TIMEOUT_SECONDS, SpooledResponse
from source_kit.http.faults import fault_of, is_network_error
from source_kit.http.rows import RowReader
from source_kit.json_text import BadDocument, UnexpectedShape, loads, require_room
from source_kit.limits import JSON_BYTES, TooLarge
from source_kit.stream import BatchStream

_ERROR_BODY_BYTES = 64 * 1024
#: Attempts at a request of the slice after one that failed alone: all of them at each slice would take hours.
FEW_TRIES = 2
#: Two clocks that differ by less agree: what a sync reads again covers more than that.
CLOCK_TOLERANCE = timedelta(minutes=1)
#: Of addresses that are none, as requests and urllib3 find them
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    LocationValueError,
)
#: A clock that is further behind ours than this is none to go by: an appliance in between lives in 1970.
CLOCK_CREDIBLE = timedelta(days=30)


class Answer:
    """An answer that arrived whole. Its body is read once, by `rows` or by `json`."""

    def __init__(self, response: SpooledResponse, what: str, table: ErrorTable, stream: str = "") -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.envelope: dict[str, Any] = {}
        self._spool = response.spool
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


class _TransportError(Exception):
    """Carries a RequestException past the CDK's own retries, which know neither our limits nor our sentences."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _NoInterpretation(ErrorHandler):
    """Lets every answer pass: `BatchHttpStream.call` interprets it by the connector's table."""

    @property
    def max_retries(self) -> int | None:
        return 0

    @property
    def max_time(self) -> int | None:
        return 0

    def interpret_response(self, response: requests.Response | Exception | None) -> ErrorResolution:
        if isinstance(response, Exception):
            raise _TransportError(response)
        return ErrorResolution(ResponseAction.SUCCESS)


class BatchHttpStream(BatchStream, HttpStream):
    """A `BatchStream` whose slices are read over HTTP.

    A connector's base class says where (`url_base`), with which headers (`auth_headers`), by which `error_table`.
    """

    error_table: ErrorTable
    #: How patient requests are; `check` sets a stream's own to CHECK_RETRY_POLICY
    retry_policy: RetryPolicy = RetryPolicy()
    #: Seconds until an answer begins, and again until it has ended
    read_timeout: float = 60.0

    def __init__(self, session: requests.Session) -> None:
        super().__init__()
        self._session = session
        self._vendor_began: datetime | None = None
        #: How much this machine's clock is ahead of the vendor's, by the first answer; zero where they agree
        self.clock_ahead = timedelta(0)
        self._http_client = HttpClient(
            name=self.name,
            logger=self.logger,
            error_handler=_NoInterpretation(),
            session=session,
            disable_retries=True,
        )

    @property
    def auth_headers(self) -> Mapping[str, str]:
        """Headers of every request."""
        return {}

    def close(self) -> None:
        """Closes the connections, also those of the streams that share the session."""
        self._session.close()

    @property
    def patience(self) -> RetryPolicy:
        """The retry policy of the next request: with few tries while slice after slice fails, as in an outage."""
        if not self.failed_in_a_row:
            return self.retry_policy
        return replace(self.retry_policy, tries=min(FEW_TRIES, self.retry_policy.tries))

    def before_request(self) -> None:
        """Called before every attempt: the place to wait for a request budget."""

    def began(self, sync_start: datetime) -> datetime:
        """When this sync began, for a state that moves by the clock; call it behind the first answer.

        Where this machine's clock is ahead of the vendor's, a state moved to `sync_start` would hide what happens until
        then. So it is the time that the vendor gave its first answer, if that lies clearly before.
        """
        if self._vendor_began is None or sync_start - self._vendor_began <= CLOCK_TOLERANCE:
            return sync_start
        return self._vendor_began

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

        `path` is joined to `url_base` and must be percent-encoded. A status in `accept` is handed back like a 200.
        Raises AirbyteTracedException with the table's sentence.
        """
        what = f"{method} {urlsplit(path).path}"
        attempt = _Attempts(self.patience, what, self.logger)
        while True:
            self.before_request()
            sent = utc_now()
            with activity.current().doing(f"{self.name}: {what}"):
                response = self._send(method, path, params, json)
            if isinstance(response, Exception):
                rule = self._transport_rule(response)
                attempt.again_or_raise(rule, None, _without_queries(repr(response)))
                continue
            status = response.status_code
            if (200 <= status < 300 or status in accept) and not (status < 300 and _cut_or_no_json(response)):
                self._look_at_clock(response, sent)
                return Answer(response, what, self.error_table, self.name)
            with response.spool as spool:
                body = spool.read(_ERROR_BODY_BYTES).decode("utf-8", "replace")
            if status < 300:
                rule = ErrorRule(status, self.error_table.not_json, Action.RETRY, FailureType.transient_error)
            else:
                rule = self.error_table.rule_for(status, body := body + _redirected_to(response))
            attempt.again_or_raise(rule, response, body)

    def _send(
        self, method: str, path: str, params: Mapping[str, Any] | None, json: Mapping[str, Any] | None
    ) -> SpooledResponse | Exception:
        try:
            _, response = self._http_client.send_request(
                method,
                self.url_base + path,
                request_kwargs={
                    "timeout": (CONNECT_TIMEOUT_SECONDS, self.read_timeout),
                    "stream": True,
                    "allow_redirects": False,
                },
                headers=dict(self.auth_headers),
                params=dict(params or {}),
                json=dict(json) if json else None,
            )
        except _TransportError as error:
            return error.cause
        except (OSError, HTTPError) as error:  # what is found before anything is sent, and what requests lets pass
            return error
        except TooLarge as error:
            raise too_large(self.name, self.error_table.vendor, f"{method} {urlsplit(path).path}", error) from error
        assert isinstance(response, SpooledResponse)  # noqa: S101 - the session's adapter makes them
        return response

    def _look_at_clock(self, response: requests.Response, sent: datetime) -> None:
        """Keeps the vendor's time of the first answer. It lies behind the sending, unless our clock is ahead."""
        if self._vendor_began is not None:
            return
        told = _http_date(response.headers.get("Date", "")) or sent
        ahead = sent - told
        self._vendor_began = sent if ahead > CLOCK_CREDIBLE else told
        if CLOCK_TOLERANCE < ahead <= CLOCK_CREDIBLE:
            self.clock_ahead = ahead
            self.logger.warning(
                f"Stream {self.name}: this machine's clock is {ahead.total_seconds():.0f} s ahead of "
                f"{self.error_table.vendor}'s. The state moves by theirs; set the clock right."
            )

    def _transport_rule(self, error: Exception) -> ErrorRule:
        """What to make of an error without an answer."""
        table, config, transient = self.error_table, FailureType.config_error, FailureType.transient_error
        fault = fault_of(error, self.url_base, answered=self._vendor_began is not None)
        if fault is not None:
            action, kind = (Action.RETRY, transient) if fault.heals else (Action.FAIL, config)
            return ErrorRule(None, fault.message, action, kind)
        if isinstance(error, _NO_ADDRESS):
            return ErrorRule(None, table.bad_address, Action.FAIL, config)
        if not is_network_error(error):
            return ErrorRule(None, table.unknown, Action.FAIL, FailureType.system_error)
        timed_out = isinstance(error, requests.exceptions.Timeout)
        return ErrorRule(None, table.timeout if timed_out else table.unreachable, Action.RETRY, transient)

    # What HttpStream asks for and this way of reading does not use.

    def path(self, **kwargs: Any) -> str:
        """Paths are arguments of `call`."""
        return ""

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        """Pages are followed in `read_slice`."""
        return None

    def parse_response(self, response: requests.Response, **kwargs: Any) -> Iterable[Mapping[str, Any]]:
        """Rows are read from an `Answer`."""
        return ()


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


def _cut_or_no_json(response: SpooledResponse) -> bool:
    """Whether a body cannot be complete JSON: it does not begin and end like an object, an array or null."""
    spool = response.spool
    first = spool.read(256).lstrip()[:1]
    end = spool.seek(0, 2)
    spool.seek(max(0, end - 256))
    last = spool.read().rstrip()[-1:]
    spool.seek(0)
    return first + last not in (b"{}", b"[]", b"nl")


class _Attempts:
    """Counts the attempts at one request and waits between them."""

    def __init__(self, policy: RetryPolicy, what: str, logger: logging.Logger) -> None:
        self._policy = policy
        self._what = what
        self._logger = logger
        self._failed = 0
        self._throttled = 0
        self._waited = 0.0

    def again_or_raise(self, rule: ErrorRule, response: requests.Response | None, detail: str) -> None:
        """Waits for the next attempt, or raises the rule's error when there is none."""
        if rule.action is Action.THROTTLED:
            seconds = self._throttled_wait(response)
        elif rule.action is Action.RETRY:
            seconds = self._retry_wait(response)
        else:
            seconds = None
        status = "no answer" if response is None else f"status {response.status_code}"
        if seconds is None:
            raise rule.raises(
                message=rule.message,
                internal_message=f"{self._what}: {status}: {shorten(detail)}",
                failure_type=rule.failure_type,
            )
        self._logger.info(f"{self._what}: {status}; trying again in {seconds:.1f} s ({shorten(detail, 120)})")
        activity.current().wait(seconds, f"{self._what}: {status}")

    def _retry_wait(self, response: requests.Response | None) -> float | None:
        self._failed += 1
        if self._failed >= self._policy.tries:
            return None
        seconds = self._policy.backoff(self._failed)
        asked = retry_after(response) if response is not None else None
        if asked is not None and asked > seconds and self._waited + asked <= self._policy.throttled_seconds:
            self._waited += asked
            return asked
        return seconds

    def _throttled_wait(self, response: requests.Response | None) -> float | None:
        self._throttled += 1
        seconds = retry_after(response) if response is not None else None
        if not seconds:  # a server that asks for no wait at all must not be asked in a tight loop
            seconds = self._policy.backoff(self._throttled + 1)
        self._waited += seconds
        return None if self._waited > self._policy.throttled_seconds else seconds


def retry_after(response: requests.Response) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as an HTTP date; None where it is absent or unreadable."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    at = _http_date(text)
    return None if at is None else max(0.0, (at - utc_now()).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else None
