"""What stands between the connector and a server: certificates, proxies, names of hosts. Which of them is at fault.

The variables are those that botocore looks at: AWS_CA_BUNDLE before REQUESTS_CA_BUNDLE; HTTP_PROXY, HTTPS_PROXY and
NO_PROXY in either case, lower case first (urllib's rule).
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import HTTPClientError, ProxyConnectionError, SSLError
from botocore.utils import get_environ_proxies
from source_kit.errors import config_error
from source_kit.run import secret_shapes
from urllib3.exceptions import LocationParseError

_CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.IGNORECASE)
#: Letters, digits, hyphens and underscores, 63 at most between two dots, 253 in all (RFC 1035, and what resolvers take)
_HOST = re.compile(r"(?=.{1,253}\.?$)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)
_IPV6 = re.compile(r"[0-9a-f:.]+(%\w+)?", re.IGNORECASE)
#: What OpenSSL calls an answer in clear text
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})
_NO_CERTIFICATES = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "BAD_END_LINE", "BAD_BASE64_DECODE"})
#: Results of OpenSSL's verification: not yet valid, and expired
_OUT_OF_DATE = frozenset({9, 10})


def host_of(url: str) -> str:
    """The host of a URL, without anything that may be secret; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def can_exist(host: str) -> bool:
    """Whether a host of this name can exist. Names in other scripts are left to the resolver."""
    if ":" in host:
        return _IPV6.fullmatch(host) is not None
    try:
        return _HOST.fullmatch(host.encode("idna").decode()) is not None
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    return _LOOPBACK.fullmatch(host) is not None


def ca_bundle() -> tuple[str, str] | None:
    """The variable that names a file of certificate authorities, and the file. Blank is absent."""
    for name in _CA_VARIABLES:
        path = (os.environ.get(name) or "").strip()
        if path:
            return name, path
    return None


def proxy_variable(url: str) -> str:
    """The variable that names the proxy for a URL."""
    scheme = urlsplit(url).scheme or "https"
    names = (f"{scheme}_proxy".lower(), f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name)), names[1])


def require_usable_proxy(url: str) -> None:
    """Raises a config_error where the proxy for a URL is of another kind than HTTP, or no address."""
    address = get_environ_proxies(url).get(urlsplit(url).scheme)
    if not address:
        return
    scheme, separator, _ = address.partition("://")
    variable = proxy_variable(url)
    if separator and scheme.lower() not in ("http", "https"):
        msg = (
            f"The proxy in the variable {variable} is of the kind {scheme[:10]}, which this connector cannot use. Name "
            "an HTTP proxy like http://proxy.example.com:3128, or name the server in NO_PROXY."
        )
        raise config_error(msg)
    try:
        parts = urlsplit(address if separator else f"http://{address.removeprefix('//')}")
        usable = parts.port != 0 and can_exist(parts.hostname or "") and parts.path in ("", "/")
    except ValueError:
        usable = False
    if usable and parts.password:
        for shape in secret_shapes(unquote(parts.password)):
            add_to_secrets(shape)
    if not usable:
        msg = (
            f"The proxy in the variable {variable} is no address that can be used. Write it like "
            "http://proxy.example.com:3128, or name the server in NO_PROXY."
        )
        raise config_error(msg)


def fault(error: Exception) -> AirbyteTracedException | None:
    """The config_error for an error without an answer that certificates, a proxy or a name explain; else None.

    None of these can heal while the sync runs.
    """
    causes = list(_causes(error))
    url = str(getattr(error, "kwargs", {}).get("endpoint_url") or "")
    sentence = None
    if isinstance(error, ProxyConnectionError):
        sentence = _of_proxy(causes)
    elif isinstance(error, SSLError):
        sentence = _of_tls(causes, host_of(url) or "the server")
    elif isinstance(error, HTTPClientError) and any(
        isinstance(one, LocationParseError | UnicodeError) for one in causes
    ):
        sentence = (
            "The name of the host in endpoint_url, or the one that bucket and region make, cannot exist. Check these "
            "options for typing mistakes."
        )
    return config_error(sentence, f"{type(error).__name__}: {causes[-1]!s}") if sentence else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made of: botocore and urllib3 put the first error into arguments."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(seen) < 20:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            waiting += [getattr(one, "kwargs", {}).get("error"), *one.args, one.__cause__, one.__context__]
            yield one


def _of_proxy(causes: list[BaseException]) -> str | None:
    words = " ".join(str(cause) for cause in causes)
    refused = re.search(r"Tunnel connection failed: (4\d\d|501)", words)
    if refused is None:
        return None
    return PROXY_WANTS_LOGIN if refused[1] == "407" else _PROXY_REFUSES.format(status=refused[1])


PROXY_WANTS_LOGIN = (
    "The proxy of this environment refuses the connector (407): it wants a name and a password. Write them into the "
    "variable HTTPS_PROXY, like http://name:password@proxy.example.com:3128, or name the server in NO_PROXY."
)
_PROXY_REFUSES = (
    "The proxy of this environment does not let the connector through to the server ({status}). Have it allow S3 and "
    "STS, or name the server in NO_PROXY."
)
_UNKNOWN_AUTHORITY = (
    "The certificate of {host} is signed by an authority that this connector does not know, as those of private "
    "servers and of proxies that look into the traffic are. Mount a file with that authority's certificate, and name "
    "the file in the variable AWS_CA_BUNDLE."
)
_NOT_IN_BUNDLE = (
    "The certificate of {host} is signed by an authority that is not in the file {path}, which {variable} names. Add "
    "the authority's certificate to that file."
)
_UNUSABLE_BUNDLE = (
    "The file of certificate authorities {path}, which {variable} names, cannot be used: {why}. Mount it there, "
    "readable for the user that runs the connector, or unset the variable."
)
_OUT_OF_DATE_CERTIFICATE = (
    "The certificate of {host} is not valid at this time: it has expired, or the clock of this machine is wrong. Renew "
    "the certificate, or set the clock right."
)
_OTHER_NAME = "The certificate of {host} is made out to another name. Check endpoint_url, and any proxy in between."
_CLEAR_TEXT = "The server at {host} does not speak TLS. Write http:// in endpoint_url, or correct its port."


def _of_tls(causes: list[BaseException], host: str) -> str | None:
    """The sentence for a handshake that can never succeed; None for one that broke."""
    variable, path = ca_bundle() or ("ca_bundle of the AWS profile", "(unknown)")
    for cause in causes:
        reason = getattr(cause, "reason", None)
        if "doesn't match" in str(cause):
            return _OTHER_NAME.format(host=host)
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _OUT_OF_DATE:
                return _OUT_OF_DATE_CERTIFICATE.format(host=host)
            sentence = _UNKNOWN_AUTHORITY if ca_bundle() is None else _NOT_IN_BUNDLE
            return sentence.format(host=host, variable=variable, path=path)
        if reason in _NO_TLS:
            return _CLEAR_TEXT.format(host=host)
        why = _WHY.get(type(cause)) or ("it holds no certificates" if reason in _NO_CERTIFICATES else None)
        if why:
            return _UNUSABLE_BUNDLE.format(path=path, variable=variable, why=why)
    return None


_WHY: dict[type[BaseException], str] = {
    FileNotFoundError: "it does not exist",
    NotADirectoryError: "it does not exist",
    PermissionError: "it may not be read",
    IsADirectoryError: "it is a folder",
}
