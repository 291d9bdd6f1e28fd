"""Apps, accounts and visitors, their metadata, and the schema of the metadata."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from simulators.pendo.audience import distance
from simulators.pendo.periods import DAY_MS, HOUR_MS
from simulators.pendo.sizes import Size
from simulators.server import Row

DEFAULT_APP = -323232
WEB_APP = 6304859583021056
MOBILE_APP = 5720146138021888
APPS: tuple[Row, ...] = (
    {"id": DEFAULT_APP, "name": "console", "displayName": "Console", "platform": "web"},
    {"id": WEB_APP, "name": "storefront", "displayName": "Storefront", "platform": "web"},
    {"id": MOBILE_APP, "name": "companion", "displayName": "Companion", "platform": "ios"},
)

CROWD_VISITOR = "ann@example.com"
"""Has more rows in one day than fit on a small page."""
EXCLUDED_VISITOR = "qa-robot@example.com"
"""On the exclude list: an answer has its rows only with `blacklist` `ignore` or `only`."""
ANONYMOUS_PREFIX = "_PENDO_T_"

AWKWARD_ACCOUNTS = (
    "",
    'acme "east"',
    "acme\\west",
    "north/south+100%",
    "Straße ☃ 株式会社",
    "00123",
)
AWKWARD_VISITORS = (
    'quo"te@example.com',
    "back\\slash@example.com",
    'both\\"@example.com',
    "team/lead@example.com",
    "100%+1 x@example.com",
    "tick`tock'@example.com",
    "emoji-😀-ünï@example.com",
    "long-" + "x" * 320 + "@example.com",
    "Zed@example.com",
    "Ann@example.com",
    " leading space",
    "a#b?c=d&e@example.com",
)

_METADATA_TYPES: dict[str, dict[str, dict[str, str]]] = {
    "account": {
        "auto": {"id": "string", "idhash": "integer", "firstvisit": "time", "lastvisit": "time", "lastupdated": "time"},
        "agent": {"name": "string", "plan": "string", "seats": "integer", "created": "time"},
        "custom": {"region": "string", "ARR": "float", "arr": "float", "renewal": "time", "csm": "list"},
        "salesforce": {"ownername": "string", "accountvalue": "float"},
        "pendo_hubspot": {"lifecyclestage": "string"},
        "pendo": {"donotprocess": "boolean"},
    },
    "visitor": {
        "auto": {
            "id": "string",
            "idhash": "integer",
            "accountid": "string",
            "accountids": "list",
            "createdat": "time",
            "firstvisit": "time",
            "lastvisit": "time",
            "lastupdated": "time",
            "lastbrowsername": "string",
            "lastbrowserversion": "string",
            "lastoperatingsystem": "string",
            "lastservername": "string",
            "lastuseragent": "string",
        },
        "agent": {"email": "string", "name": "string", "language": "string", "signup": "time", "trial": "boolean"},
        "custom": {
            "userID": "string",
            "userId": "string",
            "tier": "integer",
            "score": "float",
            "labels": "list",
            "undetermined": "",
            "shape": "polygon",
            "retired": "string",
        },
        "salesforce": {"contactid": "string", "leadscore": "integer"},
        "pendo": {"donotprocess": "boolean", "designerenabled": "boolean", "lastemail": "time"},
    },
}


def metadata_schema(kind: str) -> dict[str, dict[str, Row]]:
    """`{group: {field: descriptor}}` of `account` or `visitor`. Any other kind gives `{}`, not an error (inferred)."""
    return {
        group: {name: _descriptor(name, type_) for name, type_ in fields.items()}
        for group, fields in _METADATA_TYPES.get(kind, {}).items()
    }


def _descriptor(name: str, type_: str) -> Row:
    return {
        "Type": type_,
        "DisplayName": name.capitalize(),
        "ElementType": "string" if type_ == "list" else "",
        "ElementFormat": "",
        "Dirty": False,
        "isHidden": name == "undetermined",
        "isDeleted": name == "retired",
        "isCalculated": False,
        "isPerApp": name in ("firstvisit", "lastvisit", "lastupdated"),
        "isPromoted": False,
        "neverIndex": False,
        "sample": None,
    }


def iso(ms: int) -> str:
    """A time as ISO 8601 text. Some metadata fields hold times in this form."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_BROWSERS = ("Chrome", "Chrome", "Edge", "Safari", "Chrome", "Firefox")


def _hash(text: str) -> int:
    return zlib.crc32(text.encode())


def _updated(rng: random.Random, number: int, now: int, last_visit: int | None = None) -> int:
    """A time of update. Every third row comes from one bulk upload, so these rows share one millisecond.

    With `last_visit` the others were updated then, and the upload was some weeks ago.
    """
    if last_visit is not None:
        uploaded = now - 40 * DAY_MS - 1
        return max(uploaded, last_visit) if number % 3 == 0 else min(last_visit + rng.randrange(HOUR_MS), now - 1)
    return now - 6 * DAY_MS - 1 if number % 3 == 0 else now - rng.randrange(60 * DAY_MS) - 1


def _visits(rng: random.Random, now: int, dormant: float = 0) -> Row:
    """First and last visit. With `dormant` the last one is up to about that many milliseconds ago."""
    last = now - int(dormant or rng.randrange(1, 20 * DAY_MS)) - 1
    return {"firstvisit": last - rng.randrange(300 * DAY_MS), "lastvisit": last}


def _per_app(rng: random.Random, auto: Row) -> Iterator[tuple[str, Row]]:
    for app in APPS:
        if rng.random() < 0.5:
            figures: Row = {name: auto[name] for name in ("firstvisit", "lastvisit", "lastupdated") if name in auto}
            yield f"auto__{abs(app['id'])}", figures


def make_accounts(rng: random.Random, size: Size, now: int) -> list[Row]:
    """Accounts with awkward ids and equal values of `lastupdated`.

    Some lack `lastupdated`, some `metadata.auto`, and some have no metadata at all.
    """
    ids = [*AWKWARD_ACCOUNTS, *(f"account-{number:04}" for number in range(size.accounts - len(AWKWARD_ACCOUNTS)))]
    return [_account(rng, number, account_id, now) for number, account_id in enumerate(ids)]


def _account(rng: random.Random, number: int, account_id: str, now: int) -> Row:
    auto = {
        "id": account_id,
        "idhash": _hash(account_id),
        **_visits(rng, now),
        "lastupdated": _updated(rng, number, now),
    }
    created = now - rng.randrange(400 * DAY_MS)
    metadata: Row = {
        "auto": auto,
        "agent": {"name": f"Customer {number}", "plan": rng.choice(("free", "pro")), "seats": str(number * 5)},
        "custom": {
            "region": rng.choice(("EMEA", "APAC")),
            "ARR": number * 1000.5,
            "arr": number,
            "renewal": iso(created),
        },
        "salesforce": {"ownername": rng.choice(("Kim", "Lou", None)), "accountvalue": number * 10.0},
        "pendo_hubspot": {"lifecyclestage": "customer"},
        **dict(_per_app(rng, auto)),
    }
    metadata["agent"]["created"] = created if number % 2 else iso(created)
    if number % 8 == 5:
        del auto["lastupdated"]
    elif number % 8 == 6:
        del metadata["auto"]
    elif number % 8 == 7:
        return {"accountId": account_id, "metadata": None}
    return {"accountId": account_id, "metadata": metadata}


def make_visitors(rng: random.Random, size: Size, accounts: list[Row], now: int) -> list[Row]:
    """Identified visitors with awkward ids, visitors with `donotprocess`, and anonymous visitors."""
    known = (CROWD_VISITOR, EXCLUDED_VISITOR, *AWKWARD_VISITORS)
    ids = [*known, *(f"user{number:05}@example.com" for number in range(size.visitors - len(known)))]
    ids += [f"{ANONYMOUS_PREFIX}{rng.getrandbits(60):012X}" for _ in range(size.anonymous)]
    account_ids = [account["accountId"] for account in accounts]
    return [
        _visitor(rng, number, visitor_id, account_ids, now, size.dormant_days) for number, visitor_id in enumerate(ids)
    ]


def _visitor(
    rng: random.Random, number: int, visitor_id: str, account_ids: list[str], now: int, dormant_days: int
) -> Row:
    if number % 11 == 10 and not visitor_id.startswith(ANONYMOUS_PREFIX):
        return {"visitorId": visitor_id, "metadata": {"pendo": {"donotprocess": True}}}
    mine = rng.sample(account_ids, rng.choice((0, 1, 1, 1, 2)))
    dormant = distance(visitor_id) ** 2 * dormant_days * DAY_MS * rng.uniform(0.5, 1)
    visits = _visits(rng, now, dormant)
    auto: Row = {
        "id": visitor_id,
        "idhash": _hash(visitor_id),
        "nid": number,
        "accountid": mine[0] if mine else "",
        "accountids": mine,
        **visits,
        "createdat": visits["firstvisit"],
        "lastupdated": _updated(rng, number, now, visits["lastvisit"] if dormant_days else None),
        "lastbrowsername": _BROWSERS[number % len(_BROWSERS)],
        "lastbrowserversion": "126.0.0",
        "lastoperatingsystem": rng.choice(("Mac OS X", "Windows")),
        "lastservername": "app.example.com",
        "lastuseragent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
    }
    if visitor_id.startswith(ANONYMOUS_PREFIX):
        return {"visitorId": visitor_id, "metadata": {"auto": auto}}
    metadata = {"auto": auto, **_visitor_groups(rng, number, visitor_id, now), **dict(_per_app(rng, auto))}
    return {"visitorId": visitor_id, "metadata": metadata}


def _visitor_groups(rng: random.Random, number: int, visitor_id: str, now: int) -> Row:
    signup = now - rng.randrange(300 * DAY_MS)
    agent: dict[str, Any] = {
        "email": visitor_id,
        "name": f"User {number}",
        "language": rng.choice(("en-US", "de-DE", "")),
        "signup": iso(signup) if number % 2 else signup,
        "trial": number % 4 == 0,
    }
    custom = {
        "userID": f"upper-{number}",
        "userId": f"lower-{number}",
        "tier": str(number % 5) if number % 2 else number % 5,
        "score": rng.choice((1, 2.5, None)),
        "labels": ["new", "vip"][: number % 3],
        "undetermined": rng.choice(("text", 7, None)),
        "shape": {"points": [[1, 2], [3, 4]]},
    }
    salesforce = {"contactid": f"003{number:012}", "leadscore": str(number * 3)}
    return {"agent": agent, "custom": custom, "salesforce": salesforce, "pendo": {"donotprocess": False}}
