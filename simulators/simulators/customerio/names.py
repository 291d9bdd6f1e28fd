"""Names of what the users of a workspace define. All are invented."""

from __future__ import annotations

from collections.abc import Sequence

CAMPAIGNS = (
    "Welcome series",
    "Trial reminder",
    "Abandoned cart",
    "Win back",
    "Birthday offer",
    "Plan upgrade",
    "Onboarding tips",
    "Renewal notice",
    "Feature announcement",
    "Feedback request",
    "Payment failed",
    "Referral program",
)
BROADCASTS = ("Price change", "Maintenance window", "Store opening", "Recall notice", "Event reminder", "New terms")
NEWSLETTERS = (
    "Spring collection",
    "Product news",
    "Customer stories",
    "Summer sale",
    "Year in review",
    "Tips and tricks",
    "Holiday hours",
    "Road map",
)
TRANSACTIONAL = ("Receipt", "Password reset", "Shipping notice", "Invoice", "Sign-in code", "Refund")
SEGMENTS = (
    "Signed up",
    "Pro plan",
    "Recently active",
    "Beta testers",
    "Newsletter readers",
    "Dormant",
    "Big spenders",
    "Trial ends soon",
)
SUBJECTS = (
    "Welcome aboard \N{WAVING HAND SIGN}",
    "Your trial ends soon",
    "You left something behind",
    "We miss you",
    "A gift for you",
    "More room for your team",
    "Three things to try first",
    "How did we do?",
)


def named(names: Sequence[str], position: int) -> str:
    """A name of its own for each position."""
    lap, place = divmod(position, len(names))
    return names[place] if lap == 0 else f"{names[place]} {lap + 1}"


def subject(number: int) -> str:
    """The subject of an action or a variant."""
    return SUBJECTS[number % len(SUBJECTS)]
