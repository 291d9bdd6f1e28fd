"""Loaded before every test of the repository."""

import warnings

import pytest

# pytest names the modules of simulators/unit_tests after their folder; without this import it would take that
# folder, not the package, for `simulators`.
import simulators  # noqa: F401

# Warnings are errors in tests; the CDK's own, about its experimental classes, come when it is imported first.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import airbyte_cdk  # noqa: F401


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that are no unit tests hold ports, containers and engines, so none of them runs beside another test."""
    if "unit_tests" not in item.path.parts:
        item.add_marker("alone")
