"""The tables of a Heap environment, their columns, and values that look like theirs.

Column names come from the vendor's schema pages and from one customer's bucket, whose schema a public third-party
reader contains (four core tables and 63 event tables of 12 to 21 columns). There ids are integers, all other columns
are text, custom properties too, and `time` is last. About half of the values are null.
"""

import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from simulators.heap.avro_files import AvroType, Column
from simulators.heap.times import SESSION_TIME, TIME_COLUMNS

USERS, MIGRATIONS, SESSIONS, PAGEVIEWS = "users", "user_migrations", "sessions", "pageviews"
EVENT_METADATA = "_event_metadata"
"""A table in real manifests since 2022. Its columns are not known. The invented ones have no `event_id`."""

ID_COLUMNS = frozenset({"event_id", "user_id", "session_id", "from_user_id", "to_user_id"})

EVENT_TABLES = (
    "sign_up_click_link",
    "checkout_complete_order_web_",
    "_key_events_pm__order_confirmation_page_complete_order",
    "native_mobile_2_0__checkout_complete",
    "search_submit",
    "cart_add_to_cart",
    "video_play",
    "newsletter_sign_up",
    "2024_sale_banner_click",
    "account_change_plan",
    "help_open_article",
    "invite_send",
)
"""Names as Heap makes them: category and event in lower case.

Other characters in a row become one `_`, at the ends too.
"""

_EVENT_BASE = (
    *("event_id", "user_id", "session_id", "type", "library", "platform", "device_type"),
    *("country", "region", "city", "ip"),
)
_UTM = ("utm_source", "utm_campaign", "utm_medium", "utm_term", "utm_content")
_CORE: Mapping[str, tuple[str, ...]] = {
    USERS: ("user_id", "identity", "handle", "email", "plan_tier", "last_modified", "joindate"),
    MIGRATIONS: ("from_user_id", "to_user_id", "time"),
    SESSIONS: (
        *_EVENT_BASE,
        *("referrer", "landing_page", "browser", "utm_source", "utm_campaign", "utm_medium", "device", "app_name"),
        "time",
    ),
    PAGEVIEWS: (
        *_EVENT_BASE,
        *("path", "query", "referrer", "landing_page", "landing_page_query", "browser", *_UTM, "device", "carrier"),
        *("app_name", "app_version", "title", "user_agent", "time"),
    ),
}
_EVENT_PROPERTIES = (
    *("path", "title", "href", "target_text", "referrer", "utm_source", "session_time"),
    *("order_id", "cart_value", "logged_in", "productid", "coupon_", "renewal_time"),
)
_METADATA_COLUMNS = (Column("event_name"), Column("definition"), Column("version", "long"))

_VALUES: Mapping[str, tuple[str, ...]] = {
    "type": ("view page", "click", "submit", "change"),
    "library": ("web", "ios", "android"),
    "platform": ("Mac OS X 14.4", "Windows 11", "iOS 17.4", "Android 14"),
    "device_type": ("Desktop", "Mobile", "Tablet"),
    "country": ("United States", "Germany", "日本", "Brasil"),
    "region": ("California", "Bayern", "東京都", "São Paulo"),
    "city": ("San Francisco", "München", "千代田区", "Campinas"),
    "ip": ("203.0.113.7", "198.51.100.23", "2001:db8::1"),
    "path": ("/", "/pricing", "/cart", "/docs/getting-started", '/a "quoted" path'),
    "query": ("?ref=home", "?q=shoes&page=2", ""),
    "referrer": ("direct", "https://www.google.com/", "https://news.example.com/a?b=c"),
    "landing_page": ("https://shop.example.com/", "https://shop.example.com/sale"),
    "browser": ("Chrome 124", "Safari 17", "Firefox 125"),
    "utm_source": ("google", "newsletter"),
    "utm_medium": ("cpc", "email"),
    "title": ("Home", "Pricing — Shop", "Zeile\nUmbruch", "🛒 Cart"),
    "plan_tier": ("free", "pro", "enterprise"),
    "logged_in": ("true", "false"),
    "cart_value": ("19.99", "120", "0"),
    "renewal_time": ("09:30", "2024-05-01 09:30:00"),
    SESSION_TIME: ("2024-05-01 12:34:56.789", "2024-05-01 09:30:00"),
}
_NEVER_NULL = ID_COLUMNS | TIME_COLUMNS
_SELDOM_NULL = frozenset(_EVENT_BASE) | {"path", "title", "identity", "event_name"}


def columns_of(table: str) -> tuple[Column, ...]:
    """The first columns of a table. Each event table has its own properties, which do not depend on the seed."""
    if table == EVENT_METADATA:
        return _METADATA_COLUMNS
    if table in _CORE:
        return tuple(Column(name, "long" if name in ID_COLUMNS else "string") for name in _CORE[table])
    rng = random.Random(table)
    chosen = set(rng.sample(_EVENT_PROPERTIES, rng.randint(2, 6)))
    names = (*_EVENT_BASE, *(name for name in _EVENT_PROPERTIES if name in chosen), "time")
    types = {SESSION_TIME: "double", **dict.fromkeys(ID_COLUMNS, "long")}
    return tuple(Column(name, types.get(name, "string")) for name in names)


def key_of(columns: list[str], table: str, mode: str = "stitch") -> tuple[str, ...]:
    """The key columns of a table; empty if the table lacks one of them.

    `stitch` uses the keys of Stitch and Qlik. `heap` follows the vendor: an event id is unique for one user only.
    """
    if table in (USERS, MIGRATIONS):
        key: tuple[str, ...] = ("user_id",) if table == USERS else ("from_user_id",)
    elif mode == "heap":
        key = ("session_id", "user_id") if table == SESSIONS else ("user_id", "event_id")
    else:
        key = ("event_id",)
    return key if set(key) <= set(columns) else ()


def value_of(column: Column, rng: random.Random) -> Any:
    """A value of a column that is not an id and not an instant. None for about half of the custom properties."""
    if column.name not in _NEVER_NULL:
        share = 0.1 if column.name in _SELDOM_NULL else 0.5
        if rng.random() < share:
            return None
    if column.name == SESSION_TIME and column.type == "double":
        return rng.choice((0.0, 12.0, 12.5, 3725.25))  # the first event of a session has 0
    if column.type != "string":
        return typed_value(column.type, rng)
    known = _VALUES.get(column.name)
    return rng.choice(known) if known else f"{column.name} {rng.randrange(1000)}"


def typed_value(avro_type: AvroType, rng: random.Random) -> Any:
    """A value of an Avro type, as fastavro reads and writes it. Real dumps seem to have primitive types only."""
    if isinstance(avro_type, str):
        return _BY_TYPE[avro_type](rng)
    if isinstance(avro_type, list):
        return typed_value(rng.choice(avro_type), rng)
    if "logicalType" in avro_type:
        return _BY_LOGICAL_TYPE[avro_type["logicalType"]](rng)
    match avro_type["type"]:
        case "array":
            return [typed_value(avro_type["items"], rng) for _ in range(rng.randrange(3))]
        case "map":
            return {f"k{index}": typed_value(avro_type["values"], rng) for index in range(rng.randrange(3))}
        case "record":
            return {field["name"]: typed_value(field["type"], rng) for field in avro_type["fields"]}
        case "enum":
            return rng.choice(avro_type["symbols"])
        case _:
            return bytes(rng.randrange(256) for _ in range(avro_type["size"]))


def zero_of(column: Column) -> Any:
    """The value of a column without a union that stands for no value."""
    zeros: Mapping[str, Any] = {"string": "", "boolean": False, "bytes": b"", "float": 0.0, "double": 0.0}
    return zeros.get(column.type, 0) if isinstance(column.type, str) else None


_BY_TYPE: Mapping[str, Callable[[random.Random], Any]] = {
    "null": lambda rng: None,
    "string": lambda rng: f"value {rng.randrange(1000)}",
    "long": lambda rng: rng.choice((0, -1, 2**53 + 1, 2**63 - 1, -(2**63), rng.randrange(10**6))),
    "int": lambda rng: rng.choice((0, -(2**31), 2**31 - 1, rng.randrange(1000))),
    "double": lambda rng: rng.choice((0.0, -1.5, 0.1, 1e300, 1e-7, rng.random())),
    "float": lambda rng: rng.choice((0.0, 0.5, -2.25, 1024.0)),
    "boolean": lambda rng: rng.random() < 0.5,
    "bytes": lambda rng: rng.choice((b"", b"plain", "Z\u00fcrich".encode())),
}
_BY_LOGICAL_TYPE: Mapping[str, Callable[[random.Random], Any]] = {
    "timestamp-millis": lambda rng: _moment(rng, 1_000),
    "timestamp-micros": lambda rng: _moment(rng, 1),
    "date": lambda rng: _moment(rng, 1).date(),
    "decimal": lambda rng: Decimal(rng.randrange(-(10**6), 10**6)).scaleb(-2),
    "uuid": lambda rng: uuid.UUID(int=rng.getrandbits(128), version=4),
}


def _moment(rng: random.Random, step_micros: int) -> datetime:
    micros = rng.randrange(0, 2 * 10**15, step_micros)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
