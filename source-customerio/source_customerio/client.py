"""How Customer.io is talked to: the key, patience, the error table, and what all streams of a sync share."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit import errors
from source_kit.errors import Action, ErrorRule, ErrorTable, RetryPolicy
from source_kit.http.body import session

from source_customerio.budget import RequestBudget
from source_customerio.config import Config

#: Seconds. Answers come in half a second (observed by third parties); a page of 30,000 members takes longer.
READ_TIMEOUT = 60.0
#: A key that others use too is throttled for a second at a time; ten minutes of that in one request mean that the
#: limit does not clear during this sync, as a daily quota does not.
PATIENCE = RetryPolicy(throttled_seconds=600.0)
#: For `check`: an answer now is worth more than one that waited, but a busy workspace is no failure.
IMPATIENCE = RetryPolicy(tries=2, throttled_seconds=5.0)
#: Seconds that a request is throttled for when another one's patience was used up before: each stream that waited for
#: its own ten minutes would make hours of a spent quota.
PATIENCE_LEFT = 5.0


class Unauthorized(AirbyteTracedException):
    """401: the key opens nothing here."""


class WrongRegion(AirbyteTracedException):
    """3xx: the account lies in the other data center."""


class Forbidden(AirbyteTracedException):
    """403: the key does not open this."""


class NotFound(AirbyteTracedException):
    """404: below a parent that was listed a moment ago, it was deleted since."""


class Unaccepted(AirbyteTracedException):
    """400 or 422: the server makes nothing of the request."""


class Malformed(Unaccepted):
    """400: below a parent, also what a deleted one may be answered with."""


class Throttled(errors.Throttled):
    """429 for longer than the patience of a request."""


def wrong_region(config: Config) -> str:
    """The sentence for a key of the region that was not chosen."""
    other = config.other_region
    if other is None:
        return (
            "The key belongs to an account in the other region than the one that api_url leads to. Enter the address "
            "of the account's region in api_url, or leave it empty and choose the region (US or EU)."
        )
    return f"The key belongs to an account in the region {other}, not {config.region}. Choose {other} as the region."


def _other_data_center(config: Config) -> str:
    """What a redirect to the other region holds: a body that says so, or the address of that region's host.

    Users reported 301 with "wrong datacenter", and the vendor's own Node client follows redirects from one data center
    to the other. Other reports have 401, like a wrong key.
    """
    redirects = (rf"redirected to {re.escape(host)}\)" for host in config.other_hosts)
    return "|".join([r"wrong data[ -]?cent", *redirects])


def error_table(scope: str, config: Config) -> ErrorTable:
    """The table of a stream that needs the right to read `scope`. First match first.

    401, 404, 408, 429 and the shape of errors are certain (vendor documentation, recorded answers). That a key outside
    its scope or an address outside its allowlist gets 403 is inferred. Server errors are the shared last resort.
    """
    return ErrorTable(
        vendor="Customer.io",
        rules=(
            ErrorRule(
                range(300, 400),
                wrong_region(config),
                failure_type=FailureType.config_error,
                body=_other_data_center(config),
                raises=WrongRegion,
            ),
            ErrorRule(
                401,
                "Customer.io did not accept the key. It is mistyped or revoked, it is a Track API key, or the account "
                "is in the other region: enter an App API key and choose the account's region (US or EU).",
                failure_type=FailureType.config_error,
                raises=Unauthorized,
            ),
            ErrorRule(
                403,
                f"Customer.io denied the key access to {scope}. Use an App API key whose scope includes {scope}, and "
                "if the key has an IP allowlist, add the address that this connector runs from.",
                failure_type=FailureType.config_error,
                raises=Forbidden,
            ),
            ErrorRule(
                404,
                f"Customer.io does not know the address of {scope} (status 404). If api_url is set, check it; "
                "otherwise report it, because the API has changed.",
                raises=NotFound,
            ),
            ErrorRule(
                400,
                f"Customer.io did not accept a request for {scope} (status 400). Report it with the internal message, "
                "which has Customer.io's reference for its support.",
                raises=Malformed,
            ),
            ErrorRule(
                422,
                f"Customer.io did not accept the values of a request for {scope} (status 422). Report it with the "
                "internal message, which has Customer.io's reference for its support.",
                raises=Unaccepted,
            ),
            ErrorRule(
                429,
                "Customer.io kept limiting the rate of requests. Either other programs use up the 10 requests a second "
                "that the workspace has, or a daily quota is spent. What was read is kept: run the sync again later.",
                Action.THROTTLED,
                FailureType.transient_error,
                raises=Throttled,
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class Client:
    """What the streams of one sync share: the configuration, the connections and the workspace's request budget.

    `throttled` is set while the last request whose patience was used up was followed by none that was answered.
    """

    config: Config
    session: requests.Session
    budget: RequestBudget = field(default_factory=RequestBudget)
    throttled: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, config: Config) -> Client:
        """A client of its own connections and budget."""
        return cls(config, session(config.num_workers))

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self.config.app_api_key}", "Accept": "application/json"}
