"""How a benchmark runs: how often, how large, and with which other programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """`repeat` runs of each program count as the best of them. `quick` checks that everything works, not how fast."""

    repeat: int
    quick: bool = False
    peers: bool = True

    def size(self, full: int, quick: int) -> int:
        """A number of rows, files, days ... in the full form and in the quick one."""
        return quick if self.quick else full
