"""Fixtures of the unit tests; `heap_world` has what they are made of."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from airbyte_cdk.models import ConnectorSpecification
from simulators.heap.s3_server import BucketServer
from simulators.heap.scenarios import Step
from source_heap import SourceHeap, retrying
from source_kit.http.retry import RetryPolicy
from source_kit.source import Source

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests import `heap_world` by its name

from heap_world import Heap, Warehouse


@pytest.fixture
def heap() -> Iterator[Heap]:
    """An empty bucket."""
    with BucketServer() as server:
        yield Heap(server)


@pytest.fixture
def warehouse(heap: Heap) -> Warehouse:
    """An empty warehouse over the bucket."""
    return Warehouse(heap)


@pytest.fixture
def steps(heap: Heap) -> Callable[[list[Step]], Iterator[Step]]:
    """Applies the steps of a scenario one by one."""

    def apply(story: list[Step]) -> Iterator[Step]:
        for step in story:
            heap.server.apply(step)
            yield step

    return apply


@pytest.fixture(autouse=True)
def _specification_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the YAML takes a third of a short run, and there are hundreds."""
    monkeypatch.setattr(SourceHeap, "spec", lambda source, logger: _specification())


@cache
def _specification() -> ConnectorSpecification:
    return Source.spec(SourceHeap(), logging.getLogger("airbyte"))


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "POLICY", RetryPolicy(base_seconds=0.001, cap_seconds=0.005))
