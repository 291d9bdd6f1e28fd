"""What every stream of Customer.io has in common: where it is asked, how its list is walked, how its cursor filters."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, NoReturn

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import RetryPolicy
from source_kit.http.client import Answer, BadAnswer, BatchHttpStream
from source_kit.stream import Record

from source_customerio.client import (
    PATIENCE,
    PATIENCE_LEFT,
    READ_TIMEOUT,
    Client,
    Throttled,
    error_table,
)
from source_customerio.paging import End, PageTokens


class CustomerIoStream(BatchHttpStream, ABC):
    """A stream of the App API.

    `endpoint` is the path of the list (below `/v1`), `envelope` the member of the answer that holds its rows. Names of
    streams are the class names in snake case; schemas are the files of those names.
    """

    #: Columns of the primary key
    key: ClassVar[tuple[str, ...]] = ("id",)
    endpoint: ClassVar[str]
    envelope: ClassVar[str]
    end: ClassVar[End] = End.TOKEN
    params: ClassVar[Mapping[str, str]] = {}
    #: Personal data, or a request for every parent: left out of the suggested streams
    opt_in: ClassVar[bool] = False

    retry_policy: RetryPolicy = PATIENCE
    read_timeout = READ_TIMEOUT

    def __init__(self, client: Client) -> None:
        self.client = client
        self.config = client.config
        self.error_table = error_table(self.permission, client.config)
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
        policy = super().patience
        if not self.client.throttled.is_set():
            return policy
        return replace(policy, throttled_seconds=min(policy.throttled_seconds, PATIENCE_LEFT))

    def probe(self) -> None:
        """The cheapest request that needs this stream's permission. Raises what a sync would raise on its answer."""
        self.accept(self.call(self.endpoint, params={**self.params, "limit": "1"}))

    def accept(self, answer: Answer) -> None:
        """Read a list to its end for nothing but its shape."""
        for _ in self.rows(answer):
            pass

    def rows(self, answer: Answer, envelope: str | None = None) -> Iterator[list[Record]]:
        """The rows of one answer; a list that is null is an empty one.

        Raises a BadAnswer where a row is no object, and where the list is empty while another is not: then the rows
        have moved.
        """
        found = False
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
            found = True
            yield rows
        others = [name for name, value in answer.envelope.items() if isinstance(value, list) and value]
        if others and not found:
            self.misshapen(f"{envelope or self.envelope!r} is empty beside {', '.join(sorted(others))}")

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
        """The rows of a list, in lists of bounded size, as they came.

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

    def documents(self, path: str, key: str, params: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """The answers of a list whose rows need another reading than `pages`, each as a whole, to the last page.

        Raises a BadAnswer for one without the member `key`.
        """
        tokens = PageTokens(End.TOKEN, f"{self.name} ({path})")
        query = dict(params or {})
        while True:
            document = self.call(path, params=query).json()
            if not isinstance(document, dict) or key not in document:
                self.misshapen(f"GET {path}: the answer has no {key!r}")
            yield document
            token = tokens.following(document.get("next"), len(document))
            if token is None:
                return
            query["start"] = token

    def document(self, path: str, key: str | None, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """An answer that is no list, as a whole. Raises a BadAnswer for one without the member `key`.

        With None for `key` any object will do. An answer that goes on behind a `next` is none that we know to read.
        """
        document = self.call(path, params=params).json()
        if not isinstance(document, dict) or (key and key not in document):
            self.misshapen(f"GET {path}: the answer has no {key!r}" if key else f"GET {path}: no object")
        if document.get("next"):
            self.misshapen(f"GET {path}: the answer has a next page")
        return document

    def misshapen(self, detail: str) -> NoReturn:
        """Raises the error for JSON that does not hold what was asked for; `detail` is for the internal message."""
        raise BadAnswer(
            message=self.error_table.misshapen,
            internal_message=f"{self.name}: {detail}",
            failure_type=FailureType.transient_error,
        )

    def bug_of_theirs(self, message: str, detail: str) -> AirbyteTracedException:
        """An error for an answer that contradicts the API's own documentation."""
        return AirbyteTracedException(
            message=message, internal_message=f"{self.name}: {detail}", failure_type=FailureType.system_error
        )


def integer_or_same(value: Any) -> Any:
    """Digits as a number; anything else, null included, as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
