"""What every stream of Customer.io has in common: where it is asked, how its list is walked, how its cursor filters."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import RetryPolicy, config_error
from source_kit.http import Answer, BadAnswer, BatchHttpStream
from source_kit.items import Record

from source_customerio.client import (
    PATIENCE,
    PATIENCE_LEFT,
    READ_TIMEOUT,
    Client,
    Forbidden,
    NotFound,
    Throttled,
    Unauthorized,
    error_table,
)
from source_customerio.paging import End, PageTokens

#: Rows younger than the saved cursor less this are emitted again. An edit that happens while a list is paged may be
#: missed in that sync; its time lies behind the sync's start, which is as far as a cursor ever moves. Seconds.
LOOKBACK = 3600


class CustomerIoStream(BatchHttpStream, ABC):
    """A stream of the App API.

    `endpoint` is the path of the list (below `/v1`), `envelope` the member of the answer that holds its rows. Names of
    streams are the class names in snake case; schemas are the files of those names.
    """

    #: Columns of the primary key
    key: ClassVar[tuple[str, ...]] = ("id",)
    endpoint: ClassVar[str]
    envelope: ClassVar[str]
    end: ClassVar[End] = End.ONE_PAGE
    params: ClassVar[Mapping[str, str]] = {}
    #: Personal data, or a request for every parent: left out of the suggested streams
    opt_in: ClassVar[bool] = False
    #: What `check` takes for a refusal of this stream alone, once the server has accepted the key
    refusals: ClassVar[tuple[type[AirbyteTracedException], ...]] = (Unauthorized, Forbidden, NotFound, BadAnswer)

    retry_policy: RetryPolicy = PATIENCE
    read_timeout = READ_TIMEOUT

    def __init__(self, client: Client) -> None:
        self.client = client
        self.config = client.config
        self.error_table = error_table(self.permission)
        super().__init__(client.session)

    @property
    def primary_key(self) -> str | list[str]:
        """The key as the CDK wants it."""
        return self.key[0] if len(self.key) == 1 else list(self.key)

    @property
    def url_base(self) -> str:
        """The region's host and the version."""
        return f"{self.config.base_url}/"

    @property
    def auth_headers(self) -> Mapping[str, str]:
        """The App API key."""
        return self.client.headers

    def before_request(self) -> None:
        """Every attempt counts against the workspace's budget, also one that repeats."""
        self.client.budget.acquire()

    def call(self, path: str, **request: Any) -> Answer:
        """One request, which tells the others whether the server still limits the rate."""
        try:
            answer = super().call(path, **request)
        except Throttled:
            self.client.throttled.set()
            raise
        self.client.throttled.clear()
        return answer

    @property
    def patience(self) -> RetryPolicy:
        """A request is throttled for a short time only where another one's patience was used up before."""
        if not self.client.throttled.is_set():
            return self.retry_policy
        left = min(self.retry_policy.throttled_seconds, PATIENCE_LEFT)
        return replace(self.retry_policy, throttled_seconds=left)

    def probe(self) -> None:
        """The cheapest request that needs this stream's permission. Raises what a sync would raise on its answer."""
        self.accept(self.call(self.endpoint, params={**self.params, "limit": "1"}))

    def accept(self, answer: Answer) -> None:
        """Read a list to its end for nothing but its shape."""
        for _ in self.rows(answer):
            pass

    def rows(self, answer: Answer, envelope: str | None = None) -> Iterator[list[Record]]:
        """The rows of one answer. Raises a system_error where one is no object."""
        for rows in answer.rows(envelope or self.envelope):
            if not set(map(type, rows)) <= {dict}:
                message = (
                    f"Customer.io sent a list of {self.name} in which a row is no object. The stream stopped there, so "
                    "that nothing is skipped for ever: report it with the internal message."
                )
                kinds = ", ".join(sorted({type(row).__name__ for row in rows}))
                raise BadAnswer(
                    message=message, internal_message=f"{self.name}: {kinds}", failure_type=FailureType.system_error
                )
            yield rows

    @cached_property
    def key_types(self) -> Mapping[str, type]:
        """Columns of the primary key with the one type that the schema gives them, besides null."""
        columns = self.get_json_schema()["properties"]
        return {name: int if "integer" in columns[name]["type"] else str for name in self.key}

    def shape(self, rows: list[Record]) -> list[Record]:
        """Rows as they are emitted: keys have their types, so that they join whatever the vendor makes of a number."""
        for column, kind in self.key_types.items():
            for row in rows:
                value = row.get(column)
                if value.__class__ is not kind and value is not None:
                    row[column] = integer_or_same(value) if kind is int else str(value)
        return rows

    def pages(
        self,
        path: str,
        envelope: str | None = None,
        *,
        end: End | None = None,
        params: Mapping[str, str] | None = None,
        method: str = "GET",
        json: Mapping[str, Any] | None = None,
        whole: bool = False,
    ) -> Iterator[list[Record]]:
        """The rows of a list, in lists of bounded size, as they came. A list that is null is an empty one.

        The arguments default to the stream's own facts; with `whole` each list is a page, however large, and an empty
        page is left out. Raises a system_error for a page token that comes back.
        """
        tokens = PageTokens(end or self.end, f"{self.name} ({path})")
        query = dict(self.params if params is None else params)
        while True:
            answer = self.call(path, method=method, params=query, json=json)
            count, page = 0, []
            for rows in self.rows(answer, envelope):
                count += len(rows)
                if whole:
                    page += rows
                else:
                    yield rows
            if page:
                yield page
            token = tokens.following(answer.envelope.get("next"), count)
            if token is None:
                return
            query["start"] = token

    def document(self, path: str, key: str | None, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """An answer that is no list of rows, as a whole. Raises a transient_error for one without the member `key`.

        With None for `key` any object will do.
        """
        document = self.call(path, params=params).json()
        if not isinstance(document, dict) or (key and key not in document):
            raise AirbyteTracedException(
                message=self.error_table.misshapen,
                internal_message=f"GET {path}: the answer has no {key!r}" if key else f"GET {path}: no object",
                failure_type=FailureType.transient_error,
            )
        return document

    def bug_of_theirs(self, message: str, detail: str) -> AirbyteTracedException:
        """An error for an answer that contradicts the API's own documentation."""
        return AirbyteTracedException(
            message=message, internal_message=f"{self.name}: {detail}", failure_type=FailureType.system_error
        )


class Cursor:
    """The one column of times that a stream filters by, in epoch seconds."""

    def __init__(self, stream: CustomerIoStream, field: str, sync_start: datetime) -> None:
        self.field = field
        self.sync_start = int(sync_start.timestamp())
        self._began = sync_start
        self._stream = stream
        self._get: Callable[[Record], Any] = itemgetter(field)
        self._start = stream.config.start or 0

    def saved(self, state: Mapping[str, Any], name: str | None = None) -> int | None:
        """A saved value of the cursor, None where there is none. Raises a config_error for one that is no time."""
        value = state.get(name or self.field)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)  # as Airbyte's own connector writes it
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            message = (
                f"The saved state of {self._stream.name} cannot be read: {name or self.field!r} must be a number of "
                "seconds. Reset the stream, so that it is read from the beginning, or restore its last good state."
            )
            raise config_error(message, f"{self._stream.name}: state value of type {type(value).__name__}")
        return value

    def floor(self, saved: int | None) -> int:
        """The oldest second to emit, given the saved cursor."""
        return self._start if saved is None else max(self._start, saved - LOOKBACK)

    def split(self, rows: list[Record], floor: int) -> tuple[list[Record], int]:
        """The rows that are not older than `floor`, and the newest cursor value of all.

        Raises a system_error for a row without its cursor: one that is left out of the comparison would be lost.
        """
        get = self._get
        try:
            oldest, newest = min(map(get, rows)), max(map(get, rows))
            whole = oldest.__class__ is int and newest.__class__ is int
        except (KeyError, TypeError):
            whole = False
        if not whole:
            self._fail(rows)
        return (rows if oldest >= floor else [row for row in rows if get(row) >= floor]), newest

    def advanced(self, saved: int | None, newest: int | None) -> int:
        """The cursor to save: never behind the last one, never ahead of this sync's start.

        A time in the future, which customers may set, would otherwise hide everything until then.
        """
        began = int(self._stream.began(self._began).timestamp())
        reached = min(began, self._start if newest is None else newest)
        return reached if saved is None else max(saved, reached)

    def _fail(self, rows: list[Record]) -> None:
        row = next((row for row in rows if type(row.get(self.field)) is not int), rows[0])
        where = ", ".join(f"{name} {row.get(name)!r}" for name in self._stream.key if name in row)
        message = (
            f"Customer.io sent a row of {self._stream.name} without a usable {self.field!r}, by which the stream is "
            "synced. The stream stopped there, so that nothing is skipped for ever: report it with the internal "
            "message, which names the row."
        )
        raise self._stream.bug_of_theirs(message, f"{where}: {self.field} is {row.get(self.field)!r}")


def integer_or_same(value: Any) -> Any:
    """Digits as a number; anything else, null included, as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
