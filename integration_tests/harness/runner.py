"""A connector on its simulator: in this process with a clock that stands still, or by its console script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness.suite import Connector
from harness.vendors import Vendor
from source_kit.cli import launch
from test_kit.catalogs import Row, configured
from test_kit.command import arguments, run_here, run_process
from test_kit.messages import Output


class Runner:
    """Runs a connector in this process on its vendor's simulator.

    The connector's clock shows the simulator's present, so that two runs write the same; and requests start at once,
    where a budget would spread them over many seconds.
    """

    def __init__(self, connector: Connector, vendor: Vendor, folder: Path) -> None:
        self.connector = connector
        self.vendor = vendor
        self.folder = folder

    @cached_property
    def catalog(self) -> Row:
        """The catalog that the connector discovers."""
        return self.run("discover", config=self.vendor.config).succeeded().catalog

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        """One verb. `files` (`config`, `catalog`, `state`) become JSON files; one that is None is not passed."""
        with _frozen_clock(self.vendor.moment), unlimited(self.connector):
            return run_here(lambda argv: launch(self.connector.source, argv), verb, *flags, **files)

    def read(
        self,
        *streams: str,
        full_refresh: bool = False,
        state: Sequence[Row] = (),
        config: Row | None = None,
    ) -> Output:
        """A read of these streams, or of all."""
        return self.run(
            "read",
            config=config or self.vendor.config,
            catalog=configured(self.catalog, streams, full_refresh=full_refresh),
            state=list(state) or None,
        )


class ScriptRunner(Runner):
    """Runs the console script in a process of its own: at the real time, as fast as the vendor's rate limit allows."""

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        argv = arguments(self.folder, verb, flags, files)
        return run_process([str(self.connector.script), *argv])


@contextmanager
def _frozen_clock(moment: datetime) -> Iterator[None]:
    """The connectors' clock stands at this moment."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz or UTC)

    with patch("source_kit.convert.datetime", Frozen):
        yield


@contextmanager
def unlimited(connector: Connector) -> Iterator[None]:
    """Without the ten requests a second that Customer.io's connector keeps to even where the simulator does not."""
    if connector.vendor == "customerio":
        with patch("source_customerio.budget.RequestBudget.acquire", lambda budget: None):
            yield
    else:
        yield
