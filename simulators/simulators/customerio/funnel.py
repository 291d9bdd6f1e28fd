"""How many messages, opens, clicks and the like a parent has on a day. All of it is invented.

A number depends on seed, parent, series and day only. Each step is a part of the one before: nobody opens what was not
delivered, and nobody clicks what was not opened. Each parent has its own volume and its own shares. On weekends less is
sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import lru_cache

_SHARES: Mapping[str, tuple[str, float, float]] = {
    "attempted": ("created", 1.0, 1.0),
    "sent": ("attempted", 0.97, 1.0),
    "delivered": ("sent", 0.95, 0.995),
    "opened": ("delivered", 0.12, 0.5),
    "human_opened": ("opened", 0.6, 0.9),
    "clicked": ("opened", 0.06, 0.3),
    "human_clicked": ("clicked", 0.7, 0.95),
    "converted": ("clicked", 0.05, 0.4),
    "unsubscribed": ("delivered", 0.0, 0.012),
    "2xx": ("attempted", 0.95, 1.0),
    "5xx": ("attempted", 0.0, 0.02),
    "activated": ("started", 0.85, 1.0),
    "messaged": ("activated", 0.8, 0.98),
    "finished": ("messaged", 0.4, 0.8),
    "exited_early": ("messaged", 0.03, 0.15),
}
"""The series that a series is a part of, and the least and the greatest share that a parent has of it."""

_RESTS = {
    "prefetch_opened": ("opened", "human_opened"),
    "machine_clicked": ("clicked", "human_clicked"),
    "bounced": ("sent", "delivered"),
    "never_activated": ("started", "activated"),
}
"""What is left of a series without another one."""

_NOT_EVERY_DAY = {"3xx", "4xx"}
_WEEKDAYS = (1.1, 1.0, 1.0, 0.7, 0.35, 0.4, 0.9)
"""From Thursday on, because 1970-01-01 was one."""
_LINKS = (0.6, 0.3)
"""The shares of the first two links of a parent in its clicks. The last link has the rest."""


def chance(text: str) -> float:
    """A number from 0 to before 1 that depends on a text."""
    return zlib.crc32(text.encode()) / (1 << 32)


@lru_cache(maxsize=10_000)
def share(seed: int, parent: str, series: str) -> float:
    """The share of a series in the one before it, such as the opened messages of those delivered to a parent's people.

    `parent` is a kind and an id: `campaigns/4`.
    """
    _, least, most = _SHARES[series]
    return least + (most - least) * chance(f"{seed}/{parent}/{series}")


@lru_cache(maxsize=500_000)
def of_day(seed: int, parent: str, series: str, day: int) -> int:
    """The number of a series on a day, in days since 1970. The parent of a link is `campaigns/link0/4`."""
    kind, *link, number = parent.split("/")
    if link:
        return _of_link(of_day(seed, f"{kind}/{number}", series, day), int(link[0].removeprefix("link")))
    if series in _RESTS:
        whole, part = _RESTS[series]
        return of_day(seed, parent, whole, day) - of_day(seed, parent, part, day)
    if series == "converted" and kind == "journey":
        return _part(of_day(seed, parent, "messaged", day), 0.04 + 0.1 * chance(parent), f"{seed}/{parent}/{day}")
    if series in _NOT_EVERY_DAY:
        return int(chance(f"{seed}/{parent}/{series}/{day}") < 0.05)
    if series in _SHARES:
        whole_of_it = of_day(seed, parent, _SHARES[series][0], day)
        return _part(whole_of_it, share(seed, parent, series), f"{seed}/{parent}/{series}/{day}")
    volume = 40 * 9 ** chance(f"{seed}/{parent}")
    return round(volume * _WEEKDAYS[day % 7] * (0.8 + 0.4 * chance(f"{seed}/{parent}/{series}/{day}")))


def _part(whole: int, of_it: float, text: str) -> int:
    """A share of a number, a little more or less each day. The fraction becomes 0 or 1 by chance."""
    exact = whole * of_it * (0.85 + 0.3 * chance(text))
    return min(whole, int(exact) + (chance(f"{text}/rest") < exact % 1))


def _of_link(clicks: int, link: int) -> int:
    parts = [int(clicks * of_it) for of_it in _LINKS]
    return parts[link] if link < len(parts) else clicks - sum(parts)
