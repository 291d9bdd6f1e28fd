"""Which fault an error of `requests` tells of, and whether it comes from the network at all."""

from __future__ import annotations

import errno
import socket

import requests
import urllib3

from source_kit.network import NO_SUCH_NAME, Fault, causes_of, host_of, proxy_fault, tls_fault

#: The option that leads to another server
OPTION = "api_url"
#: The variables that name a bundle of certificate authorities, as `requests` reads them
BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Errors of this machine, which come up where a connection is made
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def fault_of(error: Exception, url: str, *, answered: bool) -> Fault | None:
    """The fault that an error of `requests` tells of; None where it is none of those that have a sentence.

    `answered` says that the host has answered before: then its name is known, and a DNS that does not know it heals.
    """
    causes, host = list(causes_of(error)), host_of(url)
    if fault := tls_fault(causes, host, OPTION, BUNDLE_VARIABLES):
        return fault
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return proxy_fault(causes, url, host, answered=answered)
    if any(isinstance(cause, socket.gaierror) and cause.errno in NO_SUCH_NAME for cause in causes):
        return Fault(
            f"The DNS does not know the host {host}. Check {OPTION} for a typing mistake, and whether this machine's "
            "DNS hides the name, as blocklists do.",
            heals=answered,
        )
    return None


def is_network_error(error: Exception) -> bool:
    """Whether an error is known to come from the network: a connection that was not made, or broke, or was too slow."""
    if any(isinstance(cause, OSError) and cause.errno in _LOCAL for cause in causes_of(error)):
        return False
    kinds = (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, kinds)
