"""A simulated Pendo subscription and the connector that reads it: options in, Airbyte messages out."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
    Status,
    TraceType,
    Type,
)
from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.entrypoint_wrapper import ExpectedOutcome
from simulators.pendo import PendoSimulator
from source_kit.http.retry import RetryPolicy
from source_pendo import SourcePendo

Row = dict[str, Any]

#: Waits of milliseconds: what is tested is that there are attempts, not that they are far apart
QUICK = RetryPolicy(tries=4, base_seconds=0.001, cap_seconds=0.01, throttled_seconds=0.05)


class Failure(NamedTuple):
    """The error trace of a stream."""

    message: str
    internal_message: str
    failure_type: str


@dataclass
class Synced:
    """What one sync put out, by stream."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, Failure] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    order: list[tuple[str, str]] = field(default_factory=list)
    """(kind, stream) of every record, state and status, as they came."""

    def state(self, stream: str) -> dict[str, Any]:
        """The last state of a stream."""
        return self.states[stream][-1]

    def column(self, stream: str, name: str) -> list[Any]:
        """The values of a column, in the order of the records. The CDK's entry point drops null fields."""
        return [row.get(name) for row in self.rows[stream]]

    def logged(self, text: str) -> bool:
        """Whether a log line holds the text."""
        return any(text in line for line in self.logs)


class Subscription:
    """A simulator and the connector on top of it. The connector's clock shows the simulator's time."""

    def __init__(self, sim: PendoSimulator) -> None:
        self.sim = sim

    def config(self, **options: Any) -> dict[str, Any]:
        """A configuration for the simulator; an option that is None is dropped."""
        config = {"api_key": self.sim.api_key, "api_url": self.sim.url, "start_date": "2026-03-01T00:00:00Z"} | options
        return {name: value for name, value in config.items() if value is not None}

    def read(
        self,
        *streams: str,
        state: Mapping[str, Mapping[str, Any]] | None = None,
        full_refresh: bool = False,
        debug: bool = False,
        **options: Any,
    ) -> Synced:
        """Read streams; incremental where they can be, unless `full_refresh`. `options` belong to the configuration.

        A failure does not raise: it is in `failures`, or under the stream name "" where the whole sync failed.
        """
        config = self.config(**options)
        with_cursor = {stream.name for stream in PENDO_STREAMS if stream.cursor_field}
        chosen = [configured(name, name in with_cursor and not full_refresh) for name in streams]
        catalog = ConfiguredAirbyteCatalogSerializer.load({"streams": chosen})
        given = [AirbyteStateMessageSerializer.load(_stream_state(n, s)) for n, s in (state or {}).items()]
        output = entrypoint_wrapper.read(
            SourcePendo(), config, catalog, given, expected_outcome=ExpectedOutcome.ALLOW_ANY, debug=debug
        )
        return collect(list(output.get_message_iterator()))

    def check(self, **options: Any) -> tuple[bool, str]:
        """Whether the check succeeded, and its sentence."""
        status = SourcePendo().check(logging.getLogger("airbyte.test"), self.config(**options))
        return status.status is Status.SUCCEEDED, status.message or ""

    def discover(self, **options: Any) -> AirbyteCatalog:
        """The catalog. Raises what the connector raises."""
        return SourcePendo().discover(logging.getLogger("airbyte.test"), self.config(**options))

    def schema(self, stream: str, **options: Any) -> dict[str, Any]:
        """A stream's discovered schema."""
        return next(dict(s.json_schema) for s in self.discover(**options).streams if s.name == stream)

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a perfect warehouse holds, in Pendo's names."""
        return self.sim.truth(stream, **options)

    def asked(self, path: str) -> list[Any]:
        """The requests to a path below `/api/v1/`, oldest first."""
        return [request for request in self.sim.requests if request.path == f"/api/v1/{path}"]

    def pipelines(self, source: str) -> list[list[Row]]:
        """The pipelines that were run on an aggregation source, oldest first."""
        asked = (request.json()["request"]["pipeline"] for request in self.asked("aggregation"))
        return [pipeline for pipeline in asked if source in pipeline[0]["source"]]


PENDO_STREAMS: list[Any] = SourcePendo().streams({"api_key": "any"})
STREAM_NAMES: list[str] = [stream.name for stream in PENDO_STREAMS]


def configured(name: str, incremental: bool) -> dict[str, Any]:
    """A stream of a configured catalog."""
    return {
        "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": "incremental" if incremental else "full_refresh",
        "destination_sync_mode": "append",
    }


def _stream_state(name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": dict(state)}}


def collect(messages: list[AirbyteMessage]) -> Synced:
    """Sort the messages of a sync by stream."""
    out = Synced()
    for message in messages:
        if message.record:
            out.rows[message.record.stream].append(message.record.data)
            out.order.append(("record", message.record.stream))
        elif message.state and message.state.stream:
            name = message.state.stream.stream_descriptor.name
            blob = message.state.stream.stream_state
            out.states[name].append(dict(vars(blob)) if blob else {})
            out.order.append(("state", name))
        elif message.type is Type.LOG and message.log:
            out.logs.append(message.log.message)
        elif message.trace and message.trace.type is TraceType.STREAM_STATUS and message.trace.stream_status:
            status = message.trace.stream_status
            out.statuses[status.stream_descriptor.name].append(status.status.value)
            out.order.append((status.status.value, status.stream_descriptor.name))
        elif message.trace and message.trace.error:
            error = message.trace.error
            name = error.stream_descriptor.name if error.stream_descriptor else ""
            kind = error.failure_type.value if error.failure_type else ""
            out.failures[name] = Failure(error.message, error.internal_message or "", kind)
    return out


def instant(ms: int) -> str:
    """Milliseconds as the connector writes them."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def freeze_clock(sim: PendoSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connector's clock shows the simulator's time, which stands still until a mutation moves it."""
    for module in ("source_kit.source", "source_pendo.streams.event_days", "source_pendo.streams.visitor_history"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: sim.now)


def as_json(value: Any) -> str:
    """A canonical text of a JSON value, to compare and to collect in sets."""
    return json.dumps(value, sort_keys=True)
