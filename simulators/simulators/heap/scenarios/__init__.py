"""Scenarios: the history of a bucket in steps, and the rows that a complete warehouse holds after each step.

    for step in scenario("resync_in_the_middle"):
        step.apply(store)
        ...read...
        assert rows == step.live["sessions"].emitted()

`random_history(seed)` makes a random one.
"""

from simulators.heap.layout import DEFAULT_BUCKET
from simulators.heap.scenarios import columns, files, history, identity
from simulators.heap.scenarios.builder import Scenario, Step, Trouble
from simulators.heap.scenarios.history import random_history

SCENARIOS: dict[str, Scenario] = {
    make.__name__: make for module in (history, files, columns, identity) for make in module.SCENARIOS
}

__all__ = ["SCENARIOS", "Step", "Trouble", "random_history", "scenario"]


def scenario(name: str, *, bucket: str = DEFAULT_BUCKET, seed: int = 1) -> list[Step]:
    """The steps of a scenario, for a bucket with this name."""
    return SCENARIOS[name](bucket, seed)
