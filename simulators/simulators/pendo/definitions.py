"""What the users of Pendo define: pages, features, guides, track types, reports and segments."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass

from simulators.pendo.directory import APPS, DEFAULT_APP
from simulators.pendo.names import FEATURES, GUIDES, PAGES, REPORTS, SEGMENTS, TRACK_TYPES
from simulators.pendo.periods import DAY_MS
from simulators.server import Row

PICKS = ("003isdx53ctwpf", "0041kd82hgtwqz")
"""Ids of the answers `Yes` and `No` of a pick list."""

KINDS = ("pages", "features", "guides", "trackTypes", "reports", "segments")


@dataclass(frozen=True)
class Definition:
    """A row as the vendor answers it, and its app: the rows of reports and segments do not name their app."""

    row: Row
    app: int


def make_definitions(rng: random.Random, count: int, now: int) -> dict[str, list[Definition]]:
    """`count` definitions of every kind, spread over all apps. The default app has about half of them."""
    made: dict[str, list[Definition]] = {kind: [] for kind in KINDS}
    for number in range(count):
        app = DEFAULT_APP if number % 2 == 0 else APPS[1 + number // 2 % 2]["id"]
        page = _page(rng, number, app, now)
        rows = {
            "pages": page,
            "features": _feature(rng, number, app, now, page["id"]),
            "guides": _guide(rng, number, app, now),
            "trackTypes": _track_type(rng, number, app, now),
            "reports": _report(rng, number, app, now),
            "segments": _segment(rng, number, now),
        }
        for kind, row in rows.items():
            made[kind].append(Definition(row, app))
    return made


def make_private(rng: random.Random, now: int) -> dict[str, list[Definition]]:
    """Private reports and unshared segments, which no list has until the mutation `share` makes them public.

    One of the reports is an Account Report.
    """
    kinds = ("Account Report", "Visitor Report")
    private = [_report(rng, 100 + number, DEFAULT_APP, now) | {"type": kind} for number, kind in enumerate(kinds)]
    return {
        "reports": [Definition(row | {"shared": False}, DEFAULT_APP) for row in private],
        "segments": [Definition(_segment(rng, 100, now) | {"shared": False}, DEFAULT_APP)],
    }


def _named(names: Sequence[str], number: int) -> str:
    """A name of its own for each number."""
    lap, place = divmod(number, len(names))
    return names[place] if lap == 0 else f"{names[place]} {lap + 1}"


def new_id(rng: random.Random) -> str:
    """An id in the form of Pendo's: 27 characters of base64url."""
    return base64.urlsafe_b64encode(rng.randbytes(20)).decode().rstrip("=")


def _user(rng: random.Random, *, whole: bool) -> Row:
    first, last, number = rng.choice((("Ann", "Lee", 491), ("Bo", "Ng", 522), ("Cy", "Roe", 538)))
    stub: Row = {"id": str(number), "username": f"{first.lower()}@example.com"}
    if whole:
        stub |= {
            "first": first,
            "last": last,
            "role": 8,
            "userType": "user",
            "hasLoggedIn": True,
            "lastLogin": 1770000000000 + number,
            "deletedAt": 0,
            "visitorIds": [f"{first.lower()}@example.com"],
        }
    return stub


def _common(rng: random.Random, kind: str, name: str, now: int) -> Row:
    """The fields that every definition has. About a third of the definitions share one `lastUpdatedAt`."""
    updated = now - 3 * DAY_MS - 1 if rng.random() < 0.3 else now - rng.randrange(1, 200 * DAY_MS)
    object_id = new_id(rng)
    return {
        "id": object_id,
        "kind": kind,
        "name": name,
        "createdAt": updated - rng.randrange(200 * DAY_MS),
        "lastUpdatedAt": updated,
        "createdByUser": _user(rng, whole=True),
        "lastUpdatedByUser": _user(rng, whole=False),
        "rootVersionId": object_id,
        "stableVersionId": f"{object_id}-20260201",
    }


def _group(rng: random.Random) -> Row:
    return {
        "id": "grp0-exampleexampleexample0",
        "name": rng.choice(("Finance", "Admin")),
        "type": "group",
        "color": ".groupColor03",
        "description": "",
        "length": 4,
        "items": None,
        "createdAt": 1700000000000,
        "createdByUser": _user(rng, whole=False),
        "lastUpdatedAt": 1700000000001,
        "lastUpdatedByUser": _user(rng, whole=False),
    }


def _page(rng: random.Random, number: int, app: int, now: int) -> Row:
    return {
        **_common(rng, "Page", _named(PAGES, number), now),
        "appId": app,
        "appIds": [app],
        "suggestedName": None,
        "isSuggested": False,
        "isAutoTagged": False,
        "isCoreEvent": number == 0,
        "color": "",
        "description": "",
        "dirty": False,
        "group": _group(rng),
        "rules": [
            {
                "rule": f"//*/p{number}/**",
                "designerHint": f"https://app.example.com/p{number}/1",
                "parsedRule": f"^https?://[^/]*/p{number}/",
            }
        ],
        "rulesjson": "" if number % 2 else [],
        "validThrough": now,
        "dailyMergeFirst": now - 300 * DAY_MS,
        "dailyRollupFirst": now - 300 * DAY_MS,
        "ignoredFrustrationTypes": [],
        "tagMaintenanceExclude": False,
    }


def _feature(rng: random.Random, number: int, app: int, now: int, page_id: str) -> Row:
    return {
        **_common(rng, "Feature", _named(FEATURES, number), now),
        "appId": app,
        "appWide": number % 3 == 0,
        "pageId": page_id,
        "isCoreEvent": False,
        "color": "",
        "dirty": False,
        "group": _group(rng),
        "elementPathRules": [f"#button-{number}", f".save-{number}"],
        "elementInitialTag": "button",
        "elementSelectionType": "custom",
        "suggestedMatch": None,
        "createdDesignerVersion": "2.0",
        "eventPropertyConfigurations": [
            {"name": "label", "path": "", "pattern": "", "rule": "", "selector": "#x", "type": "text", "isActive": True}
        ],
        "validThrough": now,
    }


def _guide(rng: random.Random, number: int, app: int, now: int) -> Row:
    common = _common(rng, "Guide", _named(GUIDES, number), now)
    state = ("public", "staged", "draft", "disabled")[number % 4]
    polls = _polls(rng, number)
    steps = [
        _step(rng, common, rank, [poll["id"] for poll in polls] if rank == 0 else [])
        for rank in range(3 if number % 3 == 0 else 1)
    ]
    return {
        **common,
        "appId": app,
        "appIds": [app],
        "description": "",
        "state": state,
        "emailState": "",
        "launchMethod": ("auto", "badge", "launcher-badge")[number % 3],
        "isMultiStep": len(steps) > 1,
        "isModule": False,
        "isTopLevel": True,
        "isTraining": False,
        "editorType": "vds",
        "authoredLanguage": "en-US",
        "publishedAt": common["createdAt"] + 1 if state == "public" else 0,
        "publishedEver": state == "public",
        "resetAt": 0,
        "showsAfter": 0,
        "expiresAfter": None,
        "recurrence": 0,
        "attributes": {"type": "building-block", "device": {"type": "desktop"}, "priority": number},
        "audience": [{"source": {"visitors": None}}, {"select": {"visitorId": "visitorId"}}],
        "audienceUiHint": {"filters": [{"kind": "role", "value": "admin"}]},
        "polls": polls,
        "steps": steps,
        "translationStates": None,
        "dependentMetadata": [],
        "validThrough": now,
    }


def _polls(rng: random.Random, number: int) -> list[Row]:
    """An NPS guide has two polls: a score and a free text. Other guides have one pick list, or no poll."""
    if number % 3 == 0:
        text = {
            "id": new_id(rng),
            "question": "Why?",
            "resetAt": 0,
            "attributes": {"type": "FreeForm", "maxLength": 500},
        }
        score = {
            "id": new_id(rng),
            "question": "How likely are you to recommend us?",
            "resetAt": 0,
            "attributes": {"type": "NPSRating", "display": "", "followUp": text["id"]},
            "numericResponses": list(range(11)),
        }
        return [score, text]
    if number % 3 == 1:
        responses = dict(zip(PICKS, ("Yes", "No"), strict=True))
        return [
            {"id": new_id(rng), "question": "Useful?", "attributes": {"type": "PickList"}, "idResponses": responses}
        ]
    return []


def _step(rng: random.Random, guide: Row, rank: int, poll_ids: list[str]) -> Row:
    step_id = new_id(rng)
    return {
        "id": step_id,
        "guideId": guide["id"],
        "name": f"Step {rank + 1}",
        "type": "lightbox",
        "contentType": "text/html; charset=utf-8",
        "contentUrl": f"https://content.example.com/{step_id}/guide.html",
        "contentUrlCss": "",
        "contentUrlJs": "",
        "rank": 1_000_000 + rank,
        "advanceMethod": "button",
        "elementPathRule": "",
        "pageId": "",
        "pollIds": poll_ids,
        "regexUrlRule": "",
        "resetAt": 0,
        "lastUpdatedAt": guide["lastUpdatedAt"],
        "attributes": {"height": 300, "width": 500, "autoHeight": True, "css": ""},
    }


def _track_type(rng: random.Random, number: int, app: int, now: int) -> Row:
    return {
        **_common(rng, "TrackType", _named(TRACK_TYPES, number), now),
        "appId": app,
        "trackTypeName": f"widget.saved.{number}",
        "trackTypeRules": [f"widget.saved.{number}"],
        "eventPropertyNameList": ["widgetname", "size"] if number % 2 else None,
        "isCoreEvent": False,
        "dirty": number == 1,
        "color": "",
        "group": _group(rng),
    }


def _report(rng: random.Random, number: int, app: int, now: int) -> Row:
    common = _common(rng, "Report", _named(REPORTS, number), now)
    return {
        **common,
        "type": ("Visitor Report", "Funnel")[number % 2],
        "level": "app",
        "scope": "",
        "share": "",
        "shared": True,
        "target": "",
        "definition": {"config": {"appId": str(app) if number % 2 else app, "steps": [{"n": 1}]}},
        "aggregation": {"fields": [{"field": "visitorId"}], "pipeline": [{"source": {"visitors": None}}]},
        "aggregationList": [],
        "lastRunAt": common["lastUpdatedAt"],
        "lastSuccessRunAt": common["lastUpdatedAt"],
        "lastSuccessRunObj": {"status": "ok"},
        "ownedByUser": _user(rng, whole=True),
    }


_SEGMENT_FILTERS: tuple[Row, Row] = (
    {"kind": "account", "field": "agent.plan", "operator": "==", "value": "pro"},
    {"kind": "visitor", "field": "agent.trial", "operator": "==", "value": True},
)


def _segment(rng: random.Random, number: int, now: int) -> Row:
    return {
        **_common(rng, "Segment", _named(SEGMENTS, number), now),
        "definition": {"filters": [_SEGMENT_FILTERS[number % 3 == 2]]},
        "pipeline": [{"source": {"visitors": None}}, {"identified": "visitorId"}],
        "shared": True,
        "createdByApi": number % 2 == 1,
        "dependentMetadata": [],
    }
