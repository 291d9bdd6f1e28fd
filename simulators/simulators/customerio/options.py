"""Options of the simulated vendor: limits, and behavior that is undocumented or documented differently than observed.

Each default was observed live. If nothing was observed, it is what the vendor documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Options:
    """Change an option in the same process (`sim.options.rate_limit = None`) or over HTTP.

    Over HTTP: `POST /_sim/mutate {"name": "options", "rate_limit": 0}`.
    """

    rate_limit: int | None = 10
    """Requests in any second, for all endpoints together (vendor's documentation). None or 0: no limit."""

    daily_quota: int | None = None
    """Requests left of a daily quota. At 0 every answer is 429 without `Retry-After` (vendor's documentation)."""

    archived_per_day: int = 100
    """Reads of `/messages/{id}/archived_message` a day (vendor's documentation)."""

    forbidden: list[str] = field(default_factory=list)
    """Regular expressions. A path (without `/v1`) that contains a match is outside the scope of the key and answers
    403. The status is inferred.
    """

    over_limit: str = "clamp"
    """For a `limit` above the maximum: `clamp` uses the maximum, `error` answers 400. Neither is documented."""

    page_caps: dict[str, int] = field(default_factory=dict)
    """The most rows a page, by envelope (`messages`, `activities`, `identifiers`, `newsletters`, `suppressions`, ...),
    whatever `limit` says. Gives many pages from few rows. The real `newsletters` has such a cap."""

    null_when_empty: bool = False
    """Every empty list is `null`. Without this, `null` are only the lists that were observed as `null`."""

    empty_pages: list[str] = field(default_factory=list)
    """Envelopes (`messages`, `identifiers`) that have an empty page, with a `next`, between two pages."""

    wrap_customers: bool = False
    """Wrap each person of `POST /customers/attributes` in `{"customer": ...}`, as the specification says. Live answers
    have no wrapper.
    """

    drafts: str = "included"
    """What `drafts=true` does for messages: `included` adds the drafts, `only` answers drafts alone. The vendor's
    descriptions differ.
    """

    object_search_or: bool = True
    """Whether the filter of `POST /objects` knows `or`; without it `or` is a 400. Only people's search documents it."""

    export_polls: int = 2
    """How often the status of a started export is read before the export is finished."""

    activity_order: str = "newest first"
    """How activities are sorted: `newest first` by their time (observed), `oldest first`, or by `id`, which is
    no order at all.
    """

    repeat_token: str = ""
    """An envelope whose `next` repeats the token of the request, as a server with an endless loop does."""

    def change(self, **values: Any) -> None:
        """Set options by name. KeyError for an unknown name."""
        unknown = set(values) - {item.name for item in fields(self)}
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        for name, value in values.items():
            setattr(self, name, value)
