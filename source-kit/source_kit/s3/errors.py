"""Turns errors of S3 and STS into errors for the user, by the rows of `rules`.

Some servers omit the documented `Error` element (observed: Ceph's STS), so the code is searched in several places and
may be absent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ProxyConnectionError, SSLError
from urllib3.exceptions import LocationParseError

from source_kit import network
from source_kit.errors import shorten
from source_kit.s3.rules import OPTIONS, RULES, UNKNOWN, Operation, Rule, Wording

#: What a request, or reading its body, may raise
REQUEST_ERRORS: tuple[type[Exception], ...] = (ClientError, BotoCoreError, OSError)
#: The option that names another server
OPTION = "endpoint_url"
#: For sentences in which the content of the bucket does not matter
NEUTRAL = Wording()
#: The variables that name a file of certificate authorities, in botocore's order
BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
#: botocore does not name the host that a proxy did not reach.
_SERVER = "the server"


def code_of(error: ClientError) -> str:
    """The server's error code, or the HTTP status if there is none."""
    answer: Mapping[str, Any] = error.response
    found = (answer.get("Error") or {}).get("Code") or answer.get("Code")
    return str(found or _metadata(error).get("HTTPStatusCode") or "an error without a code")


def _metadata(error: ClientError) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = error.response
    return answer.get("ResponseMetadata") or {}


def rule_for(operation: Operation, error: Exception) -> Rule:
    """The row for an error: for an answer the first one for its code, otherwise the first one for its status."""
    if fault := fault_of(error):
        message = fault.message.replace("{", "{{").replace("}", "}}")  # it is a finished sentence
        return Rule((), message, failure_type=fault.failure_type, heals=fault.heals)
    found: Sequence[str | Exception] = [error]
    text = ""
    if isinstance(error, ClientError):
        found, text = [code_of(error), str(_metadata(error).get("HTTPStatusCode"))], text_of(error)
    return next((rule for one in found for rule in RULES if rule.matches(operation, one, text)), UNKNOWN)


def text_of(error: ClientError) -> str:
    """The server's message."""
    return str((error.response.get("Error") or {}).get("Message") or "")


def fault_of(error: Exception) -> network.Fault | None:
    """The fault behind an error without an answer; None if it has no sentence of its own."""
    causes = list(network.causes_of(error))
    match error:
        case ProxyConnectionError():
            return network.proxy_fault(causes, _proxied_url(error), _SERVER, answered=True)
        case SSLError():
            bundle = network.named_bundle(BUNDLE_VARIABLES)
            if bundle and (unusable := network.bad_bundle(*bundle)):
                return network.Fault(unusable)
            host = network.host_of(str(error.kwargs.get("endpoint_url"))) or _SERVER
            return network.tls_fault(causes, host, OPTION, BUNDLE_VARIABLES)
        case HTTPClientError() if any(isinstance(cause, LocationParseError | UnicodeError) for cause in causes):
            return network.Fault(
                "The host name in endpoint_url, or the one made of bucket and region, is not valid. Check these "
                "options for typing mistakes."
            )
    return None


def _proxied_url(error: ProxyConnectionError) -> str:
    """A URL that uses the proxy of an error. botocore names the proxy only."""
    proxy = urlsplit(str(error.kwargs.get("proxy_url"))).netloc.rpartition("@")[2]
    urls = ("https://", "http://")
    return next((url for url in urls if proxy in os.environ.get(network.proxy_variable(url), "")), urls[0])


def failure(
    operation: Operation,
    error: Exception,
    *,
    bucket: str,
    key: str = "",
    role: str = "",
    source: str = OPTIONS,
    wording: Wording = NEUTRAL,
) -> AirbyteTracedException:
    """The error for the user. `source` says where the credentials came from."""
    rule = rule_for(operation, error)
    doing = wording.doing(operation)
    texts = {"bucket": bucket, "key": key, "role": role, "doing": doing, "source": source}
    texts |= {name: getattr(wording, name) for name in ("objects", "prefix", "writer", "lost")}
    detail = f"{type(error).__name__}: {shorten(str(error))}"
    if isinstance(error, ClientError):
        headers = _metadata(error).get("HTTPHeaders") or {}
        region = headers.get("x-amz-bucket-region") or (error.response.get("Error") or {}).get("Region")
        texts |= {"code": code_of(error), "region": f", {region}" if region else ""}
        detail = f"status {_metadata(error).get('HTTPStatusCode')}, {code_of(error)}: {shorten(text_of(error))}"
    return rule.raises(
        message=rule.message.format(**texts),
        internal_message=f"{doing} {key}: {detail}",
        failure_type=rule.failure_type,
    )
