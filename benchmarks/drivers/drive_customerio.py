"""source-customerio without its request budget: what is measured is the reading, not the vendor's limit.

    python benchmarks/drivers/drive_customerio.py read --config CONFIG --catalog CATALOG

With ten requests a second a sync of 300 pages waits most of its time, and a processor is slow after each wait.
"""

from __future__ import annotations

from source_customerio.budget import RequestBudget
from source_customerio.run import run


def at_once(budget: RequestBudget) -> None:
    """A request may start at once."""


if __name__ == "__main__":
    RequestBudget.acquire = at_once  # type: ignore[method-assign]
    run()
