"""Runs source-customerio without its request budget, to measure the reading and not the vendor's rate limit.

    python benchmarks/drivers/drive_customerio.py read --config CONFIG --catalog CATALOG

With ten requests a second a sync of 300 pages waits most of the time, and a CPU runs slower after each wait.
"""

from __future__ import annotations

from source_customerio.budget import RequestBudget
from source_customerio.run import run


def at_once(budget: RequestBudget) -> None:
    """Lets a request start at once."""


if __name__ == "__main__":
    RequestBudget.acquire = at_once  # type: ignore[method-assign]
    run()
