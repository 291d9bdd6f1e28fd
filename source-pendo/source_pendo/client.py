"""Requests to Pendo: the key, the table of errors, aggregations and their pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit import activity
from source_kit.errors import Action, ErrorRule, ErrorTable, Throttled, config_error
from source_kit.http.client import Answer, Client, Connection
from source_kit.http.retry import RETRY_POLICY, RetryPolicy
from urllib3 import exceptions

from source_pendo.aggregation import Row, Stage
from source_pendo.config import Config
from source_pendo.paging import KeyPager, KeyTooLarge, no_progress

AGGREGATION: Final = "/aggregation"
#: A query that cannot be made smaller is tried this often: Pendo's trouble may pass
_TRIES_OF_A_SMALL_QUERY: Final = 3


class QueryTooBig(AirbyteTracedException):
    """Pendo gave up on a query or ran out of memory: ask for less at a time."""


class NoAnswerInTime(QueryTooBig):
    """Nothing came within the request's time-out: the query is too big, or the server or network is down."""


class BadRequest(AirbyteTracedException):
    """A 400 with an unknown text: if every request is answered so, the key belongs to another region."""


class BadQuery(AirbyteTracedException):
    """A 400 that says that Pendo does not understand the query."""


class NotOffered(AirbyteTracedException):
    """There is nothing at the address (404), or Pendo refuses what was asked for (402, 422)."""


class Forbidden(AirbyteTracedException):
    """The key is wrong or has no right to this kind of object: Pendo answers 403 in both cases."""


#: What Pendo may answer for something that a subscription or a key does not have: 400, 402, 403, 404 or 422. Which of
#: them it chooses is not documented.
REFUSALS: Final = (BadRequest, BadQuery, NotOffered, Forbidden)


WRONG_REGION: Final = (
    "Pendo does not know this integration key in this region: choose the region in which your subscription lives "
    "(US, US1, EU, JPN or AU; it is in the address of Pendo's pages), or correct api_url."
)
WRONG_KEY: Final = (
    "Pendo refuses the integration key: make a new key in Settings > Integrations > Integration Keys (a key is shown "
    "only once; the shared secret of track events is not a key); if there is no such tab, the subscription has no API "
    "access and Pendo has to enable it."
)
MAY_WRITE: Final = (
    "This integration key may also write to Pendo. The connector only reads: make a new key without write access in "
    "Settings > Integrations > Integration Keys."
)
FORBIDDEN: Final = (
    "Pendo refuses this stream's objects to the integration key (status 403): the key was revoked or lacks the right "
    "to them. Make a new key with that right in Settings > Integrations > Integration Keys, or deselect the stream."
)
CONTRACT: Final = (
    "Pendo does not carry out the request (status 402): ask Pendo whether the contract includes what this stream "
    "reads; the internal message has Pendo's answer. Deselect the stream if the contract does not."
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
    "Pendo throttled this integration key for longer than the connector waits: lower num_workers, or let other "
    "programs that use the key finish, and run the sync again."
)
BROKEN: Final = (
    "Pendo failed to answer, after several attempts: run the sync again later; it continues from its last state."
)
BLOCKED: Final = (
    "A proxy or firewall refuses the request (status 451): allow the connection to Pendo's host, or correct api_url."
)

_CONFIG, _TRANSIENT = FailureType.config_error, FailureType.transient_error

#: One row for each kind of answer that Pendo, or a proxy before it, was seen to give. First match first.
ERRORS: Final = ErrorTable(
    "Pendo",
    (
        # Certain: an open pull request of another connector; 400 on some accounts, 408 on others.
        ErrorRule(400, TOO_BIG, Action.FAIL, _TRANSIENT, body="Query exceeded memory limit", raises=QueryTooBig),
        # For an aggregation it means that the query is too big, see `aggregate`; other requests cannot be made smaller.
        ErrorRule(408, BROKEN, Action.RETRY, _TRANSIENT),
        # A valid key on another region's host; the text is from one write-up, unverified.
        ErrorRule(400, WRONG_REGION, Action.FAIL, _CONFIG, body="missing jzb", raises=BadRequest),
        ErrorRule(
            400,
            BAD_QUERY,
            body="Cannot parse filter expression|bad pipeline|bad source|unexpected parameters|no period specified",
            raises=BadQuery,
        ),
        ErrorRule(400, BAD_REQUEST, raises=BadRequest),
        ErrorRule(401, WRONG_KEY, Action.FAIL, _CONFIG, raises=Forbidden),
        # Documented as "parameters valid, request failed". It may be about one object, so no config_error: that would
        # end visitor_history at the first visitor. API access depends on the contract (documented, too).
        ErrorRule(402, CONTRACT, raises=NotOffered),
        ErrorRule(403, THROTTLED, Action.THROTTLED, _TRANSIENT, body="rateLimitExceeded", raises=Throttled),
        ErrorRule(403, FORBIDDEN, Action.FAIL, _CONFIG, raises=Forbidden),
        ErrorRule(404, NOT_FOUND, Action.FAIL, _CONFIG, raises=NotOffered),
        ErrorRule(422, UNPROCESSABLE, raises=NotOffered),
        ErrorRule(429, THROTTLED, Action.THROTTLED, _TRANSIENT, raises=Throttled),
        ErrorRule(451, BLOCKED, Action.FAIL, _CONFIG),
        ErrorRule(range(500, 600), BROKEN, Action.RETRY, _TRANSIENT),
    ),
)


def verify_key(connection: Connection, seconds: float) -> bool:
    """Whether the key may write; raises a config_error if it is wrong.

    `GET /token/verify` is documented: 403 means an invalid key, the answer says whether the key may write. The names of
    its members are not: a true one whose name contains "write" means that it may. Any other failure, and an answer of
    another shape, proves nothing: a wrong region answers 400 to everything, but 400 may also mean that Pendo does not
    have this question there.
    """
    client = Client("check", connection, ERRORS, RetryPolicy(tries=1, throttled_seconds=0.0), seconds)
    try:
        answer = client.call("/token/verify").json()
    except Forbidden as error:
        raise config_error(WRONG_KEY, error.internal_message) from error
    except AirbyteTracedException as error:
        client.logger.info(f"Pendo does not say whether the integration key is right ({error.internal_message})")
        return False
    return isinstance(answer, dict) and any(
        member is True and "write" in name.lower() for name, member in answer.items()
    )


def connect(config: Config) -> Connection:
    """What the clients of one sync share: Pendo's address, the connections, the integration key."""
    headers = {"x-pendo-integration-key": config.api_key, "Accept": "application/json"}
    return Connection(config.base_url, headers, connections=config.num_workers)


class PendoClient(Client):
    """The requests of one stream to Pendo."""

    def __init__(self, name: str, connection: Connection, request_timeout: int) -> None:
        super().__init__(name, connection, ERRORS, RETRY_POLICY, float(request_timeout))

    def aggregate(self, label: str, pipeline: Sequence[Stage], *, small: bool = False, details: bool = False) -> Answer:
        """Run an aggregation. `label` names the request in Pendo's logs, behind the stream's name.

        With `details` the answer of an event source says how far Pendo has processed each application.

        Raises QueryTooBig if Pendo cannot answer within its limits or in time, for other failures the table's errors. A
        `small` query is one that cannot be made smaller: it is tried several times before QueryTooBig is raised.
        """
        request = {"requestId": f"{self.name}/{label}", "pipeline": list(pipeline)}
        body = {"response": {"mimeType": "application/json"}, "request": request}
        params = {"details": "true"} if details else None
        for tried in count(1):
            try:
                answer = self.call(AGGREGATION, method="POST", params=params, json=body, accept=(408,))
                if answer.status != 408:
                    break
                answer.close()
                detail = f"POST {AGGREGATION}: status 408"
                raise QueryTooBig(message=TOO_BIG, internal_message=detail, failure_type=_TRANSIENT)
            except QueryTooBig as error:
                if not small or tried == _TRIES_OF_A_SMALL_QUERY:
                    raise
                why = f"Stream {self.name}: attempt {tried} at a small query failed ({error.internal_message})"
                self.logger.info(why)
                activity.current().wait(self.retry_policy.base_seconds * 4.0**tried, why)
        return answer

    def transport_rule(self, method: str, error: Exception) -> ErrorRule:
        """A query that is not answered in time is too big, too: Pendo itself gives up on one after five minutes."""
        rule = super().transport_rule(method, error)
        connected = not isinstance(error, exceptions.ConnectTimeoutError)
        if method == "POST" and connected and isinstance(error, exceptions.TimeoutError):
            return replace(rule, action=Action.FAIL, raises=NoAnswerInTime)
        return rule

    def list_objects(self, path: str) -> Answer:
        """The list of all objects of a kind. Without `expand` Pendo lists those of the default application only."""
        return self.call(path, params={"expand": "*"})

    def all_rows(self, label: str, pipeline: Sequence[Stage], *, small: bool = False) -> list[Row]:
        """The rows of an aggregation that has few."""
        return [row for rows in self.aggregate(label, pipeline, small=small).rows("results") for row in rows]

    def keyed_rows(
        self,
        label: str,
        source: Stage,
        pager: KeyPager,
        behind: Sequence[Stage] = (),
        *,
        where: str | None = None,
        before: Sequence[Stage] = (),
    ) -> Iterator[list[Row]]:
        """The rows of a source, in order and page by page as `pager` describes; `behind` are stages after the limit.

        `where` filters all pages; `before` are stages between the filters and the order. A page that is too much for
        Pendo is halved. Whenever `pager.bound` has moved after a list, all rows before that bound have been yielded.
        """

        def ask() -> Answer:
            filters = [{"filter": condition} for condition in (where, pager.filter) if condition]
            stages = [source, *filters, *before, {"sort": pager.order}, {"limit": pager.limit}, *behind]
            return self.aggregate(label, stages, small=pager.small)

        while not pager.done:
            try:
                for rows in self.rows(ask, "results", pager.broken_off):
                    yield pager.add(rows)
            except QueryTooBig as error:
                if pager.small:
                    raise
                self.logger.info(f"Stream {self.name}: pages of {pager.limit} rows are too much ({error})")
                pager.shrink()
                continue
            try:
                yield pager.end_page()
            except KeyTooLarge:
                raise no_progress(
                    f"pages of {pager.limit} rows hold one id in several spellings, or none that can be asked for"
                ) from None

    def resumed_rows(
        self, label: str, source: Stage, pager: KeyPager, behind: Sequence[Stage] = (), *, restart: Callable[[], None]
    ) -> Iterator[list[Row]]:
        """As `keyed_rows`, from the key on at which an interrupted reading stopped, if `pager` begins at one.

        The rows before that key were read only if the key is one of this subscription. If Pendo has no row with it,
        calls `restart` and yields all rows.
        """
        lists = self.keyed_rows(label, source, pager, behind)
        if pager.bound is not None:
            key = pager.bound.key.casefold()
            first = next(filter(None, lists), None)
            if first is not None and str(first[0].get(pager.column)).casefold() == key:
                yield first
            else:
                self.logger.warning(
                    f"Stream {self.name}: the saved state continues at an id that Pendo does not have (it was deleted, "
                    "or the state is of another subscription), so everything is read anew"
                )
                restart()
                pager.start_over()
                lists = self.keyed_rows(label, source, pager, behind)
        yield from lists
