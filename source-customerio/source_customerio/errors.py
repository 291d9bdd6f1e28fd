"""What Customer.io's refusals mean: the error table, and classes for those that a caller catches."""

from __future__ import annotations

import re

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import Action, ErrorRule, ErrorTable, Throttled

from source_customerio.config import Config

#: The sentence for a key that nothing was answered with
WRONG_KEY = (
    "Customer.io did not accept the key. It is mistyped or revoked, it is a Track API key, or the account is in the "
    "other region: enter an App API key and choose the account's region (US or EU)."
)


class Unauthorized(AirbyteTracedException):
    """401: the key was not accepted, or may not read this.

    What a key gets outside its scope is not documented: the vendor's specification (August 2026) declares 401 on 40
    operations, and 403 only for features that an account lacks.
    """


class Forbidden(AirbyteTracedException):
    """403: the key may not read this."""


class NotFound(AirbyteTracedException):
    """404. Below a parent that was just listed it means that the parent was deleted since."""


class Malformed(AirbyteTracedException):
    """400 or 422. A deleted parent may be answered with 400, too (vendor's specification)."""


def contradiction(what: str, message: str, detail: str) -> AirbyteTracedException:
    """The error for an answer that contradicts the API's own documentation."""
    return AirbyteTracedException(
        message=message, internal_message=f"{what}: {detail}", failure_type=FailureType.system_error
    )


def closed_to_the_key(scope: str) -> str:
    """The sentence for a 401 of a key that was accepted for other data."""
    return (
        f"Customer.io did not accept the key for {scope} (status 401), although it did for other data. Either its "
        f"scope does not include {scope}: use an App API key whose scope does, or leave these streams out. Or it was "
        "revoked in between: then other streams fail, too, and a new key is needed."
    )


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
    """A pattern for redirects to the other region: a body that says so, or the address of that region's host.

    Users reported 301 with "wrong datacenter", and the vendor's own Node client follows redirects from one data center
    to the other. Other reports have 401, like a wrong key.
    """
    redirects = (rf"redirected to {re.escape(host)}\)" for host in config.other_hosts)
    return "|".join([r"wrong data[ -]?cent", *redirects])


def error_table(scope: str, config: Config) -> ErrorTable:
    """The table of a stream that needs the permission to read `scope`. The first rule that matches counts.

    401, 404, 408, 429 and the shape of errors are certain (vendor documentation, recorded answers). That a key outside
    its scope or an address outside its allowlist gets 403 is inferred; it may be 401. Server errors are the shared last
    resort. A 429 need not have `Retry-After`, and its absence says nothing about a daily quota: the vendor's
    specification of August 2026 gives no 429 that header.
    """
    return ErrorTable(
        vendor="Customer.io",
        rules=(
            ErrorRule(
                range(300, 400),
                wrong_region(config),
                failure_type=FailureType.config_error,
                body=_other_data_center(config),
            ),
            ErrorRule(
                401,
                f"{WRONG_KEY} If other data can be read with it, its scope does not include {scope}.",
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
                raises=Malformed,
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
