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


#: Integration tests that may run beside others: they hold no engine and no port of their own, and no seconds to a limit
WITH_NEIGHBORS = {
    "test_backward_compatibility.py",
    "test_benchmarks.py",
    "test_contributing.py",
    "test_customerio_recipes.py",
    "test_demo.py",
    "test_fuzz.py",
    "test_incremental_acceptance.py",
    "test_meltano.py",
    "test_network.py",
    "test_protocol_acceptance.py",
    "test_pyairbyte_warehouses.py",
    "test_secrets.py",
    "test_serverless.py",
    "test_single_column_keys.py",
    "test_slim_environment.py",
    "test_tables.py",
    "test_views.py",
}


def pytest_itemcollected(item: pytest.Item) -> None:
    """All other integration tests run alone, see the marker."""
    neighborly = item.path.name in WITH_NEIGHBORS and item.get_closest_marker("docker") is None
    if "unit_tests" not in item.path.parts and not neighborly:
        item.add_marker("alone")
