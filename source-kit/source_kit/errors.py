"""Errors as rows of a table: what was answered, what to do about it, what the user reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.secrets import mask

#: How much of a vendor's body an error quotes, in characters
BODY_SHOWN = 500
#: The sentence for a proxy that answers 407, itself or in the server's place
PROXY_WANTS_LOGIN = (
    "The proxy asks for a user and a password (status 407), or does not accept those that it got. Write them into "
    "HTTPS_PROXY (HTTP_PROXY for an address with http://), like http://user:password@proxy.example.com:3128, with "
    "special characters percent-encoded."
)


class Throttled(AirbyteTracedException):
    """The rate of requests was limited for longer than the retry policy waits."""

    concerns_all_slices = True


class Action(Enum):
    """What an error row makes of an answer."""

    FAIL = "fail"
    RETRY = "retry"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of a connector's error table.

    `status` is a status code, a range of them, or None for any. `body` is a regular expression that the answer's body
    must contain. `message` is the sentence the user reads: what happened and what to do; `raises` lets a stream catch
    just this row.
    """

    status: int | range | None
    message: str
    action: Action = Action.FAIL
    failure_type: FailureType = FailureType.system_error
    body: str | None = None
    raises: type[AirbyteTracedException] = AirbyteTracedException

    def matches(self, status: int, body: str) -> bool:
        """Whether this row speaks about an answer with this status and body."""
        if isinstance(self.status, range):
            if status not in self.status:
                return False
        elif self.status is not None and self.status != status:
            return False
        return self.body is None or re.search(self.body, body, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """A connector's rows, first match first, and its sentences for answers that never came."""

    vendor: str
    rules: Sequence[ErrorRule]

    @property
    def timeout(self) -> str:
        """The sentence for a server that did not answer in time."""
        return (
            f"{self.vendor} did not answer in time, after several attempts. The next sync continues from the last "
            "state; if it happens again, check the network between here and the server."
        )

    @property
    def unreachable(self) -> str:
        """The sentence for a connection that could not be made or broke every time."""
        return (
            f"The connection to {self.vendor} could not be made or broke, after several attempts. Check the network, "
            "the region and api_url; the next sync continues from the last state."
        )

    @property
    def unknown(self) -> str:
        """The sentence for an error that is not known to come from the network."""
        return (
            f"A request to {self.vendor} failed with an error that this connector does not know. See the internal "
            "message, and report it if that does not name what to change."
        )

    @property
    def not_json(self) -> str:
        """The sentence for a body that is no JSON."""
        return (
            f"{self.vendor} answered with something that is not JSON (for instance an HTML page of a proxy or sign-on, "
            "or a body that was cut), after several attempts. Check the region, api_url and any proxy in between."
        )

    @property
    def misshapen(self) -> str:
        """The sentence for JSON that does not hold what was asked for."""
        return (
            f"{self.vendor} answered with JSON of another shape than expected; the internal message says what is "
            "missing. Check the region and api_url; if they are right, report it with the stack trace."
        )

    @property
    def bad_address(self) -> str:
        """The sentence for a URL that is none."""
        return (
            f"The address of {self.vendor} is not a URL that can be asked. Correct api_url, e.g. https://host.example."
        )

    @property
    def throttled(self) -> str:
        """The sentence for a rate limit that did not end."""
        return (
            f"{self.vendor} limits the rate of requests and did not let this one pass in time. The next sync continues "
            "from the last state; lower num_workers, or run other users of the key at another time."
        )

    @property
    def redirected(self) -> str:
        """The sentence for a redirect, which is never followed: the key would travel with it."""
        return (
            f"{self.vendor} redirected the request to another address, which is not followed because the key would go "
            "along. Check the region and api_url."
        )

    def rule_for(self, status: int, body: str) -> ErrorRule:
        """The row for an answer; else one that waits out a 429, retries server errors and fails the rest."""
        for rule in self.rules:
            if rule.matches(status, body):
                return rule
        if 300 <= status < 400:
            return ErrorRule(status, self.redirected, Action.FAIL, FailureType.config_error)
        if status == 407:
            return ErrorRule(status, PROXY_WANTS_LOGIN, Action.FAIL, FailureType.config_error)
        if status == 429:
            return ErrorRule(status, self.throttled, Action.THROTTLED, FailureType.transient_error, raises=Throttled)
        if status >= 500 or status == 408:
            return ErrorRule(
                status,
                f"{self.vendor} failed with status {status}, after several attempts. Run the sync again later.",
                Action.RETRY,
                FailureType.transient_error,
            )
        return ErrorRule(
            status,
            f"{self.vendor} refused the request with status {status}. See the internal message for its answer.",
            Action.FAIL,
            FailureType.system_error,
        )


def shorten(text: str, limit: int = BODY_SHOWN) -> str:
    """A text from outside, short enough for a log line, on one line. Secrets are masked before they could be cut."""
    flat = " ".join(mask(text).split())
    return flat if len(flat) <= limit else f"{flat[:limit]}... ({len(flat)} characters)"


def config_error(message: str, internal_message: str | None = None) -> AirbyteTracedException:
    """An error that the user can fix. `message` names the fix and carries no record data and no secret."""
    return AirbyteTracedException(
        message=message, internal_message=internal_message or message, failure_type=FailureType.config_error
    )
