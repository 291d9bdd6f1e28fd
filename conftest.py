"""Loaded before every test of the repository."""

# pytest names the modules of simulators/unit_tests after their folder; without this import it would take that
# folder, not the package, for `simulators`.
import simulators  # noqa: F401
