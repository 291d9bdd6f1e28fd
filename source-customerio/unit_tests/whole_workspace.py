"""A warehouse of a whole workspace, and the truth by other code than the connector's: its rows and its requests."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from jsonschema import Draft7Validator
from simulators.customerio.answers import as_counts
from test_kit.catalogs import Row, configured, key_of, primary_key
from test_kit.destination import Destination
from test_kit.messages import Output

if TYPE_CHECKING:
    from conftest import Workspace

#: Metrics of version 2 and journeys; the truth needs their bounds
DATED: Final = ("campaign_metrics", "campaign_journey_metrics", "campaign_action_metrics")
#: Metrics of version 1, whose truth says how many periods back a number lies
UNDATED: Final = (
    *("broadcast_metrics", "newsletter_metrics", "transactional_metrics", "newsletter_variant_metrics"),
    *("campaign_link_metrics", "broadcast_link_metrics", "newsletter_link_metrics", "transactional_link_metrics"),
)
#: The most periods of version 1
STEPS: Final = {"days": 45, "months": 121}
DOMAINS: Final = ["mail.example.com", "news.example.org"]
_EASTERN: Final = ZoneInfo("America/New_York")

Rows = dict[str, Row]


class Warehouse:
    """All streams of a workspace, synced again and again into one destination."""

    def __init__(self, workspace: Workspace, **options: Any) -> None:
        self.workspace = workspace
        options |= {"start_date": workspace.simulator.start_date, "esp_suppression_domains": DOMAINS}
        self.config = workspace.config(**options)
        self.catalog = workspace.run("discover", self.config).catalog
        self.destination = Destination(configured(self.catalog))
        self._once: dict[str, set[str]] = defaultdict(set)
        self._validators = {one["name"]: Draft7Validator(one["json_schema"]) for one in self.catalog["streams"]}
        self.keys = {one["name"]: primary_key(one) for one in self.catalog["streams"]}

    def sync(self) -> Output:
        """One sync from the states of the one before. Its records match the schemas and have keys."""
        files = {"catalog": self.destination.catalog, "state": self.destination.begin()}
        synced = self.workspace.run("read", self.config, **files)
        self.load(synced.stdout.split(b"\n")[:-1])
        for name, rows in synced.records.items():
            for row in {shape_of(row): row for row in rows}.values():
                assert self._validators[name].is_valid(row), (name, row)
        return synced

    def load(self, lines: Iterable[bytes], *, uncovered: bool = True) -> None:
        """Stores what a sync wrote."""
        self.destination.load(lines, uncovered=uncovered)

    def remember(self) -> dict[str, list[Row]]:
        """The rows without periods of their own. Those of incremental streams may stay when they are deleted."""
        now = {name: self.truth(name) for name in self.keys if name not in (*DATED, *UNDATED)}
        for name, rows in now.items():
            self._once[name] |= {key_of(row, self.keys[name]) for row in rows}
        return now

    def truth(self, name: str) -> list[Row]:
        """The rows of a stream, those without a period of their own as they are to arrive."""
        return expected(self.workspace, name)

    def assert_true(self, names: Iterable[str] = ()) -> None:
        """The rows of these streams, by default of all, are the truth's, and no column of a key is null."""
        for name in names or self.keys:
            key, found = self.keys[name], self.destination.rows[name]
            assert found, name
            for row in found.values():
                assert [column for column in key if row.get(column) is None] == [], (name, row)
            if name in (*DATED, *UNDATED):
                assert_periods(name, key, self.truth(name), found)
                continue
            truth = {key_of(row, key): row for row in self.truth(name)}
            incremental = name in incremental_in(self.destination.catalog)
            stale = found.keys() - truth.keys() if incremental else set()
            assert stale <= self._once[name], name
            assert differing(truth, {one: row for one, row in found.items() if one not in stale}) == [], name


def shape_of(value: Any) -> Any:
    """Names and types of a value, which decide whether it matches a schema: these have no other rules."""
    if isinstance(value, dict):
        return frozenset((name, shape_of(inner)) for name, inner in value.items())
    return ("list", *map(shape_of, value)) if isinstance(value, list) else type(value)


def incremental_in(catalog: Mapping[str, Any]) -> set[str]:
    """The streams of a configured catalog that keep what they once had."""
    return {one["stream"]["name"] for one in catalog["streams"] if one["sync_mode"] == "incremental"}


def differing(truth: Rows, found: Rows) -> list[Any]:
    """Keys whose rows are not alike, with both rows."""
    return [
        (key, truth.get(key), found.get(key)) for key in truth.keys() | found.keys() if truth.get(key) != found.get(key)
    ]


def assert_periods(name: str, key: Sequence[str], truth: list[Row], found: Rows) -> None:
    """Numbers without periods missing from the first one that arrived to the last; before that there was nothing."""
    first: dict[str, int] = {}
    whose = [column for column in key if column != "period_start"]
    for row in found.values():
        one = key_of(row, whose)
        first[one] = min(first.get(one, row["period_start"]), row["period_start"])
    wanted = {}
    for row in truth:
        one = key_of(row, whose)
        assert one in first, (name, one)
        if row["period_start"] >= first[one]:
            wanted[key_of(row, key)] = row
        else:
            assert not any(row["metrics"].values()), (name, row)
    assert differing(wanted, found) == [], name


def expected(workspace: Workspace, name: str) -> list[Row]:
    """The truth of a stream as records."""
    simulator = workspace.simulator
    if name in DATED:
        first = min(row["created"] for row in simulator.workspace.lists["campaigns"])
        return workspace.truth(name, resolution="days", start=str(first), end=str(simulator.now))
    if name in UNDATED:
        return [
            dated(row, simulator.now)
            for resolution, steps in STEPS.items()
            for row in workspace.truth(name, resolution=resolution, steps=str(steps))
        ]
    if name == "esp_suppressions":
        return workspace.truth(name, domains=",".join(DOMAINS))
    rows = workspace.truth(name)
    if name == "messages":
        rows = [row for row in rows if row["created"] >= simulator.workspace.start]
    change = _CHANGED.get(name)
    return rows if change is None else [change(row, workspace) for row in rows]


def dated(row: Row, now: int) -> Row:
    """A row of version 1 with the beginning of its period on Eastern time, in place of how far back that lies."""
    today = datetime.fromtimestamp(now, UTC).astimezone(_EASTERN).date()
    back = row["steps_back"]
    if row["resolution"] == "days":
        day = date.fromordinal(today.toordinal() - back)
    else:
        months = today.year * 12 + today.month - 1 - back
        day = date(months // 12, months % 12 + 1, 1)
    begins = int(datetime.combine(day, time(), _EASTERN).timestamp())
    return {name: value for name, value in row.items() if name != "steps_back"} | {"period_start": begins}


def _with_headers_as_text(row: Row, workspace: Workspace) -> Row:
    if not isinstance(row.get("headers"), list):
        return row
    return row | {"headers": json.dumps(row["headers"], ensure_ascii=False, separators=(",", ":"))}


def _with_bare_templates(row: Row, workspace: Workspace) -> Row:
    """Numbers do not say the type."""
    if not workspace.simulator.options.bare_template_ids:
        return row
    return row | {"msg_template_ids": [{"id": item["id"]} for item in row["msg_template_ids"]]}


def _with_counts(row: Row, workspace: Workspace) -> Row:
    return as_counts(row) if workspace.simulator.options.human_counts else row


_CHANGED: Final[Mapping[str, Callable[[Row, Workspace], Row]]] = {
    "broadcasts": _with_bare_templates,
    "messages": _with_counts,
    "campaign_actions": _with_headers_as_text,
    "broadcast_actions": _with_headers_as_text,
    "newsletter_variants": _with_headers_as_text,
    "transactional_variants": _with_headers_as_text,
}


def pages(rows: Collection[Any], size: int) -> int:
    """How many pages rows fill, at least one."""
    return max(1, math.ceil(len(rows) / size))


def needed(workspace: Workspace) -> dict[str, int]:
    """How often the paths of parents and people, and those below them, must be requested to read everything."""
    data = workspace.simulator.workspace
    campaigns, broadcasts, newsletters, transactional, segments, senders = (
        len(data.lists[name])
        for name in (
            "campaigns",
            "broadcasts",
            "newsletters",
            "transactional_messages",
            "segments",
            "sender_identities",
        )
    )
    actions, variants = data.children["campaign_actions"].values(), data.children["newsletter_variants"].values()
    return {
        "/campaigns": 1,
        "/campaigns/{}/actions": sum(pages(rows, 10) for rows in actions),
        "/campaigns/{}/metrics": campaigns,
        "/campaigns/{}/journey_metrics": campaigns,
        "/campaigns/{}/metrics/links": campaigns * 2,
        "/broadcasts": 1,
        "/broadcasts/{}/actions": broadcasts,
        "/broadcasts/{}/triggers": broadcasts,
        "/broadcasts/{}/metrics": broadcasts * 2,
        "/newsletters": pages(data.lists["newsletters"], data.size.newsletter_cap) + 1,
        "/newsletters/{}/contents": newsletters,
        "/newsletters/{}/test_groups": newsletters,
        "/newsletters/{}/metrics": newsletters * 2,
        "/newsletters/{}/metrics/links": newsletters * 2,
        "/transactional": 1,
        "/transactional/{}/metrics": transactional * 2,
        "/segments": 1,
        "/segments/{}/membership": segments,
        "/segments/{}/used_by": segments,
        "/segments/{}/customer_count": segments,
        "/sender_identities": 2 * 2,
        "/object_types": 1,
        "/customers": pages(data.people, 1_000),
        "/customers/attributes": pages(data.people, 100),
        # only the streams that are off in the suggested ones request what follows
        "/campaigns/{}/actions/{}/metrics": sum(map(len, actions)),
        "/broadcasts/{}/metrics/links": broadcasts * 2,
        "/newsletters/{}/contents/{}/metrics": sum(map(len, variants)) * 2,
        "/transactional/{}/contents": transactional,
        "/transactional/{}/metrics/links": transactional * 2,
        "/sender_identities/{}/used_by": senders,
        "/objects": len(data.lists["types"]) + 2,  # a type without objects is searched in two ways more
        "/objects/{}/{}/attributes": len(data.objects),
        "/objects/{}/{}/relationships": len(data.objects),
    }
