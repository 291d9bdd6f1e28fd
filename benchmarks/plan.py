"""How a benchmark runs: how often, how large, and with which other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """`repeat` runs of each program count as the best of them. `quick` checks that everything works, not how fast."""

    repeat: int
    quick: bool = False
    peers: bool = True

    def size(self, full: int, quick: int) -> int:
        """A number of rows, files, days ... in the full form and in the quick one."""
        return quick if self.quick else full

    def few(self, sizes: Sequence[T]) -> list[T]:
        """All sizes of a curve; in the quick form the first and the last."""
        return [sizes[0], sizes[-1]] if self.quick else list(sizes)
