"""`/status` for people: one page without scripts that shows what the JSON says, in words."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from webhook_inlet.pages.status_concerns import LOUD_SECONDS, age, concerns, refused, same_moment

TEMPLATES = Path(__file__).parent / "templates"
REFRESH_SECONDS = 5
#: Lanes are folded away if there are more, and the page names no more of them than the second number
FOLD_LANES = 3
MOST_LANES = 50

_STYLE = (TEMPLATES / "status.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization",
}

SOURCES = {"customerio": "Customer.io", "pendo": "Pendo", "standard": "Standard Webhooks"}
#: Where the sender's URL and secret are set
PLACES = {
    "customerio": "Data & Integrations > Integrations > Reporting Webhooks",
    "pendo": "Settings > Integrations > Webhooks",
    "standard": "the sender's page for webhooks",
}
#: What follows a refused post
AFTER_REFUSAL = {
    "customerio": "Customer.io waits an hour, keeps later events back meanwhile, and drops an event after 7 days.",
    "pendo": "Pendo does not promise to send a refused event again.",
    "standard": "Whether a refused event is sent again is up to the sender.",
}
ROWS = (
    ("received", "Received", "All posts on this inlet's path"),
    ("stored", "Stored", "New events, in the log and answered with 200"),
    ("duplicate", "Duplicates", "Events that the log had already; answered with 200"),
    ("too_large", "Too large, cut", "Larger than max_body: stored without their end; answered with 200"),
    ("bad_signature", "Wrong signature (401)", "Refused"),
    ("shed", "Put off (503)", "The store was too slow or full; the sender tries again"),
    ("error", "Errors (503)", "The sender tries again"),
)


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars of the events of each minute; heights and the axis in percent."""

    bars: list[tuple[int, float, str]]  # place, height, words
    top: int
    words: str


def plot(counts: Sequence[int], now: float) -> Plot:
    """The last minute of `counts` is the running one."""
    top = round_up(max(counts, default=0))
    minute = int(now // 60) * 60
    bars = []
    for place, count in enumerate(counts):
        at = clock(minute - 60 * (len(counts) - 1 - place))
        bars.append((place, round(100 * count / top, 2), f"{at} UTC: {number(count)}"))
    words = f"Events a minute in the last hour: {number(sum(counts))} in all, {number(max(counts, default=0))} at most"
    return Plot(bars, top, words)


def round_up(count: int) -> int:
    """An even top for an axis, not much above the largest count: 2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40 ... 120 ..."""
    tenth: int = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    steps = (2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100)
    return next(step * tenth for step in steps if step * tenth >= count)


def number(count: int) -> str:
    """`12,345`; from a million on three digits, as `1.23 M` and `98.8 bn`, so that a phone's table has room for it."""
    if count < 1_000_000:
        return f"{count:,}"
    value, unit = (count / 1e6, "M") if count < 999_500_000 else (count / 1e9, "bn")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def duration(seconds: float) -> str:
    """A time in the largest unit that gives at least 1: `12 s`, `5 min`, `3 h`, `2 days`."""
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86_400)} days"


def ago(at: str | None, now: float) -> str:
    """How long ago an instant was, in words."""
    if at is None:
        return "never"
    seconds = age(at, now)
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"


def clock(seconds: float) -> str:
    """`14:05`, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M}"


def utc(at: str) -> str:
    """An instant for a tooltip: `2026-03-01 04:00:00 UTC`."""
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """Bytes as `53.7 GB`."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def secret_name(place: int) -> str:
    """A secret by its place in the configuration, counted from 0 as in the lines of the log."""
    return "No signature asked for" if place < 0 else f"Place {place}"


def secrets_of(inlet: dict[str, Any]) -> list[tuple[str, int, str | None]]:
    """Name, posts and last use of each secret; also of those that verified nothing since the start."""
    places = sorted({*map(int, inlet["secrets_used"]), *range(inlet["secrets_configured"])})
    used, at = inlet["secrets_used"], inlet["secrets_last_used_at"]
    return [(secret_name(place), used.get(str(place), 0), at.get(str(place))) for place in places]


def page(status: dict[str, Any], now: float, refresh: bool = True) -> str:
    """The page. `status` is the JSON of `/status`, `now` its time in epoch seconds; `refresh`: loads itself again."""
    return _template.render(
        status=status,
        now=now,
        concerns=concerns(status, now),
        refresh=REFRESH_SECONDS if refresh else None,
        style=_STYLE,
        clock_now=f"{datetime.fromtimestamp(now, UTC):%H:%M:%S}",
    )


_environment = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_environment.filters.update(number=number, duration=duration, utc=utc, size=size)
_environment.globals.update(
    ago=ago,
    age=age,
    refused=refused,
    same_moment=same_moment,
    plot=plot,
    secrets_of=secrets_of,
    SOURCES=SOURCES,
    PLACES=PLACES,
    AFTER_REFUSAL=AFTER_REFUSAL,
    ROWS=ROWS,
    LOUD_SECONDS=LOUD_SECONDS,
    FOLD_LANES=FOLD_LANES,
    MOST_LANES=MOST_LANES,
)
_template = _environment.get_template("status.html")
