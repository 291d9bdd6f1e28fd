"""Loaded before every test of the repository."""

import warnings

import pytest
from machine import TOOLS

# pytest names the modules of simulators/unit_tests after their folder; without this import it would take that
# folder, not the package, for `simulators`.
import simulators  # noqa: F401

# Warnings are errors in tests; the CDK's own, about its experimental classes, come when it is imported first.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import airbyte_cdk  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """Each tool has a marker."""
    for tool in TOOLS:
        config.addinivalue_line("markers", f"{tool.marker}: needs {tool.needs}")


@pytest.hookimpl(tryfirst=True)  # before any fixture
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test is skipped where a tool is missing that one of its markers names."""
    markers = {marker.name for marker in item.iter_markers()}
    for tool in TOOLS:
        if tool.marker in markers and not tool.is_here:
            pytest.skip(f"a tool is missing: tests marked `{tool.marker}` need {tool.needs}")
