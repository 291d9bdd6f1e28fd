"""The questions to a subscription of Pendo."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from report import Answer, Api, Report, Row, counted, kinds, likeness, likenesses, members, shape, words
from source_pendo.aggregation import quote as literal
from source_pendo.config import Config

MOST_REQUESTS = 60
PER_SECOND = 3
SAMPLE = 500
DAY_MS = 86_400_000
ALL_APPS = 'expandAppIds("*")'
#: Members of errors and envelopes
ENVELOPE = frozenset({"message", "error", "errors", "results", "startTime", "details", "validThrough"})
#: Members of rows that Pendo's documentation names
NAMES = ENVELOPE | words(
    "id appId appIds name kind platform visitorId accountId accountIds guideId guideStepId pollId pollResponse "
    "response time type statusId effort impact onBehalfOfId onBehalfOfType ownedByUserId vocItemId createdById "
    "createdByType strength revoked firstSeenAt lastSeenAt lastState seenCount lastAdvancedAutoAt "
    "lastDismissedAutoAt lastTimeoutAt lastNotSeenAt eventId browserTime color description length items itemId "
    "itemType createdAt createdByUser lastUpdatedAt lastUpdatedByUser stableVersionId state valid writeAccess "
    "doNotProcess parentAccountId metadata day hour week month numEvents numMinutes server remoteIp userAgent "
    "pageId featureId trackTypeId"
)
#: Words of errors that show which rule refused a question; nothing else of a text is shown
PHRASES = (
    *("missing jzb", "unexpected parameters", "unknown source", "Query exceeded memory limit", "bad pipeline"),
    *("Cannot parse filter expression", "no period specified", "rateLimitExceeded", "invalid integration key"),
)
#: Sources that the documentation names and shows no answer of
SOURCES: tuple[tuple[str, Any, bool], ...] = (
    ("apps", None, False),
    ("groups", {"items": True, "groupType": "group"}, False),
    ("groups", {"items": True, "groupType": "guideCategory"}, False),
    ("doNotProcessVisitors", None, False),
    ("doNotProcessAccounts", None, False),
    ("pollsSeenEver", {"appId": ALL_APPS}, False),
    ("guidesSeenEver", {"appId": ALL_APPS}, False),
    ("emailEvents", {"appId": ALL_APPS}, True),
    ("vocItems", {"appId": [ALL_APPS], "type": "feedback"}, False),
    ("vocItems", {"appId": [ALL_APPS], "type": "idea"}, False),
    ("votes", None, False),
)
_GROUPS = ("auto", "agent", "custom", "salesforce", "hubspot", "pendo")


def run(raw: Mapping[str, Any]) -> None:
    """Asks everything. Raises a config_error for a configuration that cannot be used."""
    config, report = Config.parse(raw), Report()
    api = Api(f"{config.base_url}/", {"x-pendo-integration-key": config.api_key}, MOST_REQUESTS, PER_SECOND)
    report.note(f"Pendo: at most {MOST_REQUESTS} requests, {PER_SECOND} a second, which only read.")
    for part in (
        _key,
        _sources,
        _hours,
        _progress,
        _visitors,
        _metadata,
        _accounts,
        _addresses,
        _order,
        _lists,
        _grain,
    ):
        report.attempt(part, api, report)
    api.close(report)


def _ask(api: Api, *stages: Row, **params: Any) -> Answer:
    """One aggregation."""
    body = {"response": {"mimeType": "application/json"}, "request": {"pipeline": list(stages)}}
    return api.post("aggregation", body, **params)


def _outcome(answer: Answer) -> str:
    said = [phrase for phrase in PHRASES if not answer.ok and phrase in answer.text]
    return answer.outcome(ENVELOPE) + (f", it says: {', '.join(said)}" if said else "")


def _day(days_ago: int, period: str = "dayRange") -> Row:
    """The calendar day of the subscription some days ago, or its first hour."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    return {"period": period, "first": f"date({at.year},{at.month},{at.day})", "count": 1}


def _source(name: str, parameters: Any, series: Row | None = None) -> Row:
    return {"source": {name: parameters, **({"timeSeries": series} if series else {})}}


def _key(api: Api, report: Report) -> None:
    report.question("What does token/verify answer, and what gets a request without a key?", "GET token/verify, twice")
    answer = api.get("token/verify")
    report.answer(f"with the key: {_outcome(answer)}, {shape(answer.document, NAMES)}")
    report.answer(
        f"with an empty key: {_outcome(api.ask('GET', 'token/verify', headers={'x-pendo-integration-key': ''}))}"
    )


def _sources(api: Api, report: Report) -> None:
    report.question(
        "Which sources does the subscription have, and what are their rows?",
        "POST aggregation, each source with limit 5",
    )
    for name, parameters, series in SOURCES:
        answer = _ask(api, _source(name, parameters, _day(2) if series else None), {"limit": 5})
        rows = answer.rows("results")
        kind = (parameters or {}).get("groupType") or (parameters or {}).get("type") or ""
        title = f"{name}{f' {kind}' if kind else ''}"
        report.answer(f"{title}: {_outcome(answer)}, {len(rows)} rows; {'; '.join(members(rows, NAMES))}")
    answer = api.get("bulkdelete")
    report.answer(f"GET bulkdelete: {_outcome(answer)}, {shape(answer.document, NAMES)}")


def _hours(api: Api, report: Report) -> None:
    report.question(
        "Are hours refused without ids, ids refused beside appId, and how many ids may a request name?",
        "POST aggregation, pageEvents, limit 1; ids from GET page?expand=*",
    )
    ids = [row["id"] for row in api.get("page", expand="*").rows() if isinstance(row.get("id"), str)]
    hours, day = _day(2, "hourRange"), _day(2)
    asked = {
        "hours of all pages": ({"appId": ALL_APPS}, hours),
        "hours of one page": ({"pageId": ids[0]}, hours) if ids else None,
        "a day of one page, with appId": ({"pageId": ids[0], "appId": ALL_APPS}, day) if ids else None,
        **{f"a day of {n} pages": ({"pageIds": ids[:n]}, day) for n in (200, 500, 1000) if len(ids) >= n},
    }
    for what, question in asked.items():
        if question:
            report.answer(f"{what}: {_outcome(_ask(api, _source('pageEvents', *question), {'limit': 1}))}")
    report.answer(f"{len(ids)} pages are listed")


def _progress(api: Api, report: Report) -> None:
    report.question(
        "What is validThrough, and what does it say of applications that no longer send?",
        "POST aggregation?details=true, events of yesterday, limit 1",
    )
    answer = _ask(api, _source("events", {"appId": ALL_APPS}, _day(1)), {"limit": 1}, details="true")
    details = answer.member("details")
    report.answer(f"{_outcome(answer)}, {shape(answer.document, ENVELOPE)}")
    valid = details.get("validThrough") if isinstance(details, dict) else None
    values = list(valid.values()) if isinstance(valid, dict) else []
    report.answer(f"validThrough of {len(values)} applications: {likenesses(values)}")
    now = time.time() * 1000
    ages = [now - one for one in values if likeness(one) == "like milliseconds"]
    old = [sum(1 for age in ages if age > days * DAY_MS) for days in (1, 3, 30)]
    report.means(f"of {len(ages)}, {old[0]} are over 1 day old, {old[1]} over 3 days, {old[2]} over 30 days")


def _visitors(api: Api, report: Report) -> None:
    report.question(
        "Is a visitor `id` or `visitorId`, is `since` accepted, and does a visit alone move lastupdated?",
        f"POST aggregation, visitors, limit {SAMPLE}",
    )
    answer = _ask(api, _source("visitors", {"identified": True}), {"limit": SAMPLE})
    rows = answer.rows("results")
    report.answer(f"{_outcome(answer)}, {len(rows)} rows; {'; '.join(members(rows, NAMES))}")
    at = datetime.now(UTC) - timedelta(days=3)
    since = {"identified": True, "since": f"date({at.year},{at.month},{at.day})"}
    report.answer(f"with since: {_outcome(_ask(api, _source('visitors', since), {'limit': 1}))}")
    stage = _ask(api, _source("visitors", None), {"identified": "visitorId"}, {"limit": 1})
    report.answer(f"with the stage identified: {_outcome(stage)}")
    autos = [_auto(row) for row in rows]
    pairs = [
        (one["lastupdated"], one["lastvisit"])
        for one in autos
        if _number(one, "lastupdated") and _number(one, "lastvisit")
    ]
    later = sum(1 for updated, visit in pairs if visit > updated + 60_000)
    report.answer(f"of {len(pairs)} visitors with both times, {later} visited over a minute after lastupdated")
    report.means("a visit alone does not move lastupdated" if later else "a visit seems to move lastupdated")


def _auto(row: Row) -> Row:
    found = (row.get("metadata") or {}).get("auto")
    return found if isinstance(found, dict) else {}


def _number(row: Row, name: str) -> bool:
    return isinstance(row.get(name), int | float) and row[name] > 0


def _metadata(api: Api, report: Report) -> None:
    report.question(
        "Of which types are metadata fields, and in which form do times come back?",
        f"GET metadata/schema/{{visitor,account}}, and visitors and accounts, limit {SAMPLE}",
    )
    for kind in ("visitor", "account"):
        answer = api.get(f"metadata/schema/{kind}")
        schema = answer.document if isinstance(answer.document, dict) and answer.ok else {}
        rows = _ask(api, _source(f"{kind}s", None), {"limit": SAMPLE}).rows("results")
        report.answer(f"{kind}: {_outcome(answer)}")
        for group, fields in schema.items():
            known = {
                name: one for name, one in (fields if isinstance(fields, dict) else {}).items() if isinstance(one, dict)
            }
            title = f"{kind}, group {group}" if group in _GROUPS else f"{kind}, another group"
            types = Counter(one["Type"] if one.get("Type") in _TYPES else "of another type" for one in known.values())
            report.answer(f"{title}: {len(known)} fields, {counted(types)}")
            times = {name for name, one in known.items() if one.get("Type") in ("time", "date")}
            values = [
                v for row in rows for n, v in ((row.get("metadata") or {}).get(group) or {}).items() if n in times
            ]
            if values:
                report.answer(f"{title}: values of {len(times)} fields of time: {likenesses(values)}")


_TYPES = frozenset({"string", "boolean", "float", "integer", "number", "time", "date", "list", "object"})


def _accounts(api: Api, report: Report) -> None:
    report.question(
        "Do applications restrict accounts, and are there parent accounts?", "POST aggregation, accounts, count"
    )
    counts = {}
    for what, parameters in {"without appId": None, "with all applications": {"appId": ALL_APPS}}.items():
        answer = _ask(api, _source("accounts", parameters), {"count": None})
        counts[what] = [value for row in answer.rows("results") for value in row.values()]
        report.answer(f"{what}: {_outcome(answer)}")
    children = _ask(api, _source("accounts", None), {"filter": 'contains(accountId, "::")'}, {"limit": SAMPLE})
    parent = _ask(api, _source("accounts", None), {"eval": {"parent": "parentAccountId(accountId)"}}, {"limit": 1})
    report.answer(f"ids with ::, {_outcome(children)}: {len(children.rows('results'))} of at most {SAMPLE}")
    report.answer(f"parentAccountId(accountId): {_outcome(parent)}")
    same = counts["without appId"] == counts["with all applications"]
    report.means(f"the number of accounts is {'the same' if same else 'another'} with all applications")


def _addresses(api: Api, report: Report) -> None:
    report.question(
        "Which form of a visitor's id does an address take, and is the history of a visitor there?",
        "GET visitor/{id} and visitor/{id}/history, {id} percent-encoded, base64 with padding, without",
    )
    rows = _ask(api, _source("visitors", {"identified": True}), {"limit": SAMPLE}).rows("results")
    ids = [str(row.get("visitorId") or row.get("id")) for row in rows]
    # with a length that needs padding
    chosen = next((one for one in ids if len(one.encode()) % 3), None)
    if chosen is None:
        return report.means("nothing: no visitor was found")
    encoded = base64.urlsafe_b64encode(chosen.encode()).decode()
    ways = {"padded": encoded, "without padding": encoded.rstrip("=")}
    header = {"x-pendo-base64-encoded-params": "true"}
    start = int(time.time() * 1000) - DAY_MS
    forms: dict[str, tuple[str, dict[str, str]]] = {"percent-encoded": (quote(chosen, safe=""), {})}
    forms |= {f"base64 {way}": (f"b64_{text}", header) for way, text in ways.items()}
    for what, (text, headers) in forms.items():
        answers = [
            api.ask("GET", f"visitor/{text}", headers=headers),
            api.ask("GET", f"visitor/{text}/history", headers=headers, params={"starttime": start}),
        ]
        report.answer(f"{what}: {_outcome(answers[0])}, history {_outcome(answers[1])}")
    return None


def _order(api: Api, report: Report) -> None:
    report.question(
        "How does Pendo order texts, and do sort and >= agree?", f"POST aggregation, visitors by id, {SAMPLE}"
    )
    source, by_id = _source("visitors", {"identified": True}), {"sort": ["visitorId"]}
    ids = [str(row.get("visitorId")) for row in _ask(api, source, by_id, {"limit": SAMPLE}).rows("results")]
    if len(ids) < 3:
        return report.means("nothing: fewer than three visitors")
    orders: dict[str, Callable[[str], Any]] = {
        "bytes": lambda one: one.encode(),
        "letters without case": str.lower,
        "UTF-16": lambda one: one.encode("utf-16-be"),
    }
    fits = [name for name, key in orders.items() if all(key(a) <= key(b) for a, b in pairwise(ids))]
    middle = ids[len(ids) // 2]
    where = {"filter": f"visitorId >= {literal(middle)}"}
    again = [str(row.get("visitorId")) for row in _ask(api, source, where, by_id, {"limit": 20}).rows("results")]
    agrees = again == ids[len(ids) // 2 : len(ids) // 2 + len(again)] if again else False
    report.answer(f"{len(ids)} ids are in the order of: {', '.join(fits) or 'none of those tried'}")
    return report.means(f"sort and >= {'agree' if agrees else 'do not agree'}")


_DATES = ("publishedAt", "resetAt", "expiresAfter", "showsAfter", "currentFirstEligibleToBeSeenAt", "lastUpdatedAt")


def _lists(api: Api, report: Report) -> None:
    report.question(
        "Is 0 no date in definitions, which shapes have odd columns, what are versions and results?",
        "GET guide?expand=*, report, segment; of one each guide/{id}/history, report/{id}/results.json, segment/{id}",
    )
    guides, reports, segments = (api.get(name, **more) for name, more in _LISTS)
    for name in _DATES:
        report.answer(f"guides, {name}: {likenesses(row[name] for row in guides.rows() if name in row)}")
    attributes = [row["attributes"] for row in guides.rows() if isinstance(row.get("attributes"), dict)]
    for name in ("device", "launcher", "email"):
        report.answer(f"guides, attributes.{name}: {kinds(one[name] for one in attributes if name in one)}")
    report.answer(f"reports, definition: {kinds(row['definition'] for row in reports.rows() if 'definition' in row)}")
    for listed, path in ((guides, "guide/{}/history"), (reports, "report/{}/results.json"), (segments, "segment/{}")):
        ids = [row["id"] for row in listed.rows() if isinstance(row.get("id"), str)]
        report.answer(f"{path.format('{id}')}, {len(ids)} listed, {_outcome(listed)}")
        if ids:
            answer = api.get(path.format(quote(ids[0], safe="")))
            report.answer(f"{path.format('{id}')}: {_outcome(answer)}, {shape(answer.document, NAMES)}")


_LISTS: tuple[tuple[str, Mapping[str, str]], ...] = (("guide", {"expand": "*"}), ("report", {}), ("segment", {}))


def _grain(api: Api, report: Report) -> None:
    keys = ("visitorId", "accountId", "appId", "pageId", "day", "server", "remoteIp", "userAgent")
    report.question(
        f"What tells two rows of a day of page events apart, beside {', '.join(keys)}?",
        f"POST aggregation, pageEvents of a day, by visitor, limit {SAMPLE}",
    )
    stages = ({"sort": ["visitorId"]}, {"limit": SAMPLE})
    rows = _ask(api, _source("pageEvents", {"appId": ALL_APPS}, _day(3)), *stages).rows("results")
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(json.dumps([row.get(name) for name in keys]), []).append(row)
    doubles = [group for group in groups.values() if len(group) > 1]
    differ = {name for group in doubles for row in group[1:] for name in row if row[name] != group[0].get(name)}
    known = sorted(
        name for name in differ if name in NAMES or re.fullmatch(r"tabId|sessionId|latitude|longitude", name)
    )
    report.answer(f"{len(rows)} rows, {len(doubles)} groups of rows with the same; {'; '.join(members(rows, NAMES))}")
    if not doubles:
        return report.means("nothing: these columns tell the rows of the sample apart")
    others = len(differ) - len(known)
    return report.means(f"they differ in {', '.join(known) or 'no documented column'} and {others} other columns")
