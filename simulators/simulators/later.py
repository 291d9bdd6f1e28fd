"""Options of the simulated vendors that tell when they are."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime


def instant(text: str) -> datetime:
    """A time with its offset from UTC, or `real` for the full hour now."""
    if text == "real":
        # the full hour, so that two processes started in the same hour hold the same data
        return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or found.utcoffset() is None:
        message = "an instant needs its offset from UTC"
        raise argparse.ArgumentTypeError(message)
    return found


def later_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--later`, a number of days from 0 on."""
    text = "the same data so many days after --now: what was stays, and each day adds and changes some (%(default)s)"
    parser.add_argument("--later", type=_days, default=0, metavar="DAYS", help=text)


def _days(text: str) -> int:
    days = int(text)
    if days < 0:
        message = "days go forward: give 0 or more"
        raise argparse.ArgumentTypeError(message)
    return days
