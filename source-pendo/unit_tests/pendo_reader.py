"""A simulated Pendo subscription and the connector that reads it: options in, Airbyte messages out."""

from __future__ import annotations

import json
import logging
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import orjson
import pytest
from airbyte_cdk.models import AirbyteCatalog, Status
from simulators.pendo import PendoSimulator
from source_kit.cli import launch
from source_kit.http.retry import RetryPolicy
from source_pendo import SourcePendo
from test_kit.catalogs import Row, configured_stream, stream_states
from test_kit.command import run_here
from test_kit.messages import Output

#: Waits of milliseconds: what is tested is that there are attempts, not that they are far apart
QUICK = RetryPolicy(tries=4, base_seconds=0.001, cap_seconds=0.01, throttled_seconds=0.05)


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
    ) -> Output:
        """Read streams; incremental where they can be, unless `full_refresh`. `options` belong to the configuration.

        A failure does not raise: it is in `failures`, or under the stream name "" where the whole sync failed.
        """
        config = self.config(**options)
        with_cursor = {stream.name for stream in PENDO_STREAMS if stream.cursor_field}
        chosen = [configured_stream(name, name in with_cursor and not full_refresh) for name in streams]
        return run_here(
            lambda argv: launch(SourcePendo, argv),
            "read",
            *(["--debug"] if debug else []),
            config=config,
            catalog={"streams": chosen},
            state=stream_states(state),
        )

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


def visitor_in(path: str) -> str:
    """The visitor in the address of a history."""
    visitor_id = unquote(path.split("/")[4])
    if not visitor_id.startswith("b64_"):
        return visitor_id
    text = visitor_id.removeprefix("b64_")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def history_of(visitor_id: str) -> str:
    """A regular expression for the path of a visitor's history, whatever form the id has there."""
    text = urlsafe_b64encode(visitor_id.encode()).decode().rstrip("=")
    return f"/visitor/({re.escape(quote(visitor_id, safe=''))}|b64_{text}=*)/history"


PENDO_STREAMS: list[Any] = SourcePendo().streams({"api_key": "any"})
STREAM_NAMES: list[str] = [stream.name for stream in PENDO_STREAMS]


def cut_in_the_middle(rows: Sequence[Row]) -> str:
    """The beginning of a JSON list, three quarters or more, up to an empty list that one of its rows holds.

    It ends at a bracket, so a body without a length looks complete until its rows are read.
    """
    whole = orjson.dumps(rows).decode()
    return whole[: whole.index("[]", len(whole) * 3 // 4) + 2]


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
