"""Requests to Customer.io: the key, the workspace's request budget, retries, and lists that are read page by page.

Every list continues in the same way: `next` of an answer is `start` of the following request. That the vendor declares
no `next` for a list proves nothing, since it declares none for deliveries either, which have it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import orjson
from airbyte_cdk.models import FailureType
from source_kit.errors import Throttled
from source_kit.http.client import Answer, BadAnswer, Client, Connection
from source_kit.http.retry import RetryPolicy
from source_kit.http.rows import Decode
from source_kit.raw_rows import RawRows, joined

from source_customerio.budget import RequestBudget
from source_customerio.config import Config
from source_customerio.errors import Unauthorized, closed_to_the_key, contradiction, error_table
from source_customerio.found import FoundObjects, FoundPeople
from source_customerio.listed import Listed

#: The one list that is answered without a key (certain: vendor documentation), so that it proves nothing about one
KEYLESS = "info/ip_addresses"
#: Seconds. Answers come in half a second (observed by third parties); a page of 30,000 members takes longer.
READ_TIMEOUT = 60.0
#: A key that other programs use too is throttled for a second at a time; ten minutes of that in one request mean that
#: the limit does not clear during this sync, as a daily quota does not.
RETRY_POLICY = RetryPolicy(throttled_seconds=600.0)
#: Once a request has given up on the limit, the others wait this long only: ten minutes for each stream would be hours.
THROTTLED_AGAIN_SECONDS = 5.0


class PageTokens:
    """The page tokens of one list while it is read; `query` holds the parameters of the next request.

    A token is opaque and goes back byte for byte; an altered one is answered with 200 and wrong rows. Only an empty,
    null or absent one ends a list: a short page does not, since the server may cap pages silently, nor does an empty
    one, which deliveries and memberships may have in the middle. With `empty_page_ends` it does: one-time sends and
    senders give a token after their last row (certain: recorded answers).
    """

    def __init__(self, what: str, params: Mapping[str, str] | None = None, empty_page_ends: bool = False) -> None:
        """`what` names the list in the error that a repeated token raises; `params` are those of every request."""
        self.query = dict(params or {})
        self._what = what
        self._empty_page_ends = empty_page_ends
        self._seen: set[str] = set()

    def advance(self, token: object, rows: int) -> bool:
        """Whether there is a next page, which `query` then requests.

        `token` is what came as `next`, `rows` how many rows came with it. Raises a system_error for a token that was
        sent before: the list would never end.
        """
        if token is None or token == "" or (self._empty_page_ends and rows == 0):
            return False
        self.require_new(str(token))
        self.query["start"] = str(token)
        return True

    def require_new(self, text: str) -> None:
        """Raises a system_error for a token, or another mark of a page, that came before."""
        if text in self._seen:
            raise contradiction(
                self._what,
                f"Customer.io gave the same page of {self._what} twice, so the list cannot be read to its end. Run the "
                "sync again; if it happens again, report it to Customer.io's support.",
                f"page token repeated after {len(self._seen)} pages",
            )
        self._seen.add(text)


class WorkspaceConnection(Connection):
    """What the streams of one sync share: configuration, session, and the workspace's request budget.

    `chosen` are the names of the streams that the sync reads. `listed` knows the objects of the lists that were read,
    `people` and `objects` what the searches for these found. `throttled` is set from the moment when a request gave up
    on status 429 until another one is answered. `accepted` is set once a request that needs a key was answered.
    """

    def __init__(self, config: Config, chosen: Collection[str] = ()) -> None:
        headers = {"Authorization": f"Bearer {config.app_api_key}", "Accept": "application/json"}
        budget = RequestBudget(config.requests_per_second)
        super().__init__(f"{config.base_url}/", headers, budget.acquire, connections=config.num_workers)
        self.config = config
        self.chosen = frozenset(chosen)
        self.listed = Listed()
        self.people = FoundPeople()
        self.objects = FoundObjects()
        self.throttled = threading.Event()
        self.accepted = threading.Event()


class CustomerIoClient(Client):
    """The requests and lists of one stream. Paths lie below `/v1/`; an envelope is the member that holds the rows."""

    connection: WorkspaceConnection

    def __init__(self, name: str, permission: str, connection: WorkspaceConnection) -> None:
        super().__init__(name, connection, error_table(permission, connection.config), RETRY_POLICY, READ_TIMEOUT)
        self.permission = permission

    def call(self, path: str, **request: Any) -> Answer:
        """As the base, and notes whether the server accepts the key and still limits the rate."""
        try:
            answer = super().call(path, **request)
        except Throttled:
            self.connection.throttled.set()
            raise
        except Unauthorized as error:
            if self.connection.accepted.is_set():
                error.message = closed_to_the_key(self.permission)
            raise
        self.connection.throttled.clear()
        if path != KEYLESS:
            self.connection.accepted.set()
        return answer

    def policy(self) -> RetryPolicy:
        """As the base, with a short wait for a limit on which another request has given up."""
        policy = super().policy()
        if not self.connection.throttled.is_set():
            return policy
        return replace(policy, throttled_seconds=min(policy.throttled_seconds, THROTTLED_AGAIN_SECONDS))

    def probe(self, path: str, envelope: str, **request: Any) -> None:
        """Requests one row of a list. Raises what a sync would raise on the answer."""
        params = {**request.pop("params", {}), "limit": "1"}
        for _ in self.rows_in(self.call(path, params=params, **request), envelope):
            pass

    def pages(
        self,
        path: str,
        envelope: str,
        *,
        empty_page_ends: bool = False,
        page_size: int | None = None,
        params: Mapping[str, str] | None = None,
        whole: bool = False,
        decode: Decode = orjson.loads,
        **request: Any,
    ) -> Iterator[Any]:
        """The rows of a list to its last page, in lists of bounded size, of dicts or of what `decode` makes of rows.

        With `whole` each list is a page, however large; empty pages are dropped. `request` is for `call`. Raises a
        system_error for a page token that comes back.
        """
        query = {**(params or {}), **({"limit": str(page_size)} if page_size else {})}
        tokens, more = PageTokens(f"{self.name} ({path})", query, empty_page_ends), True
        while more:
            answer = self.call(path, params=tokens.query, **request)
            count, page = 0, []
            for rows in self.rows_in(answer, envelope, decode):
                count += len(rows)
                if whole:
                    page.append(rows)
                else:
                    yield rows
            if page:
                yield joined(page)
            more = tokens.advance(answer.envelope.get("next"), count)

    def rows_in(self, answer: Answer, envelope: str, decode: Decode = orjson.loads) -> Iterator[Any]:
        """The rows of one answer, as `pages` gives them; a list that is null is an empty one.

        Raises a system_error where a row is no object, and a BadAnswer where the list is empty while another is not:
        then the rows have moved.
        """
        found = False
        for rows in answer.rows(envelope, decode):
            if not isinstance(rows, RawRows) and not set(map(type, rows)) <= {dict}:
                raise contradiction(
                    self.name,
                    f"Customer.io sent a list of {self.name} in which a row is no object. The stream stopped there, so "
                    "that nothing is skipped for ever: report it with the internal message.",
                    ", ".join(sorted({type(row).__name__ for row in rows})),
                )
            found = True
            yield rows
        others = [name for name, value in answer.envelope.items() if isinstance(value, list) and value]
        if others and not found:
            self.misshapen(f"{envelope!r} is empty beside {', '.join(sorted(others))}")

    def documents(self, path: str, key: str, params: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """The whole answers of a list whose rows `pages` cannot read, to the last page.

        Raises a BadAnswer for one without the member `key`. With an empty `key` any object will do.
        """
        tokens, more = PageTokens(f"{self.name} ({path})", params), True
        while more:
            document = self.call(path, params=tokens.query).json()
            if not isinstance(document, dict) or (key and key not in document):
                self.misshapen(f"GET {path}: the answer has no {key!r}" if key else f"GET {path}: no object")
            yield document
            more = tokens.advance(document.get("next"), len(document))

    def document(self, path: str, key: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """As `documents`, for one that is no list. Raises a BadAnswer for one with a `next`, too."""
        document = next(self.documents(path, key, params))
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
