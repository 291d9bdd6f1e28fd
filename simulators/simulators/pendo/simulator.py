"""A Pendo subscription on loopback: keys, regions, routes, switches, and the rows that a sync should end with.

    with PendoSimulator(seed=1) as sim:
        httpx.post(sim.url + "/api/v1/aggregation", headers={"x-pendo-integration-key": sim.api_key}, json=...)
        sim.mutate("advance", days=1)
        rows = sim.truth("page_events", period="day")

Written from Pendo's documentation and from reports of its users; no code of a client was used. If the real answer is
not known, the docstring says so.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from simulators.http_messages import JSON_TYPE
from simulators.pendo.aggregation import aggregate
from simulators.pendo.bulk import BulkPageEvents
from simulators.pendo.days import pass_days
from simulators.pendo.directory import DEFAULT_APP
from simulators.pendo.endpoints import answer_get, decoded_id, segments_of
from simulators.pendo.errors import PendoError, missing_jzb, not_found, unprocessable
from simulators.pendo.mutations import Mutations
from simulators.pendo.periods import DAY_MS, HOUR_MS, Calendar
from simulators.pendo.sizes import DEFAULT_NOW, SIZES, Size
from simulators.pendo.subscription import Subscription
from simulators.pendo.switches import RateLimiter, Switches
from simulators.pendo.truth import truth
from simulators.server import Request, Response, Row, Simulator

KEY_HEADER = "x-pendo-integration-key"
BASE_PATH = "/api/v1/"
LISTS = {
    "page": "pages",
    "feature": "features",
    "guide": "guides",
    "tracktype": "trackTypes",
    "report": "reports",
    "segment": "segments",
}
"""List endpoints, each with the kind of object that it lists."""


class PendoSimulator(Simulator):
    """One subscription in one region.

    `rules` is `observed` (as production clients see Pendo) or `documented` (every switch of `Rules` is on).
    `api_key` is valid here. `foreign_keys` are valid in another region. Every other key is unknown. For benchmarks,
    `rows` replaces the page events by this many rows over the last `rows_days` full days. `now` is the simulated
    present; with `later` it is the same subscription so many days after `now`, see `days.py`. It changes only by the
    mutation `advance`. Tests reach the data by the attribute `subscription`.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        size: str | Size = "tiny",
        rows: int = 0,
        rows_days: int = 6,
        now: datetime = DEFAULT_NOW,
        later: int = 0,
        time_zone: str = "America/New_York",
        api_key: str = "simulated-integration-key.us",
        rules: str = "observed",
        foreign_keys: tuple[str, ...] = ("simulated-integration-key.eu",),
        bucket_on_events: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        compress: bool = False,
    ) -> None:
        super().__init__(host=host, port=port, compress=compress)
        self.api_key = api_key
        self.switches = Switches()
        self.switches.use(rules)
        self._foreign_keys = foreign_keys
        now_ms = int(now.timestamp() * 1000)
        calendar = Calendar(time_zone)
        counts = SIZES[size] if isinstance(size, str) else size
        self._days = counts.days
        self.subscription = Subscription(
            seed, counts, now_ms, calendar, bucket_on_events=bucket_on_events, later=later, rules=self.switches
        )
        if rows:
            self.subscription.bulk = BulkPageEvents(
                seed, rows, rows_days, now_ms, calendar, self.subscription.definitions["pages"]
            )
        self._mutations = Mutations(self.subscription)
        if later:
            pass_days(self.subscription, self._mutations, later)

    def config(self) -> dict[str, Any]:
        """From the first day of the data on."""
        start = self.now - timedelta(days=self._days)
        return {"api_key": self.api_key, "api_url": self.url, "start_date": f"{start:%Y-%m-%d}T00:00:00Z"}

    @property
    def now(self) -> datetime:
        """The simulated present."""
        return datetime.fromtimestamp(self.subscription.now / 1000, UTC)

    def prepare(self) -> None:
        """Make all data now. Without this call they are made at the first request for them, so short tests are fast."""
        with self.subscription.lock:
            if self.subscription.bulk is not None:
                self.subscription.bulk.make_days()
            _ = self.subscription.hourly_rows, self.subscription.events

    def answer(self, request: Request) -> Response:
        """Answer a request to Pendo's API."""
        try:
            response = self._answer(request)
        except PendoError as error:
            response = replace(Response.text(error.text, error.status), reason=error.reason)
        if self.switches.json_errors and response.content_type != JSON_TYPE:
            message = orjson.dumps({"message": response.body.decode()})
            response = replace(response, body=message, content_type=JSON_TYPE)
        return response

    def _answer(self, request: Request) -> Response:
        self._check_key(request.headers.get(KEY_HEADER))
        refusal = self.switches.limiter and self.switches.limiter.refusal()
        if refusal:
            return refusal
        if not request.path.startswith(BASE_PATH):
            raise not_found()
        match (request.method, *segments_of(request.path)[2:]):
            case ("POST", "aggregation"):
                with_details = request.param("details") == "true"
                return Response(
                    body=aggregate(request.body, self.subscription, self.switches, with_details=with_details)
                )
            case ("GET", ("page" | "feature" | "guide" | "tracktype" | "report" | "segment") as name):
                return self._list(LISTS[name], request)
            case ("GET", "metadata", "schema", kind):
                self.switches.check_allowed("metadata")
                return Response.json(self.subscription.metadata(kind))
            case ("GET", "visitor", visitor_id):
                return self._visitor(decoded_id(visitor_id, request, self.switches))
            case ("GET", "account", account_id):
                return self._account(decoded_id(account_id, request, self.switches))
            case ("GET", "visitor", visitor_id, "history"):
                return self._history(decoded_id(visitor_id, request, self.switches), request)
            case ("GET", *segments):
                response = answer_get(segments, self.subscription, self.switches)
                if response is not None:
                    return response
        raise not_found()

    def _check_key(self, key: str | None) -> None:
        if key in self._foreign_keys:
            raise missing_jzb()
        if key != self.api_key:
            # 403 for a wrong key was observed. The documentation names 401.
            if self.switches.invalid_key_401:
                text = "Unauthorized: invalid integration key"
                raise PendoError(401, text)
            text = "Forbidden: invalid integration key"
            raise PendoError(403, text)

    def _list(self, kind: str, request: Request) -> Response:
        """A whole list.

        It has objects of the default app only; with `expand=*` of all apps, with `appId` of one app. Reports and
        segments need no parameter (inferred: none is documented for them). `id` selects objects.
        """
        self.switches.check_allowed(kind)
        app = request.param("appId")
        has_all = kind in ("reports", "segments") and not self.switches.lists_by_app
        apps = None if request.param("expand") == "*" or (has_all and app is None) else frozenset({DEFAULT_APP})
        if apps is not None and app is not None:
            apps = _one_app(app)
        rows = self.subscription.definition_rows(kind, apps)
        ids = request.param("id")
        if ids is not None:
            rows = [row for row in rows if row["id"] in ids.split(",")]
        return Response.json(rows)

    def _visitor(self, visitor_id: str) -> Response:
        self.switches.check_allowed("visitors")
        row = self.subscription.visitor(visitor_id)
        if row is None or visitor_id in self.subscription.deleted_visitors:
            raise not_found()
        auto = row["metadata"].get("auto", {})
        accounts = auto.get("accountids", [])
        record = {
            "id": visitor_id,
            "accountIds": accounts,
            "lastStartTime": auto.get("lastvisit", 0),
            "metadata": {**row["metadata"], "auto": {**auto, "firstidentifiedvisit": auto.get("firstvisit", 0)}},
            "account": self.subscription.account(accounts[0]) if accounts else None,
        }
        return Response.json(record)

    def _account(self, account_id: str) -> Response:
        self.switches.check_allowed("accounts")
        row = self.subscription.account(account_id)
        if row is None:
            raise not_found()
        return Response.json({"id": account_id, "metadata": row["metadata"]})

    def _history(self, visitor_id: str, request: Request) -> Response:
        """24 hours from `starttime`, within the last 180 days.

        Rows of the hour before `starttime` are included too, as clients have observed.
        """
        self.switches.check_allowed("visitorHistory")
        if self.switches.history_status is not None:
            raise PendoError(self.switches.history_status, "history is not available")
        if self.subscription.visitor(visitor_id) is None or visitor_id in self.subscription.deleted_visitors:
            raise not_found()
        try:
            start = int(request.param("starttime") or "")
        except ValueError:
            message = "starttime is not a number of milliseconds"
            raise unprocessable(message) from None
        rows = self.subscription.history(visitor_id)
        return Response.json([row for row in rows if start - HOUR_MS <= row["ts"] < start + DAY_MS])

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a complete warehouse holds at the simulated present, with the vendor's field names.

        Options: `period` (`day` or `hour`) for the grouped event streams, `since` (a local date) for event streams,
        `apps` (ids with commas) for streams whose rows belong to apps, `anonymous` (`true`) for `visitors` and
        `visitor_history`.

        `feedback_items` has feedback, and ideas if the switch `ideas` is on. Rows of `poll_responses` have three more
        members than Pendo's answer, see `with_nps`.
        """
        return truth(stream, self.subscription, self.switches, options)

    def mutate(self, name: str, **arguments: Any) -> Any:
        """Change the data (see `Mutations`) or the behavior (`switch`, `forbid`, `allow`, `limit_rate`)."""
        match name:
            case "switch":
                with self.subscription.lock:
                    self.switches.switch(arguments)
                    self.subscription.clear_tables()
                return None
            case "forbid":
                self.switches.forbid(**arguments)
                return sorted(self.switches.forbidden)
            case "allow":
                self.switches.allow(**arguments)
                return sorted(self.switches.forbidden)
            case "limit_rate":
                self.switches.limiter = RateLimiter(**arguments) if arguments.get("calls") else None
                return None
        return self._mutations.run(name, arguments)


def _one_app(text: str) -> frozenset[int]:
    try:
        return frozenset({int(text)})
    except ValueError:
        message = "appId is not a number"
        raise PendoError(400, message) from None
