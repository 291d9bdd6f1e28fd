"""Airbyte's own harness, `airbyte_cdk.test.standard_tests`: every connector in process and in its image.

It reads the connectors' configurations from files; here they are made for the simulators, which run as long as the
module's tests. The harness reports problems of a catalog as warnings for now: here every warning is an error.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airbyte_cdk.test.models import ConnectorTestScenario
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase
from harness.containers import BRIDGE
from harness.runner import unlimited
from harness.suite import Connector, connectors
from harness.vendors import running

_SECTIONS: dict[str, tuple[str, ...]] = {
    "good": ("spec", "connection", "discovery", "basic_read"),
    "refused": ("connection",),
}


class _Harness(SourceTestSuiteBase):
    """The harness for one connector: its root, its source, its scenarios."""

    suite_entry: ClassVar[Connector]
    scenario_folder: ClassVar[Path]

    # the last release is compared with in test_backward_compatibility.py; this one asks Airbyte's registry
    test_docker_image_spec_backward_compatibility = None  # type: ignore[assignment]

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        """The connector's directory."""
        return cls.suite_entry.folder

    @classmethod
    def create_connector(cls, scenario: ConnectorTestScenario | None) -> Any:
        """A new source."""
        return cls.suite_entry.source()

    @classmethod
    def get_scenarios(cls) -> list[ConnectorTestScenario]:
        """One configuration that works and one that the vendor refuses."""
        empty = [{"name": name, "bypass_reason": "see the suite"} for name in sorted(cls.suite_entry.empty_streams)]
        return [
            ConnectorTestScenario.model_validate(
                {
                    "config_path": cls.scenario_folder / f"{name}.json",
                    "status": "succeed" if name == "good" else "failed",
                    "sections": _SECTIONS[name],
                    "test_strictness_level": "high",
                    **({"empty_streams": empty} if name == "good" and empty else {}),
                }
            )
            for name in _SECTIONS
        ]


def _harness_of(entry: Connector) -> type[_Harness]:
    """A class for pytest to find."""
    name = "Test" + entry.package.title().replace("_", "")
    return type(name, (_Harness,), {"suite_entry": entry, "__module__": __name__})


CLASSES = {_harness_of(entry).__name__: _harness_of(entry) for entry in connectors()}
globals().update(CLASSES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test with the scenarios that it is for: the harness skips the others, this one does not collect them."""
    if "scenario" in metafunc.fixturenames:
        is_check = metafunc.function.__name__.endswith("check")
        metafunc.parametrize("scenario_name", list(_SECTIONS) if is_check else ["good"])


@pytest.fixture(scope="class")
def vendor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The connector's simulator where processes and containers reach it, and the scenarios' configurations."""
    harness = request.cls
    harness.scenario_folder = tmp_path_factory.mktemp("scenarios")
    with ExitStack() as stack:
        simulated = stack.enter_context(running(harness.suite_entry, host=_reachable()))
        for name, config in (("good", simulated.config), ("refused", simulated.wrong_config)):
            (harness.scenario_folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
        stack.enter_context(unlimited(harness.suite_entry))
        yield


@pytest.fixture
def scenario(vendor: None, request: pytest.FixtureRequest, scenario_name: str) -> ConnectorTestScenario:
    """The scenario of this name."""
    found: list[ConnectorTestScenario] = request.cls.get_scenarios()
    return next(each for each in found if each.id == scenario_name)


def _reachable() -> str:
    """Docker's bridge where there is one, else loopback."""
    return BRIDGE if Path("/sys/class/net/docker0").exists() else "127.0.0.1"


@pytest.fixture
def connector_image_override(request: pytest.FixtureRequest) -> str:
    """The image that `make images` built."""
    entry: Connector = request.cls.suite_entry
    return entry.image


@pytest.fixture
def connector_base_image_override() -> None:
    """Not built here."""


@pytest.fixture
def read_from_streams() -> str:
    """The harness's option: every stream."""
    return "all"


@pytest.fixture
def read_scenarios() -> str:
    """The harness's option: every scenario that reads."""
    return "all"


def test_the_harness_finds_each_connector_by_itself() -> None:
    """As `airbyte-cdk connector test` would: the class from the package, its tests from acceptance-test-config.yml."""
    for entry in connectors():
        package = importlib.import_module(entry.package)
        assert entry.source.__name__ in package.__all__
        found = _entries_of(entry)
        assert {"spec", "connection", "discovery", "basic_read"} <= found, entry.name


def _entries_of(entry: Connector) -> set[str]:
    """The sections of the connector's own acceptance-test-config.yml that the harness reads and takes."""

    class Own(SourceTestSuiteBase):
        @classmethod
        def get_connector_root_dir(cls) -> Path:
            return entry.folder

    return {section for scenario in Own.get_scenarios() for section in scenario.sections}
