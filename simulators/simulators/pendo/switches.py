"""Limits and refusals: documented rules, queries that are too large, too many requests, and missing permissions."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from simulators.pendo.errors import PendoError
from simulators.server import Response

RULES = ("observed", "documented")
"""As production clients see Pendo, and as its API documentation describes it."""

KINDS = frozenset(
    {
        "accounts",
        "apps",
        "bulkDeletions",
        "doNotProcessAccounts",
        "doNotProcessVisitors",
        "emailEvents",
        "events",
        "featureEvents",
        "features",
        "groups",
        "guideEvents",
        "guideHistory",
        "guides",
        "guidesSeen",
        "guidesSeenEver",
        "metadata",
        "pageEvents",
        "pages",
        "pollEvents",
        "pollsSeen",
        "pollsSeenEver",
        "reportResults",
        "reports",
        "segmentMembers",
        "segments",
        "trackEvents",
        "trackTypes",
        "visitorHistory",
        "visitors",
        "vocItems",
        "votes",
    }
)
"""What a key can lack the permission for: the sources, reports, segments, members of segments, metadata, visitor
histories, results of reports, histories of guides and bulk deletions."""

REFUSALS: Mapping[int, str] = {
    400: "bad pipeline: bad source: bad parameters for source type {kind}: unexpected parameters",
    402: "Payment Required: the subscription does not include {kind}",
    403: "Forbidden: the integration key has no permission to read {kind}",
    404: "Not Found",
    422: "Unprocessable Entity: {kind} is not available",
}
"""How a subscription can refuse a kind that it lacks. Only the first text is that of a real answer."""
_UNKNOWN_SOURCE = "bad pipeline: bad source: unknown source type {kind}"
_ENDPOINTS = frozenset({"bulkDeletions", "guideHistory", "metadata", "reportResults", "reports", "segments"})


@dataclass
class Rules:
    """Rules of Pendo's API documentation (August 2025) that clients in production contradict or nobody has observed.

    Each is off as production clients see Pendo, and on as documented. `Switches.use` sets all of them.
    """

    hours_need_ids: bool = False
    """Refuse page, feature and track events by hour without an object's id. A connector in production sends such
    queries, so Pendo may not enforce this everywhere."""
    ids_without_app: bool = False
    """Refuse page, feature and track events with an object's id and `appId`. Clients in production send the id alone,
    or apps alone, so nobody has seen the refusal."""
    parts_need_guide: bool = False
    """Refuse `guideStepId` and `pollId` without `guideId`."""
    app_ids_are_numbers: bool = False
    """Refuse a list of apps with texts in it that are no `expandAppIds`. A connector in production sends such lists."""
    json_errors: bool = False
    """Answer errors as JSON, `{"message": ...}` (the name of the member is inferred). Plain texts were observed."""
    invalid_key_401: bool = False
    """Answer 401 to a missing or unknown key. 403 was observed."""
    late_tracks_wait: bool = False
    """Late track events become visible with a daily or weekly pass, and never if they are more than 7 days late."""


@dataclass
class Switches(Rules):
    """Behavior that can be switched while the simulator runs. Everything is off at the start."""

    timeout_rows: int | None = None
    """Answer 408 if an event query scans more rows than this. Scanned are the stored hourly rows in the window, apps
    and ids of the query. The number of rows in the answer does not matter."""
    memory_rows: int | None = None
    """The same, but with 400 and `Query exceeded memory limit`."""
    null_when_empty: bool = False
    """Answer `"results": null` if there are no rows."""
    history_status: int | None = None
    """Refuse every visitor history with this status. 404 and 422 were observed."""
    lists_by_app: bool = False
    """Let the lists of reports and segments have the default app only unless they are expanded, like the other lists.
    Pendo's documentation names no `expand` for them; a connector in production sends it."""
    verify_status: int | None = None
    """Refuse `token/verify` with this status."""
    key_may_write: bool = False
    """Whether the key may write, as `token/verify` says it."""
    own_version_ids: str = ""
    """The member in which each version of a guide has an id of its own: `id`, `stableVersionId`, or none."""
    other_reports_status: int = 404
    """The status for the results of a report that is neither a Visitor nor an Account report."""
    base64_ids: str = "any"
    """Which ids with `b64_` are decoded: `any`, `padded` only, `unpadded` only, or `none`."""
    sort_rows: int | None = None
    """Answer 400 and `Query exceeded memory limit` if a stage `sort` gets more rows than this. So a `group` over many
    rows is answered, and their ordered list is not."""
    max_ids: int | None = None
    """Refuse page, feature and track events with more object ids than this. Pendo's own limit is not known."""
    details: str = "usual"
    """Form of `details` for `?details=true`: `usual`, `absent`, `empty`, `null`, `no_apps`, `seconds`, `texts`,
    `dates`, `zero` or `list`. Documented are the names and that there is a time for each application."""
    unknown_sources: bool = False
    """Whether a source that is refused with 400 is called unknown. Otherwise its parameters are called unexpected."""
    app_id_name: str = "id"
    """Where a row of `apps` has its id: `id`, `appId` or `both`. Pendo's examples use both names."""
    ideas: bool = False
    """Whether `vocItems` accepts `type: idea`."""
    no_since: bool = False
    """Refuse the parameter `since` of visitors."""
    answer_name: str = "pollResponse"
    """The column of `pollsSeen` that holds the answer: `pollResponse`, or `response` as in one example of Pendo's."""
    forbidden: dict[str, int] = field(default_factory=dict)
    """Kinds that the key may not read, or that the subscription lacks, each with the status of the refusal."""
    limiter: RateLimiter | None = None

    def use(self, rules: str) -> None:
        """Switch all `Rules` on (`documented`) or off (`observed`). ValueError for another word."""
        if rules not in RULES:
            message = f"rules are one of {RULES}, not {rules!r}"
            raise ValueError(message)
        for rule in fields(Rules):
            setattr(self, rule.name, rules == "documented")

    def switch(self, values: Mapping[str, Any]) -> None:
        """Set switches by name; `rules` first, so that single ones can differ from it. ValueError for unknown names."""
        known = {item.name for item in fields(self)} - {"forbidden", "limiter"} | {"rules"}
        if set(values) - known:
            message = f"unknown switches: {sorted(set(values) - known)}"
            raise ValueError(message)
        if "rules" in values:
            self.use(values["rules"])
        for name, value in values.items():
            if name != "rules":
                setattr(self, name, value)

    def check_allowed(self, kind: str) -> None:
        """Raise the error for a kind that the key may not read."""
        status = self.forbidden.get(kind)
        if status is not None:
            text = _UNKNOWN_SOURCE if status == 400 and self.unknown_sources else REFUSALS[status]
            if status == 400 and kind in _ENDPOINTS:
                text = "Bad Request"
            raise PendoError(status, text.format(kind=kind), reason="Forbidden" if status == 403 else None)

    def forbid(self, kinds: Iterable[str], status: int = 403) -> None:
        """Refuse kinds from now on. KeyError for an unknown kind or a status that is not in `REFUSALS`."""
        for kind in kinds:
            if kind not in KINDS or status not in REFUSALS:
                raise KeyError(kind, status)
            self.forbidden[kind] = status

    def allow(self, kinds: Iterable[str]) -> None:
        """The opposite of `forbid`."""
        for kind in kinds:
            self.forbidden.pop(kind, None)


class RateLimiter:
    """At most `calls` requests in any second. Further requests are refused, and a refused request does not count."""

    def __init__(self, calls: int, status: int = 429, retry_after: int | None = None) -> None:
        """`status` is 429, or 403 with `rateLimitExceeded` (second-hand). `retry_after` None sends no Retry-After."""
        self._calls = calls
        self._status = status
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()

    def refusal(self) -> Response | None:
        """The error answer for a request that arrives now, or None if it is allowed."""
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            if len(self._recent) < self._calls:
                self._recent.append(now)
                return None
        headers = {} if self._retry_after is None else {"Retry-After": str(self._retry_after)}
        text = '{"error":"rateLimitExceeded"}' if self._status == 403 else "Too Many Requests"
        return Response.text(text, self._status, headers)
