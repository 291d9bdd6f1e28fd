"""A simulator of Customer.io with a chosen number of campaigns and no rate limit.

python benchmarks/drivers/many_campaigns.py CAMPAIGNS
"""

from __future__ import annotations

import sys
from dataclasses import replace

from simulators.customerio import CustomerioSimulator
from simulators.customerio.options import Options
from simulators.customerio.workspace import SIZES
from simulators.server import run_until_signal

if __name__ == "__main__":
    size = replace(SIZES["tiny"], campaigns=int(sys.argv[1]))
    sys.exit(run_until_signal(CustomerioSimulator(size=size, options=Options(rate_limit=0))))
