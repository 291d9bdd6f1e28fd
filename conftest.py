"""Loaded before every test of the repository."""

import warnings

# pytest names the modules of simulators/unit_tests after their folder; without this import it would take that
# folder, not the package, for `simulators`.
import simulators  # noqa: F401

# Warnings are errors in tests; the CDK's own, about its experimental classes, come when it is imported first.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import airbyte_cdk  # noqa: F401
