"""Refusals, with the texts that a Pendo sends."""

from __future__ import annotations


class PendoError(Exception):
    """A request that is refused: HTTP status and the plain text of the body, in some cases with a reason phrase."""

    def __init__(self, status: int, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.reason = reason


def bad_pipeline(text: str) -> PendoError:
    """A pipeline that cannot be built. The prefix was seen in the wild; the rest of it only for parameters."""
    return PendoError(400, f"bad pipeline: {text}")


def unexpected_parameters(source: str) -> PendoError:
    """The exact text for a parameter that a source does not know (certain: changelog of a shipping connector)."""
    return bad_pipeline(f"bad source: bad parameters for source type {source}: unexpected parameters")


def no_period() -> PendoError:
    """An event source without `timeSeries` (second-hand)."""
    return PendoError(400, "no period specified for time series source")


def unparsable_filter() -> PendoError:
    """A filter that the parser rejects, for instance an unescaped quote (certain: seen by a shipping connector)."""
    return PendoError(400, "Cannot parse filter expression")


def missing_jzb() -> PendoError:
    """A key of another region. The status is certain, the text second-hand."""
    return PendoError(400, "missing jzb")


def memory_limit() -> PendoError:
    """A query that is too big for the server's memory (certain: tap-pendo)."""
    return PendoError(400, "Query exceeded memory limit")


def timed_out() -> PendoError:
    """A query that the server gave up on after its five minutes."""
    return PendoError(408, "Request timed out")


def not_found() -> PendoError:
    """An address or an id that is not there."""
    return PendoError(404, "Not Found")


def unprocessable(text: str) -> PendoError:
    """A body that is JSON but no request (observed by third parties: a missing pipeline or source)."""
    return PendoError(422, text)
