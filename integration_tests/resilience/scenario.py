"""A connector under test, a way to start it, and files for its command line: what a chain of syncs needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from resilience.connectors_under_test import ConnectorUnderTest
from test_kit.catalogs import Row, configured
from test_kit.command import arguments
from test_kit.destination import Destination
from test_kit.process import Crash, Launcher, Meanwhile, Outcome, Pace, watch


class Scenario:
    """Syncs of one connector. `catalog` is the one that it discovered."""

    def __init__(
        self, connector: ConnectorUnderTest, launcher: Launcher, catalog: Mapping[str, Any], folder: Path
    ) -> None:
        self.connector = connector
        self.launcher = launcher
        self._catalog = catalog
        self.folder = folder

    def destination(self, *streams: str, full_refresh: bool = False) -> Destination:
        """An empty destination for these streams, by default those of the connector; incremental where they can be."""
        chosen = streams or self.connector.streams
        return Destination(configured(self._catalog, chosen, full_refresh=full_refresh))

    def sync(
        self,
        destination: Destination,
        *,
        launcher: Launcher | None = None,
        url: str | None = None,
        crash: Crash | None = None,
        pace: Pace | None = None,
        meanwhile: Meanwhile | None = None,
        uncovered: bool = True,
        limit: float = 60.0,
        options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Outcome:
        """One sync into the destination, from the state that it holds. See `watch` and `Destination.load`."""
        config = self.connector.config(url, **(options or {}))
        files = {"config": config, "catalog": destination.catalog, "state": destination.begin() or None}
        argv = arguments(self.folder, "read", (), files)
        running = (launcher or self.launcher).start(argv, **settings)
        outcome = watch(running, crash, pace, meanwhile, limit)
        if not outcome.killed and pace is None:
            assert outcome.torn == b"", outcome.torn[:200]
        destination.load(outcome.lines, uncovered=uncovered)
        return outcome


MakeScenario = Callable[..., Scenario]


def discovered(connector: ConnectorUnderTest, launcher: Launcher, folder: Path) -> Row:
    """The catalog that the connector discovers."""
    argv = arguments(folder, "discover", (), {"config": connector.config()})
    return watch(launcher.start(argv)).catalog
