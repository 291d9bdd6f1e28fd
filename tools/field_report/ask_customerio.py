"""The questions to a workspace of Customer.io."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlsplit

from report import Answer, Api, Report, Row, kind, kinds, likenesses, members, shape, words
from source_customerio import SourceCustomerio
from source_customerio.config import HOSTS, Config
from source_customerio.streams.people import EVERYBODY

MOST_REQUESTS = 58
#: Half of what the vendor allows
PER_SECOND = 5
#: No workspace has made so many of anything
NO_SUCH_ID = 2_147_483_647
SAMPLE = 200
DAY = 86_400
#: Members of the answers that the vendor's specification names; those of rows are in the connector's schemas
ENVELOPE = frozenset({"errors", "detail", "status", "code", "source", "pointer", "meta", "error", "message", "next"})
ACTIVITY_DATA = frozenset(
    {"from", "to", "cio_id", "id", "email", "primary", "secondary", "merged", "identifiers", "deleted", "customer_id"}
)
SERIES = words(
    "created drafted attempted sent delivered deferred bounced failed suppressed undeliverable spammed opened "
    "human_opened prefetch_opened clicked human_clicked prefetch_clicked machine_clicked converted unsubscribed "
    "topic_unsubscribed replied untracked open_untracked link_untracked"
)
_METRICS = ENVELOPE | SERIES | {"metric", "series", "language_variants", "start", "end", "res", "type"}
#: Lists with their streams and envelopes. Without `limit`, so a page has the default size.
LISTS = (
    ("campaigns", "campaigns", "campaigns"),
    ("broadcasts", "broadcasts", "broadcasts"),
    ("newsletters", "newsletters", "newsletters"),
    ("transactional", "transactional_messages", "messages"),
    ("segments", "segments", "segments"),
    ("messages", "messages", "messages"),
    ("activities", "activities", "activities"),
    ("sender_identities", "sender_identities", "sender_identities"),
    ("snippets", "snippets", "snippets"),
    ("collections", "collections", "collections"),
    ("exports", "exports", "exports"),
    ("reporting_webhooks", "reporting_webhooks", "reporting_webhooks"),
    ("object_types", "types", "types"),
    ("subscription_topics", "topics", "topics"),
    ("optouts", "optouts", "optouts"),
    ("workspaces", "workspaces", "workspaces"),
    ("esp/suppression/bounces", "esp_suppressions", "suppressions"),
)
BELOW_PARENTS = (
    "campaigns/{id}",
    "campaigns/{id}/actions",
    "broadcasts/{id}/actions",
    "broadcasts/{id}/triggers",
    "broadcasts/{id}/metrics",
    "newsletters/{id}/contents",
    "newsletters/{id}/metrics",
    "transactional/{id}/contents",
    "segments/{id}/used_by",
    "sender_identities/{id}/used_by",
)


def run(raw: Mapping[str, Any], *, other_region: bool = False) -> None:
    """Asks everything. Raises a config_error for a configuration that cannot be used."""
    config, report = Config.parse(raw), Report()
    headers = {"Authorization": f"Bearer {config.app_api_key}"}
    api = Api(f"{config.base_url}/", headers, MOST_REQUESTS, PER_SECOND)
    report.note(f"Customer.io: at most {MOST_REQUESTS + other_region} requests that only read, {PER_SECOND} a second.")
    lists: dict[str, list[Row]] = {path: [] for path, _, _ in LISTS}
    report.attempt(_lists, api, report, raw, lists)
    report.attempt(_deliveries, api, report)
    for part in (_unknown_parents, _people, _objects, _language_variants, _weeks):
        report.attempt(part, api, report, lists)
    report.attempt(_deletions, api, report)
    report.attempt(_other_region, report, config, headers, other_region)
    api.close(report)


def _lists(api: Api, report: Report, raw: Mapping[str, Any], found: dict[str, list[Row]]) -> None:
    """Puts the first page of each list into `found`, by path."""
    report.question(
        "Which lists does the key open, what gets a closed one, how long is a page by default, and has a list `next`?",
        "GET each list without `limit`",
    )
    schemas = {stream.name: stream.get_json_schema()["properties"] for stream in SourceCustomerio().streams(dict(raw))}
    closed = []
    for path, stream, envelope in LISTS:
        answer = api.get(path)
        rows = found[path] = answer.rows(envelope)
        if not answer.ok:
            closed.append(str(answer.status))
            report.answer(f"{path}: {answer.outcome(ENVELOPE)}")
            continue
        token = "absent" if "next" not in (answer.document or {}) else "given" if answer.member("next") else "empty"
        report.answer(f"{path}: {answer.outcome(ENVELOPE)}, {len(rows)} rows, next {token}")
        report.answer(*(f"{path}: {line}" for line in _against_schema(rows, schemas[stream])))
    report.means(f"closed: {', '.join(closed) or 'none'}. Where next is given, the number of rows is the default page")


def _against_schema(rows: list[Row], schema: Mapping[str, Any]) -> list[str]:
    """How rows differ from the connector's schema."""
    lines = []
    for name, declared in schema.items():
        types = declared.get("type", ())
        allowed = {types} if isinstance(types, str) else set(types)
        seen = {kind(row[name]) for row in rows if name in row} - {"null"}
        odd = {one for one in seen if one not in allowed and not (one == "integer" and "number" in allowed)}
        if allowed and odd:
            lines.append(f"column {name} is {', '.join(sorted(odd))}, the schema has {', '.join(sorted(allowed))}")
    unknown = members([{name: row[name] for name in row if name not in schema} for row in rows], ())
    references = [item for row in rows for item in row.get("msg_template_ids") or ()]
    return [*lines, *unknown, *([f"msg_template_ids hold {kinds(references)}"] if references else [])]


def _unknown_parents(api: Api, report: Report, lists: Mapping[str, list[Row]]) -> None:
    report.question("What answers a path below a parent that does not exist?", "GET with an {id} that no workspace has")
    answers = {path: api.get(path.format(id=NO_SUCH_ID)) for path in BELOW_PARENTS}
    for path, answer in answers.items():
        report.answer(f"{path}: {answer.outcome(ENVELOPE)}")
    listed = {row.get("id") for path in ("campaigns", "broadcasts", "newsletters") for row in lists.get(path, ())}
    ids = sorted(one for one in (row.get("id") for row in lists["campaigns"]) if isinstance(one, int))
    gap = next((a + 1 for a, b in pairwise(ids) if b - a > 1 and a + 1 not in listed), None)
    if gap is not None:
        answer = api.get(f"campaigns/{gap}/actions")
        report.answer(f"campaigns/{{id}}/actions, an id between those of two campaigns: {answer.outcome(ENVELOPE)}")
    statuses = sorted({str(answer.status) for answer in answers.values()})
    report.means(f"unknown parents get {', '.join(statuses)}; an id in between may be that of a deleted campaign")


def _deliveries(api: Api, report: Report) -> None:
    report.question(
        "Does get_tracked_responses slow down answers, and what are tracked_responses?",
        f"GET messages?limit={SAMPLE}, three times with and without get_tracked_responses=true",
    )
    with_it, without = [], []
    for _ in range(3):
        without.append(api.get("messages", limit=SAMPLE))
        with_it.append(api.get("messages", limit=SAMPLE, get_tracked_responses="true"))
    medians = [statistics.median(one.seconds for one in part) for part in (without, with_it)]
    report.answer(f"median {medians[0]:.2f} s without, {medians[1]:.2f} s with")
    rows = with_it[0].rows("messages")
    responses = [row["tracked_responses"] for row in rows if row.get("tracked_responses")]
    absent = sum(1 for row in without[0].rows("messages") if "tracked_responses" in row)
    inner = [item for one in responses if isinstance(one, dict) for item in one.values()]
    report.answer(
        f"{len(responses)} of {len(rows)} rows have some ({kinds(responses)})",
        f"without the parameter {absent} rows have the member",
        f"a response is {kinds(inner)}",
        *members([item for item in inner if isinstance(item, dict)], {"id", "ts"}),
    )
    _human_metrics(report, rows)


def _human_metrics(report: Report, rows: list[Row]) -> None:
    names = ("human_opened", "prefetch_opened", "human_clicked", "prefetch_clicked", "opened", "clicked")
    report.question(
        "Are metrics.human_* and metrics.prefetch_* of a delivery counts or times?", "the rows of the question before"
    )
    seen: set[str] = set()
    for name in names:
        pairs = [(row["metrics"][name], row.get("created")) for row in rows if name in (row.get("metrics") or {})]
        report.answer(f"{name}: {likenesses(value for value, _ in pairs)}")
        if "_" in name:
            seen.update(_as_time(*pair) for pair in pairs)
    verdict = {frozenset({"a time"}): "times", frozenset({"a count"}): "counts"}.get(frozenset(seen))
    report.means(f"human_* and prefetch_* look like {verdict or ('nothing yet: no values' if not seen else 'both')}")


def _as_time(value: Any, created: Any) -> str:
    """Whether a value lies within a year after its delivery was made."""
    numbers = isinstance(value, int | float) and isinstance(created, int | float)
    return "a time" if numbers and created - DAY <= value <= created + 366 * DAY else "a count"


def _people(api: Api, report: Report, lists: Mapping[str, list[Row]]) -> None:
    report.question(
        "Is a person wrapped in `customer`, how long is a page of the search, and has `_computed` all topics?",
        "POST customers (everybody, no limit), then POST customers/attributes for at most 100 of them",
    )
    search = api.post("customers", EVERYBODY)
    found = search.rows("identifiers")
    report.answer(
        f"search: {search.outcome(ENVELOPE)}, {len(found)} rows, next {'given' if search.member('next') else 'empty'}"
    )
    report.answer(*members(found, {"cio_id", "id", "email", "phone"}))
    ids = [row["cio_id"] for row in found if row.get("cio_id")][:100]
    if not ids:
        return report.means("nothing: no person was found")
    answer = api.post("customers/attributes", {"ids": ids}, id_type="cio_id")
    rows = answer.rows("customers")
    people = [row["customer"] if isinstance(row.get("customer"), dict) else row for row in rows]
    report.answer(f"profiles: {answer.outcome(ENVELOPE)}, {len(rows)} of {len(ids)}")
    report.answer(
        *members(people, {"id", "cio_id", "identifiers", "attributes", "timestamps", "unsubscribed", "devices"})
    )
    topics = {f"topic_{row.get('id')}" for row in lists["subscription_topics"]}
    for name in ("cio_subscription_preferences", "_cio_subscription_preferences_computed"):
        values = [person["attributes"][name] for person in people if name in (person.get("attributes") or {})]
        named = [one.get("topics") for one in map(_decoded, values) if isinstance(one, dict)]
        whole = sum(1 for one in named if isinstance(one, dict) and topics <= set(one))
        report.answer(f"{name}: {kinds(values)}; {len(named)} are JSON, {whole} have each of the {len(topics)} topics")
    wrapped = sum(1 for row in rows if isinstance(row.get("customer"), dict))
    return report.means(f"{wrapped} of {len(rows)} people are wrapped in `customer`")


def _decoded(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _objects(api: Api, report: Report, lists: Mapping[str, list[Row]]) -> None:
    report.question(
        "Which field finds every object, and how long is a page?",
        "POST objects, filters `cio_object_id exists` and `object_id exists`, at most 2 pages of at most 2 types",
    )
    types = [row["id"] for row in lists["object_types"] if row.get("id")][:2]
    totals: dict[str, list[str]] = {"cio_object_id": [], "object_id": []}
    for number, type_id in enumerate(types, 1):
        for name, counts in totals.items():
            leaf = {"field": name, "operator": "exists", "type_id": str(type_id)}
            body = {"object_type_id": str(type_id), "filter": {"and": [{"object_attribute": leaf}]}}
            pages: list[Answer] = []
            start = None
            while len(pages) < 2 and (start or not pages):
                answer = api.post("objects", body, start=start)
                pages.append(answer)
                start = answer.member("next")
            sizes = [len(page.rows("identifiers")) for page in pages]
            counts.append(f"{sum(sizes)}{'+' if start else ''}")
            report.answer(f"type {number}, {name}: {pages[0].outcome(ENVELOPE)}, pages of {sizes}, more: {bool(start)}")
            rows = [row for page in pages for row in page.rows("identifiers")]
            report.answer(*(f"type {number}, {name}: {line}" for line in members(rows, {"object_id", "cio_object_id"})))
    said = [row["objects"] for row in lists["workspaces"] if isinstance(row.get("objects"), int)]
    report.answer(
        f"objects of all types, by workspace of the account: {said}; object types: {len(lists['object_types'])}"
    )
    report.means(
        "; ".join(f"{name} finds {' and '.join(counts) or 'nothing asked'}" for name, counts in totals.items())
    )


def _deletions(api: Api, report: Report) -> None:
    report.question(
        "What do activities of deleted and merged people hold, and do they need deleted=true?",
        "GET activities?type={type}&limit=10, with and without deleted=true",
    )
    found = {}
    for name in ("profile_delete", "profile_merge"):
        for more in ({}, {"deleted": "true"}):
            answer = api.get("activities", type=name, limit=10, **more)
            rows = answer.rows("activities")
            found[name, bool(more)] = len(rows)
            what = f"{name}{', deleted=true' if more else ''}"
            report.answer(f"{what}: {answer.outcome(ENVELOPE)}, {len(rows)} rows, data is {kinds(map(_data, rows))}")
            data = [one for one in map(_data, rows) if isinstance(one, dict)]
            shapes = Counter(shape(one, ACTIVITY_DATA) for one in data)
            report.answer(*(f"{what}: {count} with data {form}" for form, count in shapes.items()))
    for name in ("profile_delete", "profile_merge"):
        plain, deleted = found[name, False], found[name, True]
        seen = (
            "not seen here" if not deleted + plain else "seen without deleted=true" if plain else "needs deleted=true"
        )
        report.means(f"{name}: {seen}")


def _data(row: Row) -> Any:
    return row.get("data")


def _language_variants(api: Api, report: Report, lists: Mapping[str, list[Row]]) -> None:
    report.question(
        "What is language_variants, and how does version 2 write dates?",
        "GET campaigns/{id}/actions of at most 3 campaigns, then …/actions/{id}/metrics?version=2 of at most 3 actions",
    )
    actions = []
    for row in [row for row in lists["campaigns"] if row.get("actions")][:3]:
        actions += [(row["id"], one) for one in api.get(f"campaigns/{row['id']}/actions").rows("actions")]
    # a message in several languages first
    actions.sort(key=lambda it: not (it[1].get("language") or it[1].get("multi_language_branch_action_id")))
    now = int(time.time())
    variants: list[Any] = []
    for campaign, action in [pair for pair in actions if pair[1].get("id")][:3]:
        path = f"campaigns/{campaign}/actions/{quote(str(action['id']), safe='')}/metrics"
        answer = api.get(path, version=2, res="days", start=now - 7 * DAY, end=now)
        variants += [answer.member("language_variants")] if answer.member("language_variants") else []
        dates = likenesses(answer.member(name) for name in ("start", "end"))
        report.answer(f"{answer.outcome(ENVELOPE)}, {shape(answer.document, _METRICS)}", f"start and end: {dates}")
    inner = [item for one in variants if isinstance(one, dict) for item in one.values()]
    report.means(
        f"{len(variants)} answers have language variants ({kinds(variants)}), with {len(inner)} members of the shape "
        f"{shape(inner[0], _METRICS) if inner else '(none seen)'}"
    )


def _weeks(api: Api, report: Report, lists: Mapping[str, list[Row]]) -> None:
    report.question(
        "On which day does a week of version 1 begin?",
        "GET …/metrics by days (45) and by weeks (6) of at most 2 campaigns; which seven days give the sum of a week",
    )
    # Eastern time without daylight saving, as the vendor describes it: do not run it just before midnight there
    today = (datetime.now(UTC) - timedelta(hours=5)).weekday()
    fitting = set(range(7))
    sums = 0
    for row in [row for row in lists["campaigns"] if row.get("state") == "running"][:2]:
        path = f"campaigns/{row['id']}/metrics"
        answers = [api.get(path, period=period, steps=steps) for period, steps in (("days", 45), ("weeks", 6))]
        days, weeks = ((answer.member("metric") or {}).get("series") or {} for answer in answers)
        for name in SERIES & set(days) & set(weeks):
            daily, weekly = ([value or 0 for value in one[name] or ()] for one in (days, weeks))
            if len(daily) < 45 or len(weekly) < 6 or not any(weekly[1:-1]):
                continue
            sums += 1
            fitting = {first for first in fitting if _fits(daily, weekly, (today - first) % 7)}
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    fit = ", ".join(names[day] for day in sorted(fitting)) or "none"
    report.answer(f"{sums} series compared, first days that fit all of them: {fit}")
    report.means("one day: that is the first day of the week; all or none: this workspace's numbers cannot tell")


def _fits(daily: list[int], weekly: list[int], into: int) -> bool:
    """Whether the last whole weeks are sums of seven days, if today is `into` days after the first day of its week."""
    last = len(daily) - into - 1
    return all(sum(daily[last - 7 * n : last - 7 * (n - 1)]) == weekly[-1 - n] for n in range(1, 5))


def _other_region(report: Report, config: Config, headers: Mapping[str, str], asked: bool) -> None:
    report.question(
        "What does the other region answer to the key?",
        "GET workspaces there, only with --send-key-to-the-other-region",
    )
    other = config.other_region
    if not asked or other is None:
        return report.answer("not asked: the key is sent to no other host without --send-key-to-the-other-region")
    there = Api(f"{replace(config, region=other).base_url}/", headers, 1, 1)
    answer = there.get("workspaces")
    host = urlsplit(answer.headers.get("Location", "")).hostname
    ours = {urlsplit(url).hostname for url in HOSTS.values()}
    target = "" if not host else ", Location is a host of Customer.io" if host in ours else ", Location is another host"
    return report.answer(f"{answer.outcome(ENVELOPE)}{target}")
