"""Metrics. A number depends on seed, parent, series and time only, so all windows and resolutions agree.

Version 1 answers arrays without dates. Their last bucket contains the present, in US Eastern time. Version 2 and
journeys answer for the dates of the request. Weeks begin on Sunday (vendor's specification). Simplified here: Eastern
time is UTC-5 all year, and `type` gives each channel of a parent an equal share, since no number here has a channel.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulators.customerio import funnel
from simulators.customerio.options import Options
from simulators.customerio.wire import flag, integer, reject
from simulators.customerio.workspace import DAY, Workspace
from simulators.server import Request, Row

MAXIMUM_STEPS = {"hours": 24, "days": 45, "weeks": 12, "months": 121}
DEFAULT_MONTHS = 12
RESOLUTIONS = {name: name for name in MAXIMUM_STEPS} | {
    "hourly": "hours",
    "daily": "days",
    "weekly": "weeks",
    "monthly": "months",
}
JOURNEY_SERIES = ("started", "activated", "messaged", "finished", "converted", "exited_early", "never_activated")
LINK_SERIES = ("clicked", "human_clicked", "machine_clicked")
SERIES = (
    "created",
    "attempted",
    "sent",
    "delivered",
    "opened",
    "human_opened",
    "prefetch_opened",
    "clicked",
    "human_clicked",
    "machine_clicked",
    "converted",
    "bounced",
    "unsubscribed",
)
WEBHOOK_SERIES = ("2xx", "3xx", "4xx", "5xx")
NULL_SERIES = "suppressed"
"""This series is `null` instead of an array, as observed in real data."""

LINKS_PER_PARENT = 3
_HOUR = 3600
_EASTERN = -5 * _HOUR
_TEN_YEARS = 3653 * DAY
_LATE_DAYS = 3


def bucket_start(resolution: str, moment: int) -> int:
    """The start of the bucket that contains a moment, in UTC."""
    if resolution == "hours":
        return moment - moment % _HOUR
    if resolution == "days":
        return moment - moment % DAY
    if resolution == "weeks":
        return moment - (moment - 3 * DAY) % (7 * DAY)  # 1970-01-04 was a Sunday
    return _epoch(datetime.fromtimestamp(moment, UTC).date().replace(day=1))


def next_bucket(resolution: str, start: int) -> int:
    """The start of the bucket after the one that begins at `start`."""
    if resolution == "months":
        return bucket_start("months", start + 31 * DAY)
    return start + {"hours": _HOUR, "days": DAY, "weeks": 7 * DAY}[resolution]


def buckets(resolution: str, start: int, end: int) -> list[int]:
    """The starts of the buckets that contain a second from `start` to before `end`. At least one bucket."""
    starts = [bucket_start(resolution, start)]
    while (following := next_bucket(resolution, starts[-1])) < end:
        starts.append(following)
    return starts


def last_buckets(resolution: str, now: int, steps: int) -> list[int]:
    """The starts of the last buckets, in Eastern time taken as UTC. The last bucket contains `now`."""
    starts = [bucket_start(resolution, now + _EASTERN)]
    while len(starts) < steps:
        starts.append(bucket_start(resolution, starts[-1] - 1))
    return starts[::-1]


def value(workspace: Workspace, key: str, lifetime: tuple[int, int], resolution: str, start: int) -> int:
    """The value of a series in a bucket.

    The value of a day is that of `funnel.of_day`. Its hours share it, and weeks and months are sums of days.
    """
    if resolution == "hours":
        day, hour = start // DAY, start % DAY // _HOUR
        whole = _day_value(workspace, key, lifetime, day)
        return whole // 24 + ((hour + day) % 24 < whole % 24)
    last = (next_bucket(resolution, start) - 1) // DAY
    first_day = max(start // DAY, lifetime[0] // DAY)
    return sum(_day_value(workspace, key, lifetime, day) for day in range(first_day, min(last, lifetime[1] // DAY) + 1))


def _day_value(workspace: Workspace, key: str, lifetime: tuple[int, int], day: int) -> int:
    if not lifetime[0] // DAY <= day <= lifetime[1] // DAY:
        return 0
    late = workspace.late_opens if key.endswith("opened") and day > lifetime[1] // DAY - _LATE_DAYS else 0
    parent, _, name = key.rpartition("/")
    return funnel.of_day(workspace.seed, parent, name, day) + late


def series(
    workspace: Workspace, kind: str, parent: Row, names: tuple[str, ...], resolution: str, starts: list[int]
) -> dict[str, list[int]]:
    """The arrays of a parent. Values are 0 before its creation, after now, and for a parent that was never started."""
    created: int = parent.get("created") or parent.get("created_at") or workspace.start
    lifetime = (created, workspace.now) if parent.get("first_started", 1) and parent.get("sent_at", 1) else (1, 0)
    prefix = f"{kind}/{parent['id']}"
    return {
        name: [value(workspace, f"{prefix}/{name}", lifetime, resolution, start) for start in starts] for name in names
    }


def names_of(parent: Row) -> tuple[str, ...]:
    """The series of a parent. A parent that calls webhooks also has one series for each class of HTTP status."""
    calls_webhooks = parent.get("type") == "webhook" or any(a["type"] == "webhook" for a in parent.get("actions") or [])
    return SERIES + WEBHOOK_SERIES if calls_webhooks else SERIES


def below(parent: Row, child: Row) -> Row:
    """An action or a variant, with what its parent says about its life.

    It has no metrics from before the parent was created: the actions of a duplicate are older than their campaign.
    """
    life = {name: parent[name] for name in ("first_started", "sent_at") if name in parent}
    created = max(parent.get("created") or parent["created_at"], child.get("created") or 0)
    return child | life | {"created": created}


def languages_of(actions: list[Row], branch: Row) -> list[Row]:
    """The actions of the other languages of a message, if `branch` is the action that they are branches of."""
    return [row for row in actions if row is not branch and _branch_id(row) == int(branch["id"])]


def _branch_id(action: Row) -> int:
    return int(action.get("multi_language_branch_action_id") or 0)


def action_metrics_v2(workspace: Workspace, options: Options, campaign: Row, action: Row, request: Request) -> Row:
    """Version 2 of one action. The branch of a multi-language message also has the series of its other languages."""
    answer = metrics_v2(workspace, options, "campaign_actions", below(campaign, action), request)
    variants = languages_of(workspace.children["campaign_actions"][campaign["id"]], action)
    if variants:
        answer["language_variants"] = {
            str(row["id"]): metrics_v2(workspace, options, "campaign_actions", below(campaign, row), request)["metric"]
            for row in variants
        }
    return answer


def metrics_v1(workspace: Workspace, kind: str, parent: Row, request: Request, *, strict: bool) -> Row:
    """`{"metric": {"series": ...}}` for `period` and `steps`.

    With `strict` a wrong period is a 400. Only some paths document that.
    """
    resolution, starts = _last(workspace, request, strict)
    return {"metric": _metric(workspace, kind, parent, request, resolution, starts)}


def metrics_v2(workspace: Workspace, options: Options, kind: str, parent: Row, request: Request) -> Row:
    """The same for the dates of the request. `res`, `start` and `end` are required.

    Periods are those of the zone `tz`, by default UTC.
    """
    resolution = RESOLUTIONS.get(request.param("res") or "")
    start, end = integer(request, "start"), integer(request, "end")
    if resolution is None or start is None or end is None:
        reject("version 2 requires res, start and end")
    zone = _zone(request)
    starts = _between(resolution, _on_clock(zone, start), _on_clock(zone, end))
    first = datetime.fromtimestamp(starts[0], UTC).replace(tzinfo=zone)
    written = go_time if options.go_dates else iso_time
    return {
        "metric": _metric(workspace, kind, parent, request, resolution, starts),
        "start": written(first),
        "end": written(datetime.fromtimestamp(end, zone)),
        "res": request.param("res"),
    }


def _metric(
    workspace: Workspace, kind: str, parent: Row, request: Request, resolution: str, starts: list[int]
) -> dict[str, Any]:
    """`{"series": ...}`, with `type` of one channel only: zeros if the parent does not send by it."""
    arrays: dict[str, Any] = dict(series(workspace, kind, parent, names_of(parent), resolution, starts))
    if wanted := request.param("type"):
        inline = [row["type"] for row in parent.get("actions") or []]
        channels = sorted(set(inline or [parent.get("type", "email")]))
        place = channels.index(wanted) if wanted in channels else None
        arrays = {name: [_share(count, place, len(channels)) for count in counts] for name, counts in arrays.items()}
    return {"series": arrays | {NULL_SERIES: None}}


def _share(count: int, place: int | None, channels: int) -> int:
    """What one channel has of a number; the shares of all channels add up to it."""
    return 0 if place is None else count // channels + (place < count % channels)


def _zone(request: Request) -> ZoneInfo:
    try:
        return ZoneInfo(request.param("tz") or "UTC")
    except (KeyError, ValueError, OSError):
        reject("invalid tz")


def _on_clock(zone: ZoneInfo, moment: int) -> int:
    """What the clock of a zone shows, as if it was UTC."""
    return int(datetime.fromtimestamp(moment, zone).replace(tzinfo=UTC).timestamp())


def links(workspace: Workspace, kind: str, parent: Row, request: Request) -> Row:
    """`{"links": [...]}`, version 1 only. `unique=true` counts people instead of clicks.

    Links of an action have no `unique`, so it is ignored there.
    """
    resolution, starts = _last(workspace, request, strict=False)
    unique = flag(request, "unique") and not kind.endswith("_actions")
    return {"links": list(link_rows(workspace, kind, parent, resolution, starts, unique=unique))}


def link_rows(
    workspace: Workspace, kind: str, parent: Row, resolution: str, starts: list[int], *, unique: bool
) -> list[Row]:
    """The links of a parent with their arrays. Every seventh parent has no links."""
    if int(parent["id"]) % 7 == 6:
        return []
    rows = []
    for index in range(LINKS_PER_PARENT):
        number = int(parent["id"]) * 10 + index
        arrays = series(workspace, f"{kind}/link{index}", parent, LINK_SERIES, resolution, starts)
        if unique:
            arrays = {name: [count // 2 for count in counts] for name, counts in arrays.items()}
        rows.append({"link": {"id": number, "href": f"https://example.com/{number}?a=b"}, "metric": {"series": arrays}})
    return rows


def journeys(workspace: Workspace, parent: Row, request: Request) -> Row:
    """`{"journey_metric": {...}}`, by the start of the journeys. All three parameters are required."""
    text = request.param("resolution") or ""
    start, end = integer(request, "start"), integer(request, "end")
    if text not in RESOLUTIONS or start is None or end is None:
        reject("start, end and resolution are required")
    starts = _between(RESOLUTIONS[text], start, end)
    return {"journey_metric": series(workspace, "journey", parent, JOURNEY_SERIES, RESOLUTIONS[text], starts)}


def iso_time(at: datetime) -> str:
    """A time as ISO 8601: `2025-01-01T00:00:00Z`, in another zone with its offset."""
    return at.isoformat().replace("+00:00", "Z")


def go_time(at: datetime) -> str:
    """A time as the language Go prints it: `2025-01-01 00:00:00 +0000 UTC`. This is not ISO 8601."""
    return at.strftime("%Y-%m-%d %H:%M:%S %z %Z")


def default_steps(resolution: str) -> int:
    """The number of steps without the parameter `steps`: the maximum, but 12 for months."""
    return DEFAULT_MONTHS if resolution == "months" else MAXIMUM_STEPS[resolution]


def _last(workspace: Workspace, request: Request, strict: bool) -> tuple[str, list[int]]:
    period = request.param("period") or "days"
    if period not in MAXIMUM_STEPS:
        if strict:
            reject("invalid period")
        period = "days"
    steps = request.param("steps") or ""
    count = min(int(steps), MAXIMUM_STEPS[period]) if steps.isdigit() and int(steps) else default_steps(period)
    return period, last_buckets(period, workspace.now, count)


def _between(resolution: str, start: int, end: int) -> list[int]:
    if end < start or end - start > _TEN_YEARS:
        reject("end must lie after start, by ten years at most")
    return buckets(resolution, start, end)


def _epoch(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
