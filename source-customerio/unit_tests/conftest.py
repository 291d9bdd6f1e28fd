"""The simulated workspace and the connector on top of it: configuration in, Airbyte messages out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from simulators.customerio import CustomerioSimulator, Options
from source_customerio import SourceCustomerio
from source_customerio.budget import RequestBudget
from source_kit.cli import launch
from source_kit.http.retry import RetryPolicy
from test_kit.catalogs import Row, configured_stream, stream_states
from test_kit.command import run_here, specification_read_once
from test_kit.messages import Output

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests import `whole_workspace` by its name


class Workspace:
    """A simulator and the connector that reads it."""

    def __init__(self, simulator: CustomerioSimulator) -> None:
        self.simulator = simulator

    def config(self, **options: Any) -> dict[str, Any]:
        """A configuration for the simulator; an option that is None is dropped."""
        config = {"app_api_key": self.simulator.api_key, "api_url": self.simulator.url, **options}
        return {name: value for name, value in config.items() if value is not None}

    def sync(
        self,
        *streams: str,
        state: Mapping[str, Mapping[str, Any]] | None = None,
        full_refresh: bool = False,
        **options: Any,
    ) -> Output:
        """Read streams; incremental where they can be, unless `full_refresh`. `options` belong to the configuration."""
        catalog = [configured_stream(name, name in with_cursor() and not full_refresh) for name in streams]
        states = {name: known for name, known in (state or {}).items() if name in streams}
        return self.run("read", self.config(**options), catalog={"streams": catalog}, state=stream_states(states) or [])

    def run(self, verb: str, config: Mapping[str, Any] | None, **files: Any) -> Output:
        """One verb of the command line, in this process."""
        return run_here(lambda argv: launch(SourceCustomerio, argv), verb, config=config, **files)

    def check(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Status and message of a check."""
        found = self.run("check", config).connection_status
        return found["status"], found.get("message")

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a perfect warehouse holds."""
        return self.simulator.truth(stream, **options)

    def requests_to(self, path: str) -> list[Any]:
        """The requests to a path below `/v1/`, oldest first."""
        return [request for request in self.simulator.requests if request.path == f"/v1/{path}"]


@cache
def with_cursor() -> frozenset[str]:
    """Names of the streams that can be read incrementally."""
    streams = SourceCustomerio().streams({"app_api_key": "key"})
    return frozenset(stream.name for stream in streams if stream.cursor_field)


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


@pytest.fixture(scope="session", autouse=True)
def _specification_read_once() -> Iterator[None]:
    with specification_read_once(SourceCustomerio):
        yield


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests start at once and are repeated at once, except in tests marked by the fixture `real_pace`."""
    if "real_pace" in request.fixturenames:
        return
    monkeypatch.setattr(RequestBudget, "acquire", lambda self: None)
    policy = RetryPolicy(tries=4, base_seconds=0.001, cap_seconds=0.01, throttled_seconds=0.05)
    monkeypatch.setattr("source_customerio.client.RETRY_POLICY", policy)


@pytest.fixture
def real_pace() -> None:
    """The request budget and the waits between attempts are the real ones."""
