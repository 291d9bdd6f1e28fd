"""How the vendor's lists continue and end: `next` of an answer is `start` of the following request.

The token is opaque and goes back byte for byte; an altered one is answered with 200 and wrong rows.
"""

from __future__ import annotations

from enum import Enum

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


class End(Enum):
    """What ends a list."""

    TOKEN = "token"  # noqa: S105 - no secret
    """Only an empty, null or absent `next`: deliveries and memberships may have an empty page in the middle.

    So do lists that come in one answer: that the vendor declares no `next` for one proves nothing, since it declares
    none for deliveries either, which have it.
    """
    TOKEN_OR_EMPTY_PAGE = "token or empty page"  # noqa: S105 - no secret
    """An empty page too: one-time sends and senders give a token after their last row (certain: recorded answers)."""


class PageTokens:
    """The page tokens of one list while it is read.

    A page that is shorter than its limit ends nothing: the server may cap the size of pages silently.
    """

    def __init__(self, end: End, what: str) -> None:
        """`what` names the list in the error that a repeated token raises."""
        self._end = end
        self._what = what
        self._seen: set[str] = set()

    def following(self, token: object, rows: int) -> str | None:
        """The token to ask for the next page with, None after the last.

        `token` is what came as `next`, `rows` how many rows came with it. Raises a system_error for a token that was
        sent before: the list would never end.
        """
        if token is None or token == "":
            return None
        if self._end is End.TOKEN_OR_EMPTY_PAGE and rows == 0:
            return None
        text = str(token)
        self.require_new(text)
        return text

    def require_new(self, text: str) -> None:
        """Raises a system_error for a token, or another mark of a page, that came before."""
        if text in self._seen:
            raise AirbyteTracedException(
                message=f"Customer.io gave the same page of {self._what} twice, so the list cannot be read to its end. "
                "Run the sync again; if it happens again, report it to Customer.io's support.",
                internal_message=f"{self._what}: page token repeated after {len(self._seen)} pages",
                failure_type=FailureType.system_error,
            )
        self._seen.add(text)
