"""The connectors of the suite on their simulators. `acceptance-test-config.yml` names them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.runner import Runner, ScriptRunner
from harness.suite import Connector, connectors
from harness.vendors import MOMENT, running
from test_kit.messages import Output


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airbyte's harness marks what needs Docker by a name of its own."""
    for item in items:
        if item.get_closest_marker("image_tests"):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session", params=connectors(), ids=lambda connector: connector.name)
def connector(request: pytest.FixtureRequest) -> Connector:
    """Each connector in turn."""
    chosen: Connector = request.param
    return chosen


@pytest.fixture(scope="session")
def runner(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """The connector on its simulator, whose data do not change; both at the same fixed moment."""
    with running(connector, moment=MOMENT) as vendor:
        yield Runner(connector, vendor, tmp_path_factory.mktemp(connector.name))


@pytest.fixture(scope="session")
def first_read(runner: Runner) -> Output:
    """Everything, incremental where it can be."""
    return runner.read().succeeded()


@pytest.fixture(scope="session")
def second_read(runner: Runner, first_read: Output) -> Output:
    """The same again from where the first read ended; nothing has happened in between."""
    return runner.read(state=first_read.last_state_messages()).succeeded()


@pytest.fixture
def fresh_runner(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """As `runner`, on a simulator that the test may change and break."""
    with running(connector, moment=MOMENT) as vendor:
        yield Runner(connector, vendor, tmp_path_factory.mktemp(connector.name))


@pytest.fixture
def script_runner(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptRunner]:
    """The connector's console script on a simulator of its own, at the real time."""
    with running(connector) as vendor:
        yield ScriptRunner(connector, vendor, tmp_path_factory.mktemp(connector.name))
