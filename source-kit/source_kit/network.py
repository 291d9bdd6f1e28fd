"""Faults between a connector and its server: certificates, their bundles, proxies, host names.

Some are found before a request is sent, the others in errors of OpenSSL and urllib3, however a library wraps them. The
options and variables that a sentence names are arguments. Unknown faults are not guessed.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from airbyte_cdk.models import FailureType
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url
from urllib3.util.ssl_match_hostname import CertificateError

from source_kit.errors import PROXY_WANTS_LOGIN, config_error, shorten

#: Results of OpenSSL's verification (its x509_vfy.h)
_OUT_OF_DATE = frozenset({9, 10})
_OTHER_HOST = frozenset({62, 64})
#: OpenSSL's reasons when the two sides have no TLS in common, which does not heal. Other TLS errors may heal.
_NO_TLS_IN_COMMON = re.compile(
    "WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG|UNSUPPORTED_PROTOCOL"
    "|NO_PROTOCOLS_AVAILABLE|NO_SHARED_CIPHER|PROTOCOL_VERSION|HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED"
    "|UNRECOGNIZED_NAME|UNKNOWN_CA|ACCESS_DENIED|DH_KEY_TOO_SMALL"
)
#: The DNS's answers for an unknown name
NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
#: Host names (RFC 1035, and what else resolvers accept)
_HOST = re.compile(r"(?=.{1,253}\.?$)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)
_IPV6 = re.compile(r"[0-9a-f:.]+(%\w+)?", re.IGNORECASE)
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """A known fault. If it `heals`, another attempt may succeed; otherwise the user must correct something."""

    message: str
    heals: bool = False

    @property
    def failure_type(self) -> FailureType:
        return FailureType.transient_error if self.heals else FailureType.config_error


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An error and all its causes, which libraries attach in several ways."""
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        more = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        todo += [one for one in more if isinstance(one, BaseException)]


def host_of(url: str) -> str:
    """The host of a URL, shortened; empty if there is none."""
    try:
        return shorten(urlsplit(url).hostname or "", _SHOWN)
    except ValueError:  # brackets that do not match
        return ""


def require_usable_host(host: str, option: str) -> None:
    """Raises a config_error for a host name that no DNS can hold."""
    if not _possible(host):
        raise config_error(
            f"{shorten(host, _SHOWN)!r} in {option} cannot be the name of a host: names have parts of 1 to 63 letters, "
            f"digits, hyphens or underscores between single dots, 253 characters in all. Correct {option}, e.g. "
            "https://host.example."
        )


def _possible(host: str) -> bool:
    if ":" in host:
        return _IPV6.fullmatch(host) is not None
    try:
        return _HOST.fullmatch(host.encode("idna").decode()) is not None
    except UnicodeError:
        return False


def warn_of_plain_http(logger: logging.Logger, url: str, option: str = "api_url", credentials: str = "the key") -> None:
    """Warns of an address with http://, unless it is this machine."""
    host = host_of(url)
    if urlsplit(url).scheme == "http" and not _is_loopback(host):
        logger.warning(
            f"{option} begins with http://, so {credentials} and rows travel unencrypted between here and {host}: "
            "whoever is in between can read them. Use https:// unless the network in between is private."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def named_bundle(variables: Sequence[str]) -> tuple[str, str] | None:
    """The first of the variables that is not blank, and the path of the bundle of certificate authorities in it."""
    named = ((variable, os.environ.get(variable, "").strip()) for variable in variables)
    return next((found for found in named if found[1]), None)


def bad_bundle(name: str, path: str, *, folders: bool = False) -> str | None:
    """The sentence for a bundle that cannot be used; None for a good one. `name` is its variable or option."""
    why = None
    try:
        if not Path(path).is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        elif not folders:
            why = "is a folder"
    except ssl.SSLError:
        why = "holds no certificates"
    except (FileNotFoundError, NotADirectoryError):
        why = "does not exist"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    return why and (
        f"{name} names {path}, which {why}. Put the certificates (PEM) of the authorities to trust there (for a "
        f"container, mount the file, readable for its user), or remove {name}."
    )


def tls_fault(causes: Sequence[BaseException], host: str, option: str, variables: Sequence[str]) -> Fault | None:
    """The fault of a TLS handshake that can never succeed; None for other errors, such as a broken connection."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Fault(_certificate(cause, host, option, variables))
        if isinstance(cause, CertificateError):
            return Fault(_of_another_host(host, option))
        if isinstance(cause, ssl.SSLError) and _NO_TLS_IN_COMMON.search(cause.reason or ""):
            return Fault(
                f"No TLS connection to {host} is possible ({cause.reason}). Check whether {option} has the right port, "
                "and whether it should begin with http:// or https://; a proxy in between may be the cause, too."
            )
    return None


def _certificate(error: ssl.SSLCertVerificationError, host: str, option: str, variables: Sequence[str]) -> str:
    code, reason = getattr(error, "verify_code", 0), getattr(error, "verify_message", "")
    if code in _OUT_OF_DATE:
        return (
            f"The TLS certificate of {host} is out of date ({reason}). Renew it on that server; if it is not yours, "
            "set the clock of the machine that runs this connector right, or look for a proxy in between."
        )
    if code in _OTHER_HOST:
        return _of_another_host(host, option)
    if bundle := named_bundle(variables):
        fix = f"add the certificate of the signing authority to {bundle[1]}, which {bundle[0]} names"
    else:
        fix = f"put the certificate of the signing authority into a file and name it in {variables[0]}"
    return (
        f"The TLS certificate of {host} is not trusted ({reason}). Where a proxy of your company reads the traffic, or "
        f"{option} is your own server, {fix}; otherwise check {option}."
    )


def _of_another_host(host: str, option: str) -> str:
    return (
        f"The TLS certificate of the server at {host} is for another host. Write the host that it is for into "
        f"{option}; where {option} is right or empty, a proxy or a wrong DNS entry answers in the server's place."
    )


def proxy_variable(url: str) -> str:
    """The variable that names the proxy for an address. Lower case comes first, as in other programs."""
    scheme = urlsplit(url).scheme or "https"
    names = [name for kind in (scheme, "all") for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")]
    return next((name for name in names if os.environ.get(name)), f"{scheme.upper()}_PROXY")


def require_usable_proxy(url: str, proxy: str | None) -> None:
    """Raises a config_error if the proxy for an address is not a usable address itself."""
    if proxy and (why := _unusable_proxy(proxy)):
        raise config_error(_bad_proxy(url, why))


def _bad_proxy(url: str, why: str) -> str:
    return (
        f"The proxy in {proxy_variable(url)} cannot be used: {why}. Write it like http://proxy.example.com:3128, or "
        "remove the variable, or name the host in NO_PROXY."
    )


def proxy_address(value: str) -> str:
    """The address of a proxy, whose scheme may be left out in a variable."""
    return value if "://" in value else f"http://{value.removeprefix('//')}"


def _unusable_proxy(value: str) -> str | None:
    """What is wrong with a proxy's address. It does not quote the address, which may hold a password."""
    whole = "://" in value
    try:
        parts = parse_url(proxy_address(value))
    except (ValueError, HTTPError):
        return "its host or port cannot be read"
    if parts.scheme and parts.scheme.startswith("socks"):
        return "SOCKS is not supported, only http:// and https:// are"
    if parts.scheme not in ("http", "https") or not (whole or parts.path in (None, "", "/")):
        return "it must begin with http:// or https://"
    if not parts.host:
        return "it has no host"
    if parts.port == 0:
        return "its port cannot be 0"
    return None if _possible(parts.host.strip("[]")) else "its host cannot be the name of a host"


def proxy_fault(causes: Sequence[BaseException], url: str, host: str, *, answered: bool) -> Fault:
    """The fault of the proxy on the way to an address.

    If the host `answered` before, the proxy's name exists, so a DNS that does not know it now is worth another attempt.
    """
    if any(isinstance(cause, socket.gaierror) and cause.errno in NO_SUCH_NAME for cause in causes):
        return Fault(_bad_proxy(url, "the DNS does not know its host"), heals=answered)
    found = re.search(r"Tunnel connection failed: (\d+)", " ".join(map(str, causes)))
    status = int(found[1]) if found else 0
    if status == 407:
        return Fault(PROXY_WANTS_LOGIN)
    variable = proxy_variable(url)
    if status == 501 or (400 <= status < 500 and status not in (408, 429)):
        return Fault(
            f"The proxy in {variable} refuses to connect to {host} (status {status}). Allow the host there, or "
            "name it in NO_PROXY where it is reached without one."
        )
    return Fault(
        f"The proxy in {variable} could not be reached, or could not reach {host}, after several attempts. Check the "
        "variable and the proxy, or name the host in NO_PROXY; the next sync continues from the last state.",
        heals=True,
    )
