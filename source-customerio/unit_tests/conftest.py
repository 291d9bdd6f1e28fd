"""The simulated workspace and the connector on top of it: configuration in, Airbyte messages out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateBlob, SyncMode, TraceType, Type
from airbyte_cdk.test.catalog_builder import CatalogBuilder
from airbyte_cdk.test.entrypoint_wrapper import read
from airbyte_cdk.test.state_builder import StateBuilder
from simulators.customerio import CustomerioSimulator, Options
from source_customerio import SourceCustomerio
from source_customerio.budget import RequestBudget
from source_customerio.streams.base import CustomerIoStream
from source_kit.errors import RetryPolicy

DAY = 86_400
HOUR = 3_600

Row = dict[str, Any]


@dataclass
class Synced:
    """What one sync put out, by stream."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, Any] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    order: list[tuple[str, str]] = field(default_factory=list)
    """(kind, stream) of every record, state and status, as they came."""

    def state(self, stream: str) -> dict[str, Any]:
        """The last state of a stream."""
        return self.states[stream][-1]

    def all_states(self) -> dict[str, dict[str, Any]]:
        """The last state of every stream."""
        return {name: states[-1] for name, states in self.states.items()}

    def keys(self, stream: str, *names: str) -> list[Any]:
        """Values of a column, or tuples of several."""
        return [row[names[0]] if len(names) == 1 else tuple(row[n] for n in names) for row in self.rows[stream]]

    def logged(self, text: str) -> bool:
        """Whether a log line holds the text."""
        return any(text in line for line in self.logs)


class Workspace:
    """A simulator and the connector that reads it."""

    def __init__(self, simulator: CustomerioSimulator) -> None:
        self.simulator = simulator

    def config(self, **options: Any) -> dict[str, Any]:
        """A configuration for the simulator; an option that is None is left out."""
        config = {"app_api_key": self.simulator.api_key, "api_url": self.simulator.url, **options}
        return {name: value for name, value in config.items() if value is not None}

    def sync(
        self,
        *streams: str,
        state: Mapping[str, Mapping[str, Any]] | None = None,
        full_refresh: bool = False,
        **options: Any,
    ) -> Synced:
        """Read streams; incremental where they can be, unless `full_refresh`. `options` belong to the configuration."""
        source = SourceCustomerio()
        config = self.config(**options)
        with_cursor = {stream.name for stream in source.streams(config) if stream.cursor_field}
        catalog, states = CatalogBuilder(), StateBuilder()
        for name in streams:
            mode = SyncMode.full_refresh if full_refresh or name not in with_cursor else SyncMode.incremental
            catalog = catalog.with_stream(name, mode)
            if state and name in state:
                states = states.with_stream_state(name, AirbyteStateBlob(dict(state[name])))
        output = read(source, config, catalog.build(), states.build(), expecting_exception=True)
        return collect(output.get_message_iterator())

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a perfect warehouse holds."""
        return self.simulator.truth(stream, **options)

    def asked(self, path: str) -> list[Any]:
        """The requests to a path below `/v1/`, oldest first."""
        return [request for request in self.simulator.requests if request.path == f"/v1/{path}"]


def collect(messages: Any) -> Synced:
    """Sort the messages of a sync by stream."""
    out = Synced()
    for message in messages:
        match message.type:
            case Type.RECORD:
                out.rows[message.record.stream].append(dict(message.record.data))
                out.order.append(("record", message.record.stream))
            case Type.STATE:
                name = message.state.stream.stream_descriptor.name
                out.states[name].append(dict(message.state.stream.stream_state.__dict__))
                out.order.append(("state", name))
            case Type.LOG:
                out.logs.append(message.log.message)
            case Type.TRACE if message.trace.type == TraceType.STREAM_STATUS:
                name = message.trace.stream_status.stream_descriptor.name
                out.statuses[name].append(message.trace.stream_status.status.value)
                out.order.append((message.trace.stream_status.status.value, name))
            case Type.TRACE if message.trace.type == TraceType.ERROR and message.trace.error.stream_descriptor:
                out.failures[message.trace.error.stream_descriptor.name] = message.trace.error
    return out


@pytest.fixture
def simulator() -> Iterator[CustomerioSimulator]:
    """A fresh tiny workspace without a rate limit; the test fails if the simulator itself does."""
    with CustomerioSimulator(options=Options(rate_limit=None)) as running:
        yield running
    assert running.errors == []


@pytest.fixture
def workspace(simulator: CustomerioSimulator) -> Workspace:
    """The connector on the fresh workspace."""
    return Workspace(simulator)


@pytest.fixture
def clock(simulator: CustomerioSimulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[], datetime]:
    """The connector's clock shows the simulator's time, which stands still until a mutation moves it."""

    def now() -> datetime:
        return datetime.fromtimestamp(simulator.now, UTC)

    monkeypatch.setattr("source_kit.source.utc_now", now)
    monkeypatch.setattr("source_customerio.streams.metrics.utc_now", now)
    return now


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests start at once and are repeated at once, except in tests marked by the fixture `real_pace`."""
    if "real_pace" in request.fixturenames:
        return
    monkeypatch.setattr(RequestBudget, "acquire", lambda self: None)
    policy = RetryPolicy(tries=4, base_seconds=0.001, cap_seconds=0.01, throttled_seconds=0.05)
    monkeypatch.setattr(CustomerIoStream, "retry_policy", policy)


@pytest.fixture
def real_pace() -> None:
    """The request budget and the waits between attempts are the real ones."""
