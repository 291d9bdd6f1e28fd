"""A simulated Pendo. A test needs `PendoSimulator` only."""

from simulators.pendo.directory import APPS, CROWD_VISITOR, DEFAULT_APP, EXCLUDED_VISITOR, MOBILE_APP, WEB_APP
from simulators.pendo.simulator import PendoSimulator
from simulators.pendo.sizes import DEFAULT_NOW, SIZES, Size

__all__ = [
    "APPS",
    "CROWD_VISITOR",
    "DEFAULT_APP",
    "DEFAULT_NOW",
    "EXCLUDED_VISITOR",
    "MOBILE_APP",
    "SIZES",
    "WEB_APP",
    "PendoSimulator",
    "Size",
]
