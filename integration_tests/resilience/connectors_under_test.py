"""The connectors under test, each with its simulator: its configuration, the truth, and what may happen meanwhile."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from simulators.customerio import CustomerioSimulator, Options
from simulators.faults import Fault
from simulators.heap.account import Account, Part, full, more
from simulators.heap.layout import Dump
from simulators.heap.replay import replay
from simulators.heap.s3_server import BucketServer, error_fault
from simulators.pendo import PendoSimulator
from simulators.pendo.sizes import Size
from simulators.server import Simulator
from test_kit.catalogs import Row

#: The rows that a destination holds of a stream
Held = Callable[[str], Iterable[Row]]

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ConnectorUnderTest(ABC):
    """One connector and the vendor that it reads. Made with `paged` it has many small pages, otherwise few requests."""

    name: str
    streams: tuple[str, ...]
    """The streams that are read unless a test asks for others: their rows can be compared whole."""
    short_streams: tuple[str, ...]
    """Streams that are read in a second or two at the pace that the vendor allows."""
    long_stream: str
    """A stream of several requests."""
    long_path: str
    """A regular expression for those requests."""
    other_path: str
    """A regular expression for requests that the long stream does not need."""
    refused: Fault
    """The vendor's answer to a key that has expired."""
    refused_sentence: str
    """A part of the connector's error sentence for it."""
    unreachable_sentences: tuple[str, ...]
    """The start of the error when no connection can be made or every one breaks."""
    timeout_sentences: tuple[str, ...]
    """The start of the error when no answer comes in time."""
    levels: int = 1
    """How often a request without an answer is split and sent again, at most."""
    simulator: Simulator

    @abstractmethod
    def config(self, url: str | None = None, **options: Any) -> Row:
        """A configuration that reads the simulator; at `url` where a proxy is in between."""

    @abstractmethod
    def truth(self, stream: str) -> list[Row]:
        """The rows that the destination must hold, as `row` shows a record."""

    @abstractmethod
    def row(self, stream: str, record: Row) -> Row:
        """A record in the terms of the truth."""

    no_lookback: Mapping[str, Any] = {}
    """Options with which as little as possible is read again."""

    def timeout_options(self, seconds: int) -> Row:
        """Options that set the read timeout, where there are some."""
        return {}

    def shuffle(self, draw: Random) -> None:
        """Delay some answers, so that later requests are answered first."""
        faults = self.simulator.faults
        faults.clear()
        for _ in range(3):
            faults.add(Fault("delay", path=self.long_path, seconds=draw.uniform(0.05, 0.2), skip=draw.randint(0, 25)))

    @abstractmethod
    def happen(self, draw: Random) -> None:
        """Change the vendor's data: rows are new, late or edited."""

    @abstractmethod
    def renew_key(self) -> None:
        """The old key expires; `config` has a new one."""

    def current(self, stream: str, rows: Iterable[Row]) -> Iterable[Row]:
        """The rows of a table that are live."""
        return rows

    def differences(self, held: Held, streams: Sequence[str] | None = None) -> dict[str, str]:
        """The rows that the destination lacks and those it has too many of, shortened, by stream; empty if none."""
        found = {}
        for stream in streams or self.streams:
            expected = Counter(map(canonical, self.truth(stream)))
            rows = self.current(stream, held(stream))
            actual = Counter(canonical(self.row(stream, row)) for row in rows)
            missing, surplus = expected - actual, actual - expected
            if missing or surplus:
                found[stream] = (
                    f"{missing.total()} of {expected.total()} missing, e.g. {next(iter(missing), '')[:400]}; "
                    f"{surplus.total()} too much, e.g. {next(iter(surplus), '')[:400]}"
                )
        return found


def canonical(value: Any) -> str:
    """A value without what two notations of it differ in: nulls, order, instants as text or as milliseconds."""
    return json.dumps(_canonical(value), ensure_ascii=False)


def _canonical(value: Any) -> Any:
    match value:
        case dict():
            return sorted([key, _canonical(item)] for key, item in value.items() if item is not None)
        case list():
            return [_canonical(item) for item in value]
        case str() if _INSTANT.fullmatch(value):
            return (datetime.fromisoformat(value) - _EPOCH) // timedelta(milliseconds=1)
        case datetime():
            return (value - _EPOCH) // timedelta(milliseconds=1)
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


class Customerio(ConnectorUnderTest):
    """A tiny workspace, without its limit of requests."""

    name = "source-customerio"
    streams = (
        "campaigns",
        "campaign_actions",
        "broadcast_triggers",
        "newsletters",
        "messages",
        "activities",
        "customers",
        "segment_memberships",
        "esp_suppressions",
        "snippets",
    )
    no_lookback: Mapping[str, Any] = {"messages_lookback_days": 1}
    short_streams = ("campaign_actions", "messages", "snippets")
    long_stream = "messages"
    long_path = "/v1/messages"
    other_path = "/v1/(activities|segments|customers)"
    refused = Fault(
        "status", status=401, answer='{"errors":[{"detail":"unauthorized request","status":"401"}]}', times=-1
    )
    refused_sentence = "Customer.io did not accept the key"
    unreachable_sentences = (
        "The connection to Customer.io could not be made or broke",
        "Customer.io answered with some",
    )
    timeout_sentences = ("Customer.io did not answer in time",)

    def __init__(self, rows: int | None = None, *, paged: bool = True) -> None:
        now = int(datetime.now(UTC).timestamp())
        self.simulator = CustomerioSimulator(rows=rows, now=now, options=Options(rate_limit=None))
        if paged:
            self.simulator.options.page_caps = {"messages": 20, "activities": 25, "identifiers": 40}

    def config(self, url: str | None = None, **options: Any) -> Row:
        return {
            "app_api_key": self.simulator.api_key,
            "api_url": url or self.simulator.url,
            "start_date": self.simulator.start_date,
            **options,
        }

    def truth(self, stream: str) -> list[Row]:
        rows = self.simulator.truth(stream)
        if stream == "messages":
            start = self.simulator.workspace.start
            rows = [row for row in rows if row["created"] >= start]
        return [self.row(stream, row) for row in rows]

    def row(self, stream: str, record: Row) -> Row:
        headers = record.get("headers")
        if isinstance(headers, list):  # the connector keeps them as JSON text
            return {**record, "headers": json.dumps(headers, ensure_ascii=False, separators=(",", ":"))}
        return record

    def happen(self, draw: Random) -> None:
        match draw.randrange(6):
            case 0:
                self.simulator.mutate("add_message", count=draw.randint(1, 30))
            case 1:
                self.simulator.mutate("fill_metrics", newest=draw.randint(1, 10))
            case 2:
                self.simulator.mutate("edit_action", position=draw.randrange(3))
            case 3:
                self.simulator.mutate("add_activity", count=draw.randint(1, 40), ago=draw.choice([0, 5, 600]))
            case 4:
                self.simulator.mutate("duplicate_campaign")
            case _:
                self.simulator.mutate("add_newsletter")

    def renew_key(self) -> None:
        self.simulator.api_key = "cio-app-key-renewed-51d2"


class Pendo(ConnectorUnderTest):
    """A small subscription at the real time, since the connector's clock decides which days it reads."""

    name = "source-pendo"
    streams = (
        "accounts",
        "visitors",
        "pages",
        "features",
        "metadata_visitors",
        "events",
        "page_events",
        "track_events",
        "guide_events",
        "poll_events",
    )
    short_streams = streams
    long_stream = "page_events"
    long_path = "aggregation"
    other_path = "/(page|feature|metadata)"
    refused = Fault("status", status=403, answer="Forbidden: invalid integration key", times=-1)
    refused_sentence = "Pendo refuses this stream's objects to the integration key"
    unreachable_sentences = ("The connection to Pendo could not be made or broke", "Pendo answered with something that")
    timeout_sentences = ("Pendo did not answer in time",)
    no_lookback: Mapping[str, Any] = {"lookback_window": 0}
    levels = 8  # a day, its halves down to an hour, and the apps one by one
    _DAYS = 8
    _SIZE = Size(
        accounts=40,
        visitors=60,
        anonymous=10,
        objects=6,
        sessions_per_day=6,
        guide_events_per_day=8,
        poll_events_per_day=4,
        crowd=60,
        days=_DAYS + 4,
        future_days=1,
    )

    def __init__(self, rows: int = 0, *, paged: bool = True) -> None:
        now = datetime.now(UTC)
        self.simulator = PendoSimulator(size=self._SIZE, now=now, rows=rows)
        self._since = (now - timedelta(days=self._DAYS)).date()
        self._record_limit = 40 if paged else 50_000

    def config(self, url: str | None = None, **options: Any) -> Row:
        return {
            "api_key": self.simulator.api_key,
            "api_url": url or self.simulator.url,
            "start_date": f"{self._since}T00:00:00Z",
            "record_limit": self._record_limit,
            **options,
        }

    def timeout_options(self, seconds: int) -> Row:
        """The option is the read timeout."""
        return {"request_timeout": seconds}

    def truth(self, stream: str) -> list[Row]:
        options = {"since": str(self._since)} if stream.endswith("events") else {}
        rows = [_squeezed(_spread(row)) for row in self.simulator.truth(stream, **options)]
        if stream in ("pages", "features"):  # definitions write 0 for "no date"
            rows = [_without_zero_dates(row) for row in rows]
        if stream.endswith("events"):  # as rows without a recording do
            rows = [row | {"lastkeyframetimestamp": row.get("lastkeyframetimestamp") or None} for row in rows]
        if stream == "poll_events":  # numbers and texts: the connector makes texts of all
            rows = [row | {"pollresponse": _text(row.get("pollresponse"))} for row in rows]
        return rows

    def row(self, stream: str, record: Row) -> Row:
        """Without the columns that the connector adds."""
        added = {"record_id", "lastupdated", "poll_response_number", "read_day", "read_at", "raw_metadata"}
        return _squeezed({name: value for name, value in record.items() if name not in added})

    def happen(self, draw: Random) -> None:
        # Twelve hours: a day of the subscription ends later than that of UTC, and what is late is of a day that ended.
        ended = self.simulator.now - timedelta(hours=12)
        recent = str((ended - timedelta(days=draw.randint(1, self._DAYS - 1))).date())
        match draw.randrange(5):
            case 0:
                self.simulator.mutate("late", source="pageEvents", day=recent, rows=draw.randint(1, 5))
            case 1:
                self.simulator.mutate("late", source="guideEvents", day=recent, rows=draw.randint(1, 5))
            case 2:
                self.simulator.mutate("grow", source="trackEvents", day=recent, rows=draw.randint(1, 5))
            case 3:
                visitor = draw.choice(self.simulator.truth("visitors"))
                self.simulator.mutate("touch_visitor", visitor_id=visitor["visitorId"])
            case _:
                self.simulator.mutate("touch_definition", kind=draw.choice(["pages", "features"]))

    def renew_key(self) -> None:
        self.simulator.api_key = "simulated-integration-key.renewed"


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _without_zero_dates(row: Row) -> Row:
    users = ("createdbyuser", "lastupdatedbyuser")
    return row | {
        name: {**row[name], "deletedat": row[name].get("deletedat") or None} for name in users if row.get(name)
    }


def _spread(row: Row) -> Row:
    """Metadata as the connector spreads it: a column a group."""
    groups = row.get("metadata")
    if not isinstance(groups, dict):
        return row
    rest = {name: value for name, value in row.items() if name != "metadata"}
    return rest | {f"metadata_{group}": values for group, values in groups.items()}


def _squeezed(value: Any) -> Any:
    """Names without underscores and capitals: the vendor's `pageId` and the connector's `page_id` are one."""
    if isinstance(value, Mapping):
        pairs = [(name.replace("_", "").lower(), _squeezed(item)) for name, item in value.items()]
        return _merged(pairs)
    return [_squeezed(item) for item in value] if isinstance(value, list) else value


def _merged(pairs: list[tuple[str, Any]]) -> Row:
    """Two names of a free-form map may become one (`ARR`, `arr`): both values count, in a fixed order."""
    merged: dict[str, Any] = {}
    for name, value in sorted(pairs, key=lambda pair: (pair[0], str(pair[1]))):
        merged[f"{name}+" if name in merged else name] = value
    return merged


class Heap(ConnectorUnderTest):
    """A bucket to which dumps are added: increments, and now and then a table in full."""

    name = "source-heap"
    streams = ("users", "user_migrations", "sessions", "search_submit")
    short_streams = streams
    long_stream = "sessions"
    long_path = r"sessions.*\.avro"
    other_path = r"users.*\.avro"
    refused = error_fault(400, "ExpiredToken", times=-1)
    refused_sentence = "The session token has expired"
    unreachable_sentences = ("The connection to S3 could not be made or broke", "No server answers at the address")
    timeout_sentences = unreachable_sentences

    def __init__(self, rows: int = 60, *, paged: bool = True) -> None:
        self.simulator: BucketServer = BucketServer()
        self._account = Account(seed=1, bucket=self.simulator.bucket)
        self._dumps: list[Dump] = []
        files = 4 if paged else 1
        parts = {
            "users": full(rows, files=files),
            "user_migrations": full(3),
            "sessions": full(rows, files=files),
            "search_submit": full(rows),
        }
        self._deliver(parts)
        for _ in range(3):
            self._deliver(self._increment(rows // 6))

    def config(self, url: str | None = None, **options: Any) -> Row:
        keys = {"auth_type": "keys", "aws_access_key_id": "AKIASIMULATED", "aws_secret_access_key": "simulated-secret"}
        url = url or self.simulator.url
        return {"bucket": self.simulator.bucket, "endpoint_url": url, "credentials": keys, **options}

    def truth(self, stream: str) -> list[Row]:
        return replay(self._dumps)[stream].latest()

    def row(self, stream: str, record: Row) -> Row:
        """Without the columns that the connector adds."""
        return {name: value for name, value in record.items() if not name.startswith("_heap_")}

    def current(self, stream: str, rows: Iterable[Row]) -> Iterable[Row]:
        """Those of the newest generation: a full dump is the whole table."""
        kept = list(rows)
        newest = max((row["_heap_generation"] for row in kept), default=0)
        return [row for row in kept if row["_heap_generation"] == newest]

    def happen(self, draw: Random) -> None:
        parts = self._increment(draw.randint(1, 15))
        if draw.random() < 0.3:
            table = draw.choice(["sessions", "search_submit"])
            parts[table] = full(draw.randint(5, 40), files=draw.randint(1, 3))
        self._deliver(parts)

    def renew_key(self) -> None:
        """The bucket checks no keys; lifting the fault is all there is."""

    def _increment(self, rows: int) -> dict[str, Part]:
        return {
            "users": more(rows, repeated=0.5),
            "user_migrations": full(2),
            "sessions": more(2 * rows, files=2),
            "search_submit": more(rows),
        }

    def _deliver(self, parts: Mapping[str, Part]) -> None:
        dump = self._account.dump(100 + len(self._dumps), parts)
        self._dumps.append(dump)
        self.simulator.put(dump.objects())


#: All connectors under test
CONNECTORS: tuple[type[ConnectorUnderTest], ...] = (Pendo, Customerio, Heap)
