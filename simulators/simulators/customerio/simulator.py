"""The simulated App API: keys, rate limit, quota, and planned changes."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from time import monotonic
from typing import Any

import orjson

from simulators.customerio import (
    answers,
    build_deliveries,
    build_objects,
    build_parents,
    build_people,
    build_settings,
    mutations,
    routes,
    truth,
    wire,
)
from simulators.customerio.days import pass_days
from simulators.customerio.options import Options
from simulators.customerio.wire import VendorError
from simulators.customerio.workspace import DAY, HISTORY, SIZES, Size, Workspace
from simulators.server import Request, Response, Row, Simulator

API_KEYS = {"US": "cio-app-key-us-4c1f9b7e20", "EU": "cio-app-key-eu-97a3d05b61"}
"""The App API key of each region. A region refuses the key of the other region like an unknown one."""

TRACK_KEY = "5f3c2b1a:9e8d7c6b5a"
"""A Track API key (`site_id:api_key`). The App API refuses it."""

HOSTS = {"US": "https://api.customer.io", "EU": "https://api-eu.customer.io"}
_PREFIX = "/v1"
_HOUR = 3600


@dataclass
class _PlannedMutation:
    """A mutation that runs after a number of answers on a path."""

    path: re.Pattern[str]
    left: int
    name: str
    arguments: Mapping[str, Any]


class CustomerioSimulator(Simulator):
    """One region of Customer.io's App API with one workspace.

        with CustomerioSimulator(seed=1) as sim:
            requests.get(sim.url + "/v1/campaigns", headers={"Authorization": f"Bearer {sim.api_key}"})

    The simulators of the two regions hold the same data for the same seed. Each accepts the key of its own region only.
    The clock (`sim.now`) starts at `now`, by default the last full hour, and only the mutation `advance` moves it.
    """

    def __init__(
        self,
        *,
        region: str = "US",
        seed: int = 1,
        size: str | Size = "tiny",
        rows: int | None = None,
        now: int | None = None,
        later: int = 0,
        options: Options | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        compress: bool = False,
    ) -> None:
        """`rows` overrides the number of deliveries. The same seed, size, rows and now give the same data.

        With `later` it is the same workspace so many days after `now`, see `days.py`.
        """
        super().__init__(host=host, port=port, compress=compress)
        self.region = region
        self.api_key = API_KEYS[region]
        self.options = options or Options()
        chosen = SIZES[size] if isinstance(size, str) else size
        self.workspace = build(seed, replace(chosen, deliveries=chosen.deliveries if rows is None else rows), now)
        pass_days(self.workspace, later)
        self._rng = Random(seed)
        self._lock = threading.RLock()
        self._recent: deque[float] = deque()
        self._archived = 0
        self._planned: list[_PlannedMutation] = []

    def config(self) -> dict[str, Any]:
        """From the first delivery on."""
        return {"app_api_key": self.api_key, "api_url": self.url, "start_date": self.start_date}

    @property
    def now(self) -> int:
        """The simulated present, in seconds since 1970."""
        return self.workspace.now

    @property
    def start_date(self) -> str:
        """A `start_date` whose 30-day windows have deliveries at their borders.

        One delivery is one second older than it.
        """
        return datetime.fromtimestamp(self.workspace.start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def answer(self, request: Request) -> Response:
        """Answer a request. Checked are key, rate limit, scope, path and parameters, in this order."""
        with self._lock:
            try:
                response = self._redirect(request) or wire.ok(self._answer(request))
            except VendorError as error:
                response = error.response(self._rng)
            self._run_planned(request)
            return response

    def _answer(self, request: Request) -> object:
        path = request.path.removeprefix(_PREFIX) if request.path.startswith(_PREFIX + "/") else ""
        found = routes.match(request.method, path)
        authorized = request.headers.get("authorization", "") == f"Bearer {self.api_key}"
        if not authorized and path not in routes.OPEN_PATHS:
            raise VendorError(401, "unauthorized request", code="invalid_credentials")
        if authorized:
            self._count(monotonic())
        if any(re.search(pattern, path) for pattern in self.options.forbidden):
            raise VendorError(self.options.forbidden_status, "this key is not allowed to do that")
        if found is None:
            raise wire.not_found()
        route, ids = found
        if route.template == routes.QUOTA_PATH:
            self._archived += 1
            if self._archived > self.options.archived_per_day:
                raise VendorError(429, "daily limit reached")
        try:
            document = routes.call(route, self.workspace, self.options, request, ids)
        except VendorError as error:
            raise answers.unknown_id(error, path, self.options) from None
        return answers.adjusted(document, request, self.options)

    def _redirect(self, request: Request) -> Response | None:
        """The answer to a key of the other region, if that is a redirect (`Options.other_region`)."""
        other = next(region for region in API_KEYS if region != self.region)
        status = self.options.other_region
        if status == 401 or request.headers.get("authorization", "") != f"Bearer {API_KEYS[other]}":
            return None
        target = (self.options.other_region_url or HOSTS[other]) + request.target
        return replace(VendorError(status, "wrong datacenter").response(self._rng), headers={"Location": target})

    def _count(self, moment: float) -> None:
        """Count a request against the quota and the rate limit. A refused request does not count for the rate limit."""
        if self.options.daily_quota is not None:
            if self.options.daily_quota <= 0:
                raise VendorError(429, "daily limit reached")
            self.options.daily_quota -= 1
        if not self.options.rate_limit:
            return
        while self._recent and moment - self._recent[0] >= 1:
            self._recent.popleft()
        if len(self._recent) >= self.options.rate_limit:
            raise VendorError(
                429,
                f"rate limited to {self.options.rate_limit} requests per 1s",
                retry_after=1 if self.options.retry_after else None,
            )
        self._recent.append(moment)

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a complete warehouse holds now. `truth.py` describes the options of the streams."""
        with self._lock:
            rows: list[Row] = _copy(truth.rows_of(self.workspace, stream, **options))
            return rows

    def mutate(self, name: str, **arguments: Any) -> Any:
        """Change data (see `mutations.py`) or options (`options`), or plan a change (`after`)."""
        with self._lock:
            if name == "options":
                return self.options.change(**arguments)
            if name == "after":
                return self._plan(**arguments)
            return _copy(mutations.MUTATIONS[name](self.workspace, self._rng, **arguments))

    def _plan(self, path: str, mutation: str, count: int = 1, arguments: Mapping[str, Any] | None = None) -> None:
        """Run `mutation` after `count` answers to requests whose path and query match the regular expression `path`."""
        if mutation not in mutations.MUTATIONS and mutation != "options":
            raise KeyError(mutation)
        self._planned.append(_PlannedMutation(re.compile(path), count, mutation, arguments or {}))

    def _run_planned(self, request: Request) -> None:
        for planned in list(self._planned):
            if planned.path.search(request.target):
                planned.left -= 1
                if planned.left <= 0:
                    self._planned.remove(planned)
                    self.mutate(planned.name, **planned.arguments)


def _copy(document: Any) -> Any:
    """A copy, so that rows that a test keeps do not change with the workspace."""
    return orjson.loads(orjson.dumps(document))


def build(seed: int, size: Size, now: int | None) -> Workspace:
    """Make a workspace with its data."""
    moment = int(time.time()) // _HOUR * _HOUR if now is None else now
    workspace = Workspace(seed, size, moment, (moment - HISTORY) // DAY * DAY)
    build_people.build(workspace, Random(f"{seed}/people"))
    build_parents.build(workspace, Random(f"{seed}/parents"))
    build_settings.build(workspace)
    build_objects.build(workspace)
    build_deliveries.build(workspace, Random(f"{seed}/deliveries"))
    return workspace
