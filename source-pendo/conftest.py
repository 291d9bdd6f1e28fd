"""Loaded before the connector's tests, whether pytest or `airbyte-cdk connector test` runs them."""

import warnings

# as in the conftest.py of the workspace, which is not loaded where this folder is the root
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import airbyte_cdk  # noqa: F401

# the simulator for Airbyte's harness
from harness.standard_tests import pytest_collection_modifyitems, pytest_configure, pytest_unconfigure  # noqa: F401
