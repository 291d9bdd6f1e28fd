"""Requests to one server, whose answers arrive whole or not at all, and the faults of its requests."""

from __future__ import annotations

import errno
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from json import dumps
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, get_environ_proxies, select_proxy
from urllib3 import exceptions
from urllib3.util import create_urllib3_context, make_headers, parse_url

from source_kit import network
from source_kit.disk import store
from source_kit.errors import OPTION, config_error
from source_kit.http.gunzip import GZIP, gunzipped
from source_kit.json_text import Brackets
from source_kit.limits import BODY_BYTES, BODY_EXPANSION, BODY_TRUSTED_BYTES, TooLarge, megabytes

#: A body up to this size stays in memory, a larger one goes to a temporary file. Bytes. With 8 MiB and pieces of
#: 256 KiB, reading 120 MB of pages took 0.1 to 0.2 CPU s longer: fresh memory, and waits for the interpreter's lock.
SPOOL_MEMORY_BYTES = 1024 * 1024
CONNECT_TIMEOUT_SECONDS = 10.0
_PIECE_BYTES = 512 * 1024
#: Without a list, urllib3 would ask for every encoding for which a library is installed, and some servers and proxies
#: answer otherwise then
ACCEPT_ENCODING = "gzip, deflate"
#: The media type of lines of JSON, of which there may be none
NDJSON = "application/x-ndjson"
#: The variables that name a bundle of certificate authorities, in the order of `requests`, which many programs follow
BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Errors of this machine, not of the network, that occur when a connection is made
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
#: What urllib3 raises for a connection that is not made, breaks or is too slow, and for a body that is damaged
_OF_THE_NETWORK = (
    exceptions.ClosedPoolError,
    exceptions.DecodeError,
    exceptions.ProtocolError,
    exceptions.ProxyError,
    exceptions.SSLError,
    exceptions.TimeoutError,
)
#: Errors are retried above, by their rules. No redirect is followed: the other server would get the key.
_ONE_TRY = urllib3.Retry(False)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with its whole body, decoded, in a file at its beginning. Names of headers may be in any case."""

    status: int
    headers: Mapping[str, str]
    spool: IO[bytes]


class Session:
    """Sends requests to the server at an address, and keeps up to `connections` connections open.

    Proxy and certificate authorities come from the environment, as `requests` takes them from there; it is read once.
    Cookies are not kept, and no .netrc is read, whose password would replace the key. `option` is the one that names
    the server, for errors.
    """

    def __init__(self, address: str, connections: int, option: str = OPTION) -> None:
        self._address = address
        self._connections = connections
        self._option = option

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        timeout: urllib3.Timeout,
        *,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Response:
        """Sends one request and receives its whole answer.

        `path` is appended to the address and must be percent-encoded. The read timeout limits only the wait for the
        next bytes, which a server that drips never reaches. So the whole body gets the read timeout once more.

        Raises urllib3's HTTPError for an answer that is not complete, a LocationValueError among them for an address
        that is none, TooLarge for a body beyond the limits, and a config_error for a host, a proxy or a bundle of
        certificate authorities that cannot be used.
        """
        sent = {"Accept-Encoding": ACCEPT_ENCODING, **headers}
        if json is not None:
            sent["Content-Type"] = "application/json"
        answer = self._pools.urlopen(
            method,
            self._address + path + _query(path, params),
            body=None if json is None else dumps(json, allow_nan=False).encode(),
            headers=sent,
            timeout=timeout,
            retries=_ONE_TRY,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        return Response(answer.status, answer.headers, _receive(answer, timeout.read_timeout))

    def close(self) -> None:
        """Closes the connections. The next request opens new ones."""
        if "_pools" in vars(self):
            self._pools.clear()

    @cached_property
    def _pools(self) -> urllib3.PoolManager:
        return _pools(self._address, self._connections, self._option)


def _query(path: str, params: Mapping[str, Any] | None) -> str:
    """The query for parameters, with what separates it from the path. One that is None is left out."""
    query = urlencode([(name, value) for name, value in (params or {}).items() if value is not None], doseq=True)
    return query and ("&" if "?" in path else "?") + query


def _pools(address: str, connections: int, option: str) -> urllib3.PoolManager:
    """The connections to an address, which do not exist yet, with what the environment says about the way to it."""
    parts = parse_url(address)
    if parts.scheme not in ("http", "https") or not parts.host:
        raise exceptions.LocationValueError("the address has no host, or does not begin with http:// or https://")
    network.require_usable_host(parts.host.strip("[]"), option)
    proxy = select_proxy(parts.url, get_environ_proxies(parts.url))
    network.require_usable_proxy(parts.url, proxy)
    proxy = proxy and network.proxy_address(proxy)
    secure = "https" in (parts.scheme, urlsplit(proxy or "").scheme)
    context = _trusting_context() if secure else None
    if not proxy:
        return urllib3.PoolManager(maxsize=connections, ssl_context=context)
    user, password = get_auth_from_url(proxy)
    login = make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
    return urllib3.ProxyManager(
        proxy, proxy_headers=login, proxy_ssl_context=context, maxsize=connections, ssl_context=context
    )


def _trusting_context() -> ssl.SSLContext:
    """TLS that trusts the authorities of the environment. One serves all connections: loading takes 17 ms."""
    bundle = network.named_bundle(BUNDLE_VARIABLES)
    if bundle and (message := network.bad_bundle(*bundle, folders=True)):
        raise config_error(message)
    path = bundle[1] if bundle else DEFAULT_CA_BUNDLE_PATH
    context, folder = create_urllib3_context(), Path(path).is_dir()
    context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
    return context


def _receive(answer: urllib3.BaseHTTPResponse, seconds: float | None) -> IO[bytes]:
    deadline = None if seconds is None else time.monotonic() + seconds
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115 - closed with the answer
    size = 0
    try:
        for piece in _decoded(answer):
            size += len(piece)
            _require_body(size, answer)
            if piece:
                store(spool, piece)
            if deadline is not None and time.monotonic() > deadline:
                raise exceptions.TimeoutError(f"the body did not end within {seconds:.0f} s")
        store(spool, b"")
    except BaseException:
        with suppress(OSError):  # closing writes what was buffered, which fails again on a full disk
            spool.close()
        answer.close()  # the rest of the body must not reach the next request on this connection
        raise
    return spool


def _decoded(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body without its content encoding, in pieces of bounded size, as it arrives. A piece may be empty."""
    if answer.headers.get("Content-Encoding", "").strip().lower() in GZIP:  # http.client keeps space behind a value
        return gunzipped(_received(answer, decode_content=False), _PIECE_BYTES)
    return _received(answer, decode_content=True)


def _received(answer: urllib3.BaseHTTPResponse, *, decode_content: bool) -> Iterator[bytes]:
    # read1 returns what is there; stream() would wait for a full piece, past any deadline
    while piece := answer.read1(_PIECE_BYTES, decode_content=decode_content):
        yield piece


def _require_body(size: int, answer: urllib3.BaseHTTPResponse) -> None:
    """Raises TooLarge for a body that would fill the disk, such as one that unpacks to hundreds of times its size."""
    if size > BODY_BYTES:
        raise TooLarge(f"an answer of more than {megabytes(BODY_BYTES)}")
    if size > BODY_TRUSTED_BYTES and size > BODY_EXPANSION * answer.tell():
        raise TooLarge(f"an answer that unpacks to more than {BODY_EXPANSION} times its size")


def cut_or_no_json(spool: IO[bytes]) -> bool:
    """Whether a body is not complete JSON, because it does not begin and end like an object, an array or null."""
    first = spool.read(256).lstrip()[:1]
    end = spool.seek(0, 2)
    spool.seek(max(0, end - 256))
    last = spool.read().rstrip()[-1:]
    spool.seek(0)
    return first + last not in (b"{}", b"[]", b"nl")


def _is_open(spool: IO[bytes]) -> bool:
    """Whether a body ends within an object, an array or a string."""
    brackets = Brackets()
    while piece := spool.read(_PIECE_BYTES):
        for _ in brackets.of(piece):
            pass
    spool.seek(0)
    return brackets.is_open


def is_broken(response: Response) -> bool:
    """Whether the body of a response cannot be the JSON that was asked for. Reads its two ends.

    Reads all of it where the end of the connection was the end of the body: then a cut shows in the JSON only, and a
    cut body may end like a whole one, behind the brace of a row.
    """
    headers = response.headers
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type == NDJSON:
        return False
    framed = "Content-Length" in headers or "Transfer-Encoding" in headers
    return cut_or_no_json(response.spool) or (not framed and _is_open(response.spool))


def fault_of(error: Exception, url: str, option: str, *, answered: bool) -> network.Fault | None:
    """The fault behind an error of `Session.send`; None if it has no sentence of its own.

    `option` is the one that names the server.

    If the host `answered` before, its name exists, so a DNS that does not know it now is worth another attempt.
    """
    causes, host = list(network.causes_of(error)), network.host_of(url)
    if fault := network.tls_fault(causes, host, option, BUNDLE_VARIABLES):
        return fault
    if any(isinstance(cause, exceptions.ProxyError) for cause in causes):
        return network.proxy_fault(causes, url, host, answered=answered)
    if any(isinstance(cause, socket.gaierror) and cause.errno in network.NO_SUCH_NAME for cause in causes):
        return network.Fault(
            f"The DNS does not know the host {host}. Check {option} for a typing mistake, and whether this machine's "
            "DNS hides the name, as blocklists do.",
            heals=answered,
        )
    return None


def is_network_error(error: Exception) -> bool:
    """Whether an error surely comes from the network: a connection that was not made, broke, or was too slow."""
    if any(isinstance(cause, OSError) and cause.errno in _LOCAL for cause in network.causes_of(error)):
        return False
    return isinstance(error, _OF_THE_NETWORK)
