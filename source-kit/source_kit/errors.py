"""Error rules: what was answered, what the connector does, what the user reads."""

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
#: The option that names another server than the vendor's
OPTION = "api_url"
#: The sentence for a proxy that answers 407, itself or in the server's place
PROXY_WANTS_LOGIN = (
    "The proxy asks for a user and a password (status 407), or does not accept those that it got. Write them into "
    "HTTPS_PROXY (HTTP_PROXY for an address with http://), like http://user:password@proxy.example.com:3128, with "
    "special characters percent-encoded."
)


class Throttled(AirbyteTracedException):
    """The vendor limited the rate of requests for longer than the retry policy waits."""

    concerns_all_slices = True


class Action(Enum):
    """What the client does with an answer that an error rule matches."""

    FAIL = "fail"
    RETRY = "retry"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of a connector's error table.

    `status` is a status code, a range of them, or None for any. `body` is a regular expression that is searched in the
    answer's body, in upper or lower case. `message` is for the user: what happened and what to do. `raises` lets a
    stream catch this rule alone. `wait` is the least time before the next attempt of a rule that retries, in seconds.
    """

    status: int | range | None
    message: str
    action: Action = Action.FAIL
    failure_type: FailureType = FailureType.system_error
    body: str | None = None
    raises: type[AirbyteTracedException] = AirbyteTracedException
    wait: float = 0.0

    def matches(self, status: int, body: str) -> bool:
        """Whether an answer has this rule's status and body."""
        statuses = (self.status,) if isinstance(self.status, int) else self.status
        if statuses is not None and status not in statuses:
            return False
        return self.body is None or re.search(self.body, body, re.IGNORECASE) is not None


class ErrorTable:
    """The error rules of a connector, of which the first that matches counts, and its sentences for other failures.

    `address` is what decides which server is asked, for the sentences; its last word is the option with the address.
    """

    def __init__(
        self, vendor: str, rules: Sequence[ErrorRule], address: Sequence[str] = ("the region", OPTION)
    ) -> None:
        self.vendor = vendor
        self.rules = rules
        self.option = address[-1]
        self.timeout = (
            f"{vendor} did not answer in time, after several attempts. The next sync continues from the last "
            "state; if it happens again, check the network between here and the server."
        )
        self.unreachable = (
            f"The connection to {vendor} could not be made or broke, after several attempts. Check "
            f"{_listed('the network', *address)}; the next sync continues from the last state."
        )
        #: For an error that is not known to come from the network
        self.unknown = (
            f"A request to {vendor} failed with an error that this connector does not know. See the internal "
            "message, and report it if that does not name what to change."
        )
        self.not_json = (
            f"{vendor} answered with something that is not JSON (for instance an HTML page of a proxy or sign-on, "
            f"or a body that was cut), after several attempts. Check {_listed(*address, 'any proxy in between')}."
        )
        #: For JSON of another shape than expected
        self.misshapen = (
            f"{vendor} answered with JSON of another shape than expected; the internal message says what is "
            f"missing. Check {_listed(*address)}; if they are right, report it with the stack trace."
        )
        self.bad_address = (
            f"The address of {vendor} is not a URL that can be asked. Correct {self.option}, e.g. https://host.example."
        )
        self.throttled = (
            f"{vendor} limits the rate of requests and did not let this one pass in time. The next sync continues "
            "from the last state; lower num_workers, or run other users of the key at another time."
        )
        self.redirected = (
            f"{vendor} redirected the request to another address, which is not followed because the key would go "
            f"along. Check {_listed(*address)}."
        )

    def rule_for(self, status: int, body: str) -> ErrorRule:
        """The rule for an answer. Without one, a 429 is waited out, server errors are retried and the rest fails."""
        if rule := next((rule for rule in self.rules if rule.matches(status, body)), None):
            return rule
        if 300 <= status < 400:
            return ErrorRule(status, self.redirected, failure_type=FailureType.config_error)
        if status == 407:
            return ErrorRule(status, PROXY_WANTS_LOGIN, failure_type=FailureType.config_error)
        if status == 429:
            return ErrorRule(status, self.throttled, Action.THROTTLED, FailureType.transient_error, raises=Throttled)
        if status >= 500 or status == 408:
            message = f"{self.vendor} failed with status {status}, after several attempts. Run the sync again later."
            return ErrorRule(status, message, Action.RETRY, FailureType.transient_error)
        message = f"{self.vendor} refused the request with status {status}. See the internal message for its answer."
        return ErrorRule(status, message)


def _listed(*words: str) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def shorten(text: str, limit: int = BODY_SHOWN) -> str:
    """A text from outside on one line, masked, then cut to `limit` characters: a cut secret is not found."""
    flat = " ".join(mask(text).split())
    return flat if len(flat) <= limit else f"{flat[:limit]}... ({len(flat)} characters)"


def config_error(message: str, internal_message: str | None = None) -> AirbyteTracedException:
    """An error that the user can fix. `message` says how; it holds no record data and no secret."""
    return _error(message, internal_message, FailureType.config_error)


def transient_error(message: str, internal_message: str | None = None) -> AirbyteTracedException:
    """An error that the next sync may not meet again."""
    return _error(message, internal_message, FailureType.transient_error)


def system_error(message: str, internal_message: str | None = None) -> AirbyteTracedException:
    """A defect of the connector or of the vendor, which the user can only report."""
    return _error(message, internal_message, FailureType.system_error)


def _error(message: str, internal_message: str | None, failure_type: FailureType) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=message, internal_message=internal_message or message, failure_type=failure_type
    )
