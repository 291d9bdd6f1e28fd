"""A simulated App API of Customer.io. README.md in this folder shows how to use it."""

from simulators.customerio.options import Options
from simulators.customerio.simulator import API_KEYS, TRACK_KEY, CustomerioSimulator
from simulators.customerio.workspace import SIZES, Size

__all__ = ["API_KEYS", "SIZES", "TRACK_KEY", "CustomerioSimulator", "Options", "Size"]
