"""Switches of the simulated vendor: limits, and behaviors that are undocumented or differ between documentation and
observation.

Every default is what was observed live, or what the vendor documents where nothing was observed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Options:
    """Changed in-process (`sim.options.rate_limit = None`) or over HTTP (`POST /_sim/mutate {"name": "options",
    ...}`).
    """

    rate_limit: int | None = 10
    """Requests in any rolling second of one key, over all endpoints (vendor's documentation). None or 0: no limit."""

    daily_quota: int | None = None
    """Requests left of a daily quota; used up, every answer is 429 without `Retry-After` (vendor's documentation)."""

    archived_per_day: int = 100
    """Reads of `/messages/{id}/archived_message` a day (vendor's documentation)."""

    forbidden: list[str] = field(default_factory=list)
    """Regular expressions; a path (without `/v1`) in which one is found is outside the key's scope: 403. The status is
    inferred.
    """

    over_limit: str = "clamp"
    """What a `limit` above the maximum does: `clamp` or `error` (400). Neither is documented."""

    page_caps: dict[str, int] = field(default_factory=dict)
    """Rows that the server gives at most for an envelope (`messages`, `activities`, `identifiers`, `newsletters`,
    `suppressions`, ...), whatever `limit` says: makes many pages of little data. A silent cap, as `newsletters` has
    one."""

    null_when_empty: bool = False
    """Every empty list is `null`; without it only those four are that were seen so, and a messages window is `[]`."""

    empty_pages: list[str] = field(default_factory=list)
    """Envelopes (`messages`, `identifiers`) that put an empty page with a `next` after their first page."""

    wrap_customers: bool = False
    """Items of `POST /customers/attributes` inside `{"customer": ...}`, as the specification has it; live they are
    bare.
    """

    drafts: str = "included"
    """What `drafts=true` does on messages: `included` adds the drafts, `only` leaves the rest out. Descriptions
    differ.
    """

    export_polls: int = 2
    """Reads of an export's status before one that was started here is done."""

    activity_order: str = "newest first"
    """How activities are sorted: `newest first` by their time (observed), `oldest first`, or by `id`, which is
    no order at all.
    """

    repeat_token: str = ""
    """An envelope whose `next` is the token that was just sent: a server in a loop."""

    def change(self, **values: Any) -> None:
        """Set switches by name; KeyError for a name that does not exist."""
        unknown = set(values) - {item.name for item in fields(self)}
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        for name, value in values.items():
            setattr(self, name, value)
