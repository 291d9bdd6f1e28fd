"""A simulator of Customer.io with a chosen number of campaigns and no rate limit.

python benchmarks/drivers/many_campaigns.py CAMPAIGNS
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import chain

from simulators.customerio import CustomerioSimulator
from simulators.customerio.options import Options
from simulators.customerio.workspace import DAY, SIZES, Workspace
from simulators.server import run_until_signal


def into_the_past(workspace: Workspace) -> None:
    """Moves the times of campaigns and their actions before now: the simulator makes each nine days after the last."""
    start, span = workspace.start, workspace.now - workspace.start - DAY
    rows = [*workspace.lists["campaigns"], *chain.from_iterable(workspace.children["campaign_actions"].values())]
    for row in rows:
        row.update({name: start + (row[name] - start) % span for name in ("created", "updated") if row.get(name)})


def main() -> int:
    """Serves until a signal."""
    size = replace(SIZES["tiny"], campaigns=int(sys.argv[1]))
    simulator = CustomerioSimulator(size=size, options=Options(rate_limit=0))
    into_the_past(simulator.workspace)
    return run_until_signal(simulator)


if __name__ == "__main__":
    sys.exit(main())
