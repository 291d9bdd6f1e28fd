"""The connectors under test, each on a fresh simulator and forked from a process that has imported it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from resilience.connectors_under_test import CONNECTORS, ConnectorUnderTest
from resilience.fork_server import ForkServer
from resilience.scenario import MakeScenario, Scenario, discovered
from test_kit.process import ConsoleScript


@pytest.fixture(scope="session")
def fork_servers() -> Iterator[Callable[[str], ForkServer]]:
    """A connector by name, imported once in the whole run."""
    made: dict[str, ForkServer] = {}

    def get(connector: str) -> ForkServer:
        if connector not in made:
            made[connector] = ForkServer(connector)
        return made[connector]

    yield get
    for launcher in made.values():
        launcher.close()


@pytest.fixture(scope="session")
def catalogs() -> dict[type[ConnectorUnderTest], Mapping[str, Any]]:
    """Catalogs that were discovered already."""
    return {}


@pytest.fixture
def make_scenario(
    fork_servers: Callable[[str], ForkServer],
    catalogs: dict[type[ConnectorUnderTest], Mapping[str, Any]],
    tmp_path: Path,
) -> Iterator[MakeScenario]:
    """`make_scenario(Pendo, rows=1000)`: a simulator that runs until the test ends, and its connector."""
    with ExitStack() as stack:

        def make(kind: type[ConnectorUnderTest], **arguments: Any) -> Scenario:
            connector = kind(**arguments)
            stack.enter_context(connector.simulator)
            launcher = fork_servers(connector.name)
            if kind not in catalogs:
                catalogs[kind] = discovered(connector, launcher, tmp_path)
            stack.callback(_expect_no_bugs, connector)
            return Scenario(connector, launcher, catalogs[kind], tmp_path)

        yield make


def _expect_no_bugs(connector: ConnectorUnderTest) -> None:
    assert connector.simulator.errors == []


@pytest.fixture(params=CONNECTORS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> type[ConnectorUnderTest]:
    """Each connector in turn."""
    chosen: type[ConnectorUnderTest] = request.param
    return chosen


@pytest.fixture
def scenario(kind: type[ConnectorUnderTest], make_scenario: MakeScenario) -> Scenario:
    """Each connector in turn on a small simulator, forked, with its own retries."""
    return make_scenario(kind)


@pytest.fixture
def unpaged_scenario(kind: type[ConnectorUnderTest], make_scenario: MakeScenario) -> Scenario:
    """The same with few requests, for runs at the pace that a vendor allows."""
    return make_scenario(kind, paged=False)


@pytest.fixture
def console_script(kind: type[ConnectorUnderTest]) -> ConsoleScript:
    """Each connector's console script."""
    return ConsoleScript(kind.name)
