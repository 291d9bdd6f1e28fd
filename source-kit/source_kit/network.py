"""Faults on the way to a server: what is wrong, whether it can heal, and the sentence that names the fix.

What can be known before anything is sent (a proxy's address, a bundle of certificates, a host name) is looked at then;
the rest is read out of the errors of `requests`, urllib3 and OpenSSL. A fault that is not known here is not guessed at.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import select_proxy

from source_kit.errors import PROXY_WANTS_LOGIN, config_error, shorten

#: The variables that name a bundle of certificate authorities, as `requests` reads them
BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Results of OpenSSL's verification (its x509_vfy.h)
_OUT_OF_DATE = frozenset({9, 10})
_OTHER_HOST = frozenset({62, 64})
#: What OpenSSL says of the two sides that have no TLS in common; it stays so. Other errors of TLS come of broken lines.
_NO_TLS_IN_COMMON = re.compile(
    "WRONG_VERSION_NUMBER|HTTP_REQUEST|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|NO_SHARED_CIPHER|PROTOCOL_VERSION"
    "|HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED|UNRECOGNIZED_NAME|UNKNOWN_CA|ACCESS_DENIED|DH_KEY_TOO_SMALL"
)
#: Errors of this machine, which come up where a connection is made
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is known. One that `heals` is worth another attempt."""

    message: str
    heals: bool = False


def require_usable_host(host: str) -> None:
    """Raises a config_error for the name of a host that no DNS can hold."""
    if not _possible(host):
        shown = shorten(host, _SHOWN)
        msg = (
            f"{shown!r} in api_url cannot be the name of a host: names have parts of 1 to 63 characters between single "
            "dots, 253 characters in all. Correct api_url, e.g. https://host.example."
        )
        raise config_error(msg)


def _possible(host: str) -> bool:
    try:
        return 0 < len(host.removesuffix(".").encode("idna")) <= 253
    except UnicodeError:
        return False


def require_usable_proxy(url: str, proxies: Mapping[str, str]) -> None:
    """Raises a config_error where the proxy for an address is no address itself, or of a kind that is not supported."""
    chosen = select_proxy(url, dict(proxies))
    if not chosen:
        return
    why = _unusable_proxy(chosen)
    if why is not None:
        raise config_error(_bad_proxy(url, why))


def _bad_proxy(url: str, why: str) -> str:
    return (
        f"The proxy in {proxy_variable(url)} cannot be used: {why}. Write it like http://proxy.example.com:3128, or "
        "remove the variable, or name the host in NO_PROXY."
    )


def _unusable_proxy(value: str) -> str | None:
    """What is wrong with a proxy's address; never the address itself, which may hold a password."""
    try:
        parts = urllib3.util.parse_url(value if "://" in value else f"http://{value}")
    except (ValueError, urllib3.exceptions.HTTPError):
        return "its host or port cannot be read"
    if parts.scheme and parts.scheme.startswith("socks"):
        return None if find_spec("socks") else "SOCKS is not supported, only http:// and https:// are"
    if parts.scheme not in ("http", "https"):
        return "it must begin with http:// or https://"
    if not parts.host or not _possible(parts.host.strip("[]")):
        return "it has no host" if not parts.host else "its host cannot be the name of a host"
    return None


def proxy_variable(url: str) -> str:
    """The variable that names the proxy for an address. Small letters go first, as everywhere."""
    scheme = urlsplit(url).scheme or "https"
    names = [name for kind in (scheme, "all") for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")]
    return next((name for name in names if os.environ.get(name)), f"{scheme.upper()}_PROXY")


def ca_bundle() -> str | None:
    """The file or folder of certificate authorities that the environment names. Raises a config_error for a bad one."""
    for variable in BUNDLE_VARIABLES:
        if path := os.environ.get(variable):
            why = _unusable_bundle(path)
            if why is not None:
                msg = (
                    f"{variable} names {path}, which {why}. Put the certificates (PEM) of the authorities to trust "
                    "there (for a container, mount the file), or remove the variable."
                )
                raise config_error(msg)
            return path
    return None


def _unusable_bundle(path: str) -> str | None:
    if not Path(path).exists():
        return "does not exist"
    if Path(path).is_dir():
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "holds no certificates"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def warn_of_plain_http(logger: logging.Logger, url: str, option: str = "api_url") -> None:
    """Warns of an address over which a key would travel unencrypted; on this machine that does no harm."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not _is_loopback(host):
        logger.warning(
            f"{option} begins with http://, so the key travels unencrypted to {host} and whoever is in between can "
            "read it. Use https:// unless the network in between is private."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def fault_of(error: Exception, url: str, *, answered: bool) -> Fault | None:
    """The fault that an error of `requests` tells of; None where it is none of those that have a sentence here.

    `answered` says that the host has answered before: then its name is known, and a DNS that does not know it heals.
    """
    causes = list(_causes(error))
    host = _host(url)
    proxied = any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Fault(_certificate(cause, host))
        if isinstance(cause, ssl.SSLError) and _NO_TLS_IN_COMMON.search(cause.reason or ""):
            return Fault(_no_tls(host, str(cause.reason)))
        if isinstance(cause, socket.gaierror) and cause.errno in (socket.EAI_NONAME, _EAI_NODATA):
            if proxied:
                return Fault(_bad_proxy(url, "the DNS does not know its host"), heals=answered)
            return Fault(_unknown_name(host), heals=answered)
    return _proxy_fault(causes, url, host) if proxied else None


def _host(url: str) -> str:
    try:
        return shorten(urlsplit(url).hostname or "", _SHOWN)
    except ValueError:  # brackets that do not match
        return ""


_EAI_NODATA = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)


def is_network_error(error: Exception) -> bool:
    """Whether an error is known to come from the network: a connection that was not made, or broke, or was too slow."""
    if any(isinstance(cause, OSError) and cause.errno in _LOCAL for cause in _causes(error)):
        return False
    kinds = (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, kinds)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was made of: urllib3 and requests hand causes on in several ways."""
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        more = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        todo += [one for one in more if isinstance(one, BaseException)]


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    code, reason = getattr(error, "verify_code", 0), getattr(error, "verify_message", "")
    if code in _OUT_OF_DATE:
        return (
            f"The TLS certificate of {host} is out of date ({reason}). Renew it on that server; if it is not yours, "
            "set the clock of the machine that runs this connector right, or look for a proxy in between."
        )
    if code in _OTHER_HOST:
        return (
            f"The TLS certificate of the server at {host} is for another host. Write the host that it is for into "
            "api_url; where api_url is right or empty, a proxy or a wrong DNS entry answers in the server's place."
        )
    return (
        f"The TLS certificate of {host} is not trusted ({reason}). Where a proxy of your company reads the traffic, or "
        "api_url is your own server, put the certificate of the signing authority into a file and name it in "
        "REQUESTS_CA_BUNDLE; otherwise check api_url."
    )


def _no_tls(host: str, reason: str) -> str:
    return (
        f"No TLS connection to {host} is possible ({reason}). Check whether api_url has the right port, and whether it "
        "should begin with http:// or https://; a proxy in between may be the cause, too."
    )


def _unknown_name(host: str) -> str:
    return (
        f"The DNS does not know the host {host}. Check api_url for a typing mistake, and whether this machine's DNS "
        "hides the name, as blocklists do."
    )


def _proxy_fault(causes: list[BaseException], url: str, host: str) -> Fault:
    variable = proxy_variable(url)
    found = re.search(r"Tunnel connection failed: (\d+)", " ".join(map(str, causes)))
    status = int(found[1]) if found else 0
    if status == 407:
        return Fault(PROXY_WANTS_LOGIN)
    if 400 <= status < 500 and status not in (408, 429):
        return Fault(
            f"The proxy in {variable} refuses to connect to {host} (status {status}). Allow the host there, or "
            "name it in NO_PROXY where it is reached without one."
        )
    return Fault(
        f"The proxy in {variable} could not be reached, or could not reach {host}, after several attempts. Check the "
        "variable and the proxy, or name the host in NO_PROXY; the next sync continues from the last state.",
        heals=True,
    )
