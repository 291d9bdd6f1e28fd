"""What the columns mean that Heap's tables have of themselves, for the catalog.

By Heap's and Contentsquare's pages, and by Stitch's page of Heap, which repeats an older one of Heap's. `(inferred)`
marks a column that only another vendor's table reference or one bucket's files name. docs/heap-columns.md says the same
with the certainty of each column. Properties that a customer defined have none here; one that is named like a column of
Heap's would get Heap's.
"""

from __future__ import annotations

from collections.abc import Mapping

from source_heap.avro.schema import JsonSchema
from source_heap.streams.keys import MIGRATIONS, SESSIONS, USERS

_PAGEVIEWS = "pageviews"
_UTM = ("source", "medium", "campaign", "term", "content")

#: Columns that mean the same in sessions, page views and event tables
_OF_EVENTS: dict[str, str] = {
    "user_id": "The user, as known at that time: not resolved",
    "session_id": "The session in which it happened; with `user_id` it joins `sessions`",
    "type": "Kind of event",
    "library": "What recorded it, such as `web`, `ios` or `android`",
    "platform": "Operating system of the device",
    "device_type": "`Mobile`, `Tablet` or `Desktop`",
    "country": "Country, by the IP address",
    "region": "Region, by the IP address",
    "city": "City, by the IP address",
    "ip": "IP address of the user",
    "referrer": "Web: the address that led to the site; `direct` or null without one (the pages differ)",
    "landing_page": "Web: the address of the session's first page view",
    "landing_page_query": "Web: the query of the landing page (inferred)",
    "landing_page_hash": "Web: the fragment of the landing page (inferred)",
    "browser": "Web: the browser",
    "search_keyword": "Web: the search term that led to the site",
    "device": "App: model of the device",
    "carrier": "App: mobile carrier",
    "app_name": "App: its name",
    "app_version": "App: its version",
    **{f"utm_{part}": f"Web: `utm_{part}` of the session's first page view" for part in _UTM},
}
_OF_PAGES: dict[str, str] = _OF_EVENTS | {
    "event_id": "Random id of the page view. Two users may have one with the same id",
    "time": "When the page was viewed",
    "path": "Web: path of the page",
    "query": "Web: query of the page",
    "hash": "Web: fragment of the page",
    "title": "Web: title of the page",
    "domain": "Web: host of the page (inferred)",
    "heap_previous_page": "Web: the page before (inferred)",
    "user_agent": "Web: user agent of the browser (inferred)",
    "session_time": (
        "Legacy and internal in Heap, not for analysis; seconds since the start of the session in Contentsquare"
    ),
    "view_controller": "iOS: name of the view controller",
    "screen_a11y_id": "iOS: accessibility id of the view controller",
    "screen_a11y_label": "iOS: accessibility label of the view controller",
}
_CORE: Mapping[str, dict[str, str]] = {
    USERS: {
        "user_id": "Random id of the user",
        "identity": "What your site passed to `identify`; one user at most has it",
        "handle": "The user's name or another unique token",
        "email": "E-mail address of the user",
        "joindate": "When the user was first seen",
        "last_modified": "When the user was last changed",
    },
    MIGRATIONS: {
        "from_user_id": "The id that is no longer used",
        "to_user_id": "The id of the person it belongs to. It need not be a row of `users` (inferred)",
        "time": "When the two were found to be one; null where Heap wrote 0",
    },
    SESSIONS: _OF_EVENTS
    | {
        "event_id": "Random id of the session's own event",
        "session_id": "Random id of the session",
        "time": "When the session began",
    },
    _PAGEVIEWS: _OF_PAGES,
}
_EVENT_TABLE: dict[str, str] = _OF_PAGES | {
    "event_id": "Random id of the event. Two users may have one with the same id",
    "time": "When it happened",
    "type": (
        "Web: `view page`, `click`, `submit` or `change`; iOS: `touch`, an edit or a gesture; an event of your own "
        "code: its name"
    ),
    "href": "Web: where the link leads",
    "target_text": "Text of the button or link",
    "action_method": "iOS: name of the method that the event called",
    "target_view_class": "iOS: class of the target",
    "target_view_name": "iOS: variable of the target",
    "target_a11y_id": "iOS: accessibility id of the target",
    "target_a11y_label": "iOS: accessibility label of the target",
    "pageview_id": "`event_id` of the page view in which it happened (inferred)",
}


def described(table: str, columns: Mapping[str, JsonSchema]) -> dict[str, JsonSchema]:
    """The schemas of a table's columns, with descriptions of those that are Heap's own.

    Only a table with `event_id` is one of events. What other tables hold, such as `_event_metadata`, is not known.
    """
    meanings = _CORE.get(table, _EVENT_TABLE if "event_id" in columns else {})
    return {name: _described(schema, meanings.get(name)) for name, schema in columns.items()}


def _described(schema: JsonSchema, meaning: str | None) -> JsonSchema:
    return schema if meaning is None else {"description": meaning, **schema}
