"""A session whose bodies arrive whole or not at all, since `send` receives them, and the faults of its requests."""

from __future__ import annotations

import errno
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from importlib.util import find_spec
from typing import IO, Any, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from requests.utils import get_environ_proxies, select_proxy

from source_kit import network
from source_kit.disk import store
from source_kit.errors import OPTION, config_error
from source_kit.http.gunzip import GZIP, gunzipped
from source_kit.limits import BODY_BYTES, BODY_EXPANSION, BODY_TRUSTED_BYTES, TooLarge, megabytes

#: A body up to this size stays in memory, a larger one goes to a temporary file. Bytes.
SPOOL_MEMORY_BYTES = 8 * 1024 * 1024
CONNECT_TIMEOUT_SECONDS = 10.0
_PIECE_BYTES = 256 * 1024
#: What `requests` has without the libraries of other encodings, some of which make servers and proxies answer otherwise
ACCEPT_ENCODING = "gzip, deflate"
#: The media type of lines of JSON, of which there may be none
NDJSON = "application/x-ndjson"
#: The variables that name a bundle of certificate authorities, in the order of `requests`
BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Errors of this machine, not of the network, that occur when a connection is made
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


class SpoolingAdapter(HTTPAdapter):
    """Receives the whole body before `send` returns, within a deadline. `raw` of the response is then a file.

    The read timeout of `requests` limits only the wait for the next bytes, which a server that drips never reaches. So
    the whole body gets the read timeout once more.
    """

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As `HTTPAdapter.send`, with the whole body. Raises a RequestException for a body that is not complete."""
        response = super().send(request, *args, **kwargs)
        timeout = kwargs.get("timeout")
        seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        response.raw = _receive(response, request, seconds)
        return response


def _receive(response: requests.Response, request: requests.PreparedRequest, seconds: float | None) -> IO[bytes]:
    deadline = None if seconds is None else time.monotonic() + seconds
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115 - closed with the answer
    size = 0
    try:
        for piece in _decoded(response.raw):
            size += len(piece)
            _require_body(size, response)
            if piece:
                store(spool, piece)
            if deadline is not None and time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout(f"the body did not end within {seconds:.0f} s", request=request)
        store(spool, b"")
    except BaseException as error:
        with suppress(OSError):  # closing writes what was buffered, which fails again on a full disk
            spool.close()
        response.raw.close()  # the rest of the body must not reach the next request on this connection
        translated = _as_request_error(error, request)
        if translated is error:
            raise
        raise translated from error
    return spool


def _decoded(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body without its content encoding, in pieces of bounded size, as it arrives. A piece may be empty."""
    if raw.headers.get("Content-Encoding", "").strip().lower() in GZIP:  # http.client keeps space behind a value
        return gunzipped(_received(raw, decode_content=False), _PIECE_BYTES)
    return _received(raw, decode_content=True)


def _received(raw: urllib3.BaseHTTPResponse, *, decode_content: bool) -> Iterator[bytes]:
    # read1 returns what is there; stream() would wait for a full piece, past any deadline
    while piece := raw.read1(_PIECE_BYTES, decode_content=decode_content):
        yield piece


def _require_body(size: int, response: requests.Response) -> None:
    """Raises TooLarge for a body that would fill the disk, such as one that unpacks to hundreds of times its size."""
    if size > BODY_BYTES:
        raise TooLarge(f"an answer of more than {megabytes(BODY_BYTES)}")
    if size > BODY_TRUSTED_BYTES and size > BODY_EXPANSION * response.raw.tell():
        raise TooLarge(f"an answer that unpacks to more than {BODY_EXPANSION} times its size")


def _as_request_error(error: BaseException, request: requests.PreparedRequest) -> BaseException:
    """What `requests` would raise if it read the body itself."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return requests.exceptions.ReadTimeout(error, request=request)
    if isinstance(error, urllib3.exceptions.HTTPError):
        return ChunkedEncodingError(error, request=request)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return requests.exceptions.ConnectionError(error, request=request)
    return error


class _Session(requests.Session):
    """A session that reads the environment once for each host; requests does so twice for each request.

    It takes proxies and the bundle of certificate authorities from there. It reads no .netrc, whose password would
    replace the key.
    """

    def __init__(self, option: str) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Accept-Encoding"] = ACCEPT_ENCODING
        self._option = option
        self._environment: dict[tuple[str, str], dict[str, Any]] = {}

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As in requests, without merging what this session does not have: cookies, parameters, hooks and its own auth.

        That halves the time, which counts where pages are small.
        """
        prepared = requests.PreparedRequest()
        prepared.prepare_method(request.method)
        prepared.prepare_url(request.url, request.params)
        prepared.prepare_headers({**self.headers, **request.headers})
        prepared.prepare_body(request.data, request.files, request.json)
        prepared.prepare_auth(request.auth, request.url)
        return prepared

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed. Requests would read the body whole into memory to prepare one all the same."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: bool | None, verify: Any, cert: Any) -> Any:
        """As in requests. Raises a config_error for a proxy, a bundle or a host that cannot be used."""
        host = urlsplit(str(url))[:2]
        found = self._environment.get(host)
        if found is None:
            found = self._environment[host] = _environment_for(str(url), self._option)
        return {
            "proxies": {**found["proxies"], **(proxies or {})},
            "stream": self.stream if stream is None else stream,
            "verify": found["verify"] if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }


def _environment_for(url: str, option: str) -> dict[str, Any]:
    parts = urlsplit(url)
    network.require_usable_host(parts.hostname or "", option)
    proxies = get_environ_proxies(url, no_proxy=None)
    chosen = select_proxy(url, proxies)
    if not (chosen and chosen.startswith("socks") and find_spec("socks")):  # requests can, where PySocks is installed
        network.require_usable_proxy(url, chosen)
    bundle = network.named_bundle(BUNDLE_VARIABLES) if parts.scheme == "https" else None
    if bundle and (message := network.bad_bundle(*bundle, folders=True)):
        raise config_error(message)
    return {"proxies": proxies, "verify": bundle[1] if bundle else True}


def session(connections: int, option: str = OPTION) -> requests.Session:
    """A session for this many requests at the same time. It keeps no cookies, and its bodies are whole.

    `option` is the one that names the server, for errors.
    """
    made = _Session(option)
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = SpoolingAdapter(pool_connections=connections, pool_maxsize=connections)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


def spool_of(response: requests.Response) -> IO[bytes]:
    """The decoded body of a response of `SpoolingAdapter`, as a file at its beginning."""
    return cast("IO[bytes]", response.raw)


def cut_or_no_json(spool: IO[bytes]) -> bool:
    """Whether a body is not complete JSON, because it does not begin and end like an object, an array or null."""
    first = spool.read(256).lstrip()[:1]
    end = spool.seek(0, 2)
    spool.seek(max(0, end - 256))
    last = spool.read().rstrip()[-1:]
    spool.seek(0)
    return first + last not in (b"{}", b"[]", b"nl")


def is_broken(response: requests.Response) -> bool:
    """Whether the body of a response of `SpoolingAdapter` cannot be the JSON that was asked for. Reads its two ends."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media_type != NDJSON and cut_or_no_json(spool_of(response))


def fault_of(error: Exception, url: str, option: str, *, answered: bool) -> network.Fault | None:
    """The fault behind an error of `requests`; None if it has no sentence of its own.

    `option` is the one that names the server.

    If the host `answered` before, its name exists, so a DNS that does not know it now is worth another attempt.
    """
    causes, host = list(network.causes_of(error)), network.host_of(url)
    if fault := network.tls_fault(causes, host, option, BUNDLE_VARIABLES):
        return fault
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
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
    broken = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, ContentDecodingError)
    return isinstance(error, broken)
