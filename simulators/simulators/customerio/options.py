"""Options of the simulated vendor: limits, and behavior that is undocumented or documented differently than observed.

Each default was observed live. If nothing was observed, it is what the vendor documents. "Specification" is the
vendor's OpenAPI document of August and September 2026.
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

    retry_after: bool = True
    """Whether the 429 of the rate limit has `Retry-After`. The specification of August 2026 gives no 429 that header,
    the documentation of September does. So a 429 without it does not prove a daily quota.
    """

    daily_quota: int | None = None
    """Requests left of a daily quota. At 0 every answer is 429 without `Retry-After` (vendor's documentation)."""

    archived_per_day: int = 100
    """Reads of `/messages/{id}/archived_message` a day (vendor's documentation)."""

    forbidden: list[str] = field(default_factory=list)
    """Regular expressions. A path (without `/v1`) that contains a match is outside the scope of the key and answers
    `forbidden_status`.
    """

    forbidden_status: int = 403
    """What a path outside the scope of the key answers: 403, or 401 like an unknown key. Neither is specified."""

    vanished_as_400: list[str] = field(default_factory=list)
    """Regular expressions. A path (without `/v1`) that contains a match answers 400 in place of 404 for an id that
    does not exist. `[""]` means all paths. The specification has both statuses on most paths.
    """

    other_region: int = 401
    """What a key of the other region gets: 401, or a redirect (301, 307, 308) to the other region's host. The vendor's
    own client for Node.js expects the redirect; nothing is specified.
    """

    other_region_url: str = ""
    """Where that redirect leads, without a path. Empty: the real host of the other region."""

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

    two_pages: list[str] = field(default_factory=list)
    """Envelopes (`campaigns`, `contents`, `links`, ...) whose list has no pages and gets two: the first half has a
    `next`, which gives the second half. For lists that have pages, use `page_caps`.
    """

    left_out: list[str] = field(default_factory=list)
    """Envelopes whose rows have fields left out, down to a row without id and times (`answers.poorer` says which). The
    specification requires hardly any field.
    """

    drafts: str = "only"
    """What `drafts=true` does for messages: `only` answers drafts in place of what was sent (specification), `included`
    adds them.
    """

    human_counts: bool = False
    """In `metrics` of a delivery `human_opened`, `prefetch_opened`, `human_clicked` and `prefetch_clicked` are counts,
    as the specification describes them. Without this they are times like the others.
    """

    bare_template_ids: bool = False
    """`msg_template_ids` of broadcasts are numbers. Without this they are objects with `id` and `type`
    (specification).
    """

    go_dates: bool = False
    """Version 2 of the metrics answers dates as the language Go prints them. Without this they are ISO 8601
    (specification).
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
