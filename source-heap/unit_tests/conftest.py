"""Fixtures of the unit tests; `heap_world` has what they are made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulators.heap.s3_server import BucketServer
from simulators.heap.scenarios import Step
from source_heap import SourceHeap
from source_heap.avro import native_decoder
from source_kit.http.retry import RetryPolicy
from source_kit.s3 import retrying
from test_kit.command import specification_read_once

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests import `heap_world` by its name

from decoding import DECODERS
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


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which decoder reads flat tables: a test with this fixture runs with each."""
    if request.param == "fastavro":
        monkeypatch.setattr(native_decoder, "MISSING", "the test does without it")
    elif native_decoder.MISSING is not None:
        pytest.skip(f"the compiled decoder is missing: {native_decoder.MISSING}")
    return str(request.param)


@pytest.fixture(scope="session", autouse=True)
def _specification_read_once() -> Iterator[None]:
    with specification_read_once(SourceHeap):
        yield


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "POLICY", RetryPolicy(base_seconds=0.001, cap_seconds=0.005))
