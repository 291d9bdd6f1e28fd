"""The package comes first: it lets connectors be imported where the CDK's own dependencies are not installed."""

from collections.abc import Iterator

import product_analytics_spark  # noqa: F401
import pytest
from product_analytics_spark import secrets
from source_kit.secrets import set_secrets


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process keeps what it masks; the made-up key of one test would mask words of another."""
    monkeypatch.setattr(secrets, "_masked", set())
    yield
    set_secrets([])
