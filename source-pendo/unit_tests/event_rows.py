"""What the tests of the event streams share, above all Pendo's rows as the records that they should become."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import orjson
from airbyte_cdk.models import FailureType
from source_kit.http.body import Response
from source_kit.http.client import Answer
from source_pendo.client import ERRORS, NotOffered, PendoClient, connect
from source_pendo.config import Config
from test_kit import destination

Row = dict[str, Any]

GROUPED = ("events", "page_events", "feature_events", "track_events")
SINGLE = ("guide_events", "poll_events", "email_events")
SOURCES = {
    "events": "events",
    "page_events": "pageEvents",
    "feature_events": "featureEvents",
    "track_events": "trackEvents",
    "guide_events": "guideEvents",
    "poll_events": "pollEvents",
    "email_events": "emailEvents",
}
#: The first day that the tests read
SINCE = "2026-03-01"
_BUCKETS = {"day", "hour", "week", "month", "quarter"}
_INSTANTS = _BUCKETS | {
    "firstTime",
    "lastTime",
    "lastKeyFrameTimestamp",
    "browserTime",
    "guideTimestamp",
    "receivedTime",
}


def expected(row: Mapping[str, Any]) -> Row:
    """Pendo's row as a record, but for its key: converted by other code than the connector's, to check it."""
    record: Row = {}
    for name, value in row.items():
        ours = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)
        if name in _INSTANTS and value == 0:
            value = None  # no time, as of a row without a recording
        elif name in _INSTANTS and value is not None:
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
            value = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record[ours] = value
    if (response := row.get("pollResponse")) is not None:
        record["poll_response"] = str(response)
        record["poll_response_number"] = response if isinstance(response, int) else None
    return record


def counted(rows: Iterable[Mapping[str, Any]], without: Iterable[str] = ("record_id",)) -> Counter[str]:
    """Rows as a multiset, without some columns and without nulls, which the CDK's own serializer drops, too.

    The truth does not know the reading that a row is of.
    """
    dropped = {*without, "read_day", "read_at"}
    kept = ({k: v for k, v in row.items() if k not in dropped and v is not None} for row in rows)
    return Counter(json.dumps(row, sort_keys=True) for row in kept)


def truth_of(rows: Iterable[Mapping[str, Any]], without: Iterable[str] = ("record_id",)) -> Counter[str]:
    """The truth, in Pendo's names, as the multiset of records that a warehouse should hold."""
    return counted(map(expected, rows), without)


def keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The primary keys of records."""
    return [row["record_id"] for row in rows]


def upserted(*syncs: Iterable[Row]) -> list[Row]:
    """The rows that a destination holds after some syncs, which replaces rows by their key."""
    return destination.upserted(["record_id"], *syncs)


def answer(rows: list[Row], **envelope: Any) -> Answer:
    """An answer of Pendo's that holds these rows."""
    return answer_of(orjson.dumps({**envelope, "results": rows}))


def answer_of(body: bytes) -> Answer:
    """An answer with this body."""
    return Answer(Response(200, {}, BytesIO(body)), "POST /x", ERRORS)


class _Answered(PendoClient):
    """A client whose aggregations a function answers."""

    def __init__(self, ask: Callable[[str, Sequence[Row]], Answer], lists: Mapping[str, list[Row]]) -> None:
        super().__init__("test", connect(Config(api_key="any", api_url="https://x.example")), 1)
        self._answer = ask
        self._lists = lists

    def aggregate(self, label: str, pipeline: Sequence[Row], *, small: bool = False, details: bool = False) -> Answer:
        return self._answer(label, pipeline)

    def call(self, path: str, **request: Any) -> Answer:
        if path not in self._lists:
            raise NotOffered(message="no such list", failure_type=FailureType.config_error)
        return answer_of(orjson.dumps(self._lists[path]))


def answered_by(
    ask: Callable[[str, Sequence[Row]], Answer], lists: Mapping[str, list[Row]] | None = None
) -> PendoClient:
    """A client whose aggregations `ask` answers, by label and pipeline. `lists` are those of objects, by address."""
    return _Answered(ask, lists or {})


def days_asked(pipelines: Iterable[list[Row]]) -> list[str]:
    """The calendar days of requests, each once, in the order in which they were first asked for."""
    found = [re.findall(r"\d+", pipeline[0]["source"]["timeSeries"]["first"])[:3] for pipeline in pipelines]
    return list(dict.fromkeys(f"{int(year)}-{int(month):02d}-{int(day):02d}" for year, month, day in found))
