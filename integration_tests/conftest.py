"""The connectors of the suite on their simulators. `acceptance-test-config.yml` names them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proof.output import Output
from proof.stage import ScriptStage, Stage
from proof.suite import Connector, connectors
from proof.vendors import MOMENT, running


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
def stage(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The connector on its simulator, whose data nobody changes; both at the same fixed moment."""
    with running(connector, moment=MOMENT) as vendor:
        yield Stage(connector, vendor, tmp_path_factory.mktemp(connector.name))


@pytest.fixture(scope="session")
def first_read(stage: Stage) -> Output:
    """Everything, incremental where it can be."""
    return stage.read().succeeded()


@pytest.fixture(scope="session")
def second_read(stage: Stage, first_read: Output) -> Output:
    """The same again from where the first read ended; nothing has happened in between."""
    return stage.read(state=first_read.last_states()).succeeded()


@pytest.fixture
def fresh_stage(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """As `stage`, on a simulator that the test may change and spoil."""
    with running(connector, moment=MOMENT) as vendor:
        yield Stage(connector, vendor, tmp_path_factory.mktemp(connector.name))


@pytest.fixture
def script_stage(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptStage]:
    """The connector's console script on a simulator of its own, at the real time."""
    with running(connector) as vendor:
        yield ScriptStage(connector, vendor, tmp_path_factory.mktemp(connector.name))
