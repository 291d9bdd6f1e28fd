"""Recognizes faults of certificates, proxies and host names in botocore's errors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from botocore.exceptions import HTTPClientError, ProxyConnectionError, SSLError
from source_kit.network import (
    Fault,
    bad_bundle,
    causes_of,
    host_of,
    named_bundle,
    proxy_fault,
    proxy_variable,
    tls_fault,
)
from urllib3.exceptions import LocationParseError

#: The option that names another server
OPTION = "endpoint_url"
#: The variables that name a file of certificate authorities, in botocore's order
BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
#: botocore does not name the host that a proxy did not reach.
_SERVER = "the server"


def fault_of(error: Exception) -> Fault | None:
    """The fault behind an error without an answer; None if it has no sentence of its own."""
    causes = list(causes_of(error))
    match error:
        case ProxyConnectionError():
            return proxy_fault(causes, _proxied_url(error), _SERVER, answered=True)
        case SSLError():
            return _of_tls(causes, host_of(str(error.kwargs.get("endpoint_url"))) or _SERVER)
        case HTTPClientError() if any(isinstance(cause, LocationParseError | UnicodeError) for cause in causes):
            return Fault(
                "The host name in endpoint_url, or the one made of bucket and region, is not valid. Check these "
                "options for typing mistakes."
            )
    return None


def _of_tls(causes: Sequence[BaseException], host: str) -> Fault | None:
    bundle = named_bundle(BUNDLE_VARIABLES)
    unusable = bad_bundle(*bundle) if bundle else None
    return Fault(unusable) if unusable else tls_fault(causes, host, OPTION, BUNDLE_VARIABLES)


def _proxied_url(error: ProxyConnectionError) -> str:
    """A URL that uses the proxy of an error. botocore names the proxy only."""
    proxy = urlsplit(str(error.kwargs.get("proxy_url"))).netloc.rpartition("@")[2]
    urls = ("https://", "http://")
    return next((url for url in urls if proxy in os.environ.get(proxy_variable(url), "")), urls[0])
