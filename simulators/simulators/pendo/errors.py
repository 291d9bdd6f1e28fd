"""Error answers, with the texts that Pendo sends."""

from __future__ import annotations


class PendoError(Exception):
    """Pendo refuses a request: HTTP status, plain text of the body and, for some errors, the reason phrase."""

    def __init__(self, status: int, text: str, reason: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.reason = reason


def bad_pipeline(text: str) -> PendoError:
    """A wrong pipeline. The prefix was seen in real answers; a full text was seen only for wrong parameters."""
    return PendoError(400, f"bad pipeline: {text}")


def unexpected_parameters(source: str) -> PendoError:
    """A source got a parameter that it does not know. The text is exact (certain: changelog of a public connector)."""
    return bad_pipeline(f"bad source: bad parameters for source type {source}: unexpected parameters")


def no_period() -> PendoError:
    """An event source without `timeSeries` (the text is second-hand)."""
    return PendoError(400, "no period specified for time series source")


def unparsable_filter() -> PendoError:
    """A filter that Pendo cannot parse, such as an unescaped quote (certain: handled by a public connector)."""
    return PendoError(400, "Cannot parse filter expression")


def missing_jzb() -> PendoError:
    """A key of another region. The status is certain, the text is second-hand."""
    return PendoError(400, "missing jzb")


def memory_limit() -> PendoError:
    """A query needs more memory than the server has (certain: tap-pendo)."""
    return PendoError(400, "Query exceeded memory limit")


def timed_out() -> PendoError:
    """A query takes longer than five minutes, so the server gives up."""
    return PendoError(408, "Request timed out")


def not_found() -> PendoError:
    """An address or an id that does not exist."""
    return PendoError(404, "Not Found")


def unprocessable(text: str) -> PendoError:
    """A JSON body that is not a valid request (observed by third parties: a missing pipeline or source)."""
    return PendoError(422, text)
