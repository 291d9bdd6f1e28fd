"""The simulated workspace and the connector on top of it: configuration in, Airbyte messages out."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from simulators.customerio import CustomerioSimulator, Options
from source_customerio import SourceCustomerio
from source_customerio.budget import RequestBudget
from source_kit.cli import launch
from source_kit.http.retry import RetryPolicy

Row = dict[str, Any]


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
        """A configuration for the simulator; an option that is None is dropped."""
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
        config = self.config(**options)
        catalog = [configured(name, name in with_cursor() and not full_refresh) for name in streams]
        states = [stream_state(name, (state or {})[name]) for name in streams if name in (state or {})]
        return collect(run("read", config=config, catalog={"streams": catalog}, state=states))

    def run(self, verb: str, config: Mapping[str, Any] | None, **files: Any) -> list[dict[str, Any]]:
        """The messages of a verb."""
        return run(verb, config=config, **files)

    def check(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Status and message of a check."""
        found = next(m for m in self.run("check", config) if m["type"] == "CONNECTION_STATUS")["connectionStatus"]
        return found["status"], found.get("message")

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The rows that a perfect warehouse holds."""
        return self.simulator.truth(stream, **options)

    def asked(self, path: str) -> list[Any]:
        """The requests to a path below `/v1/`, oldest first."""
        return [request for request in self.simulator.requests if request.path == f"/v1/{path}"]


@cache
def with_cursor() -> frozenset[str]:
    """Names of the streams that can be read incrementally."""
    streams = SourceCustomerio().streams({"app_api_key": "key"})
    return frozenset(stream.name for stream in streams if stream.cursor_field)


def configured(name: str, incremental: bool) -> dict[str, Any]:
    """A stream of a configured catalog."""
    return {
        "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": "incremental" if incremental else "full_refresh",
        "destination_sync_mode": "append",
    }


def stream_state(name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state as the platform hands it back."""
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}


def run(verb: str, **files: Any) -> list[dict[str, Any]]:
    """The command line in this process: the messages that it writes to its stdout.

    `files` become JSON files, one an option; one that is None is dropped.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        args = [verb]
        for option, content in files.items():
            if content is not None:
                path = Path(folder, f"{option}.json")
                path.write_text(json.dumps(content), encoding="utf-8")
                args += [f"--{option}", str(path)]
        with _stdout_into(out):
            launch(SourceCustomerio, args)
        out.seek(0)
        return [json.loads(line) for line in out]


@contextmanager
def _stdout_into(file: IO[bytes]) -> Iterator[None]:
    """What is written to file descriptor 1 goes into a file; what the connector changes in the process is undone."""
    hook, handlers, stdout = sys.excepthook, logging.getLogger().handlers[:], os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        assert sys.__stdout__ is not None
        sys.__stdout__.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
        sys.excepthook, logging.getLogger().handlers[:] = hook, handlers


def collect(messages: Iterable[dict[str, Any]]) -> Synced:
    """Sort the messages of a sync by stream."""
    out = Synced()
    for message in messages:
        match message:
            case {"type": "RECORD", "record": {"stream": name, "data": data}}:
                out.rows[name].append(data)
                out.order.append(("record", name))
            case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}, "stream_state": state}}}:
                out.states[name].append(state)
                out.order.append(("state", name))
            case {"type": "LOG", "log": {"message": text}}:
                out.logs.append(text)
            case {"trace": {"stream_status": {"stream_descriptor": {"name": name}, "status": status}}}:
                out.statuses[name].append(status)
                out.order.append((status, name))
            case {"trace": {"error": {"stream_descriptor": {"name": name}} as error}}:
                out.failures[name] = Failure(error["message"], error["internal_message"], error["failure_type"])
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


@pytest.fixture(scope="session", autouse=True)
def _specification_parsed_once() -> Iterator[None]:
    """Every sync reads the specification, which a process does once; hundreds of syncs in this one share it."""
    spec = SourceCustomerio().spec(logging.getLogger("airbyte"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SourceCustomerio, "spec", lambda self, logger: spec)
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
