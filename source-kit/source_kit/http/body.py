"""Requests whose bodies arrive whole or not at all: spooled inside `send`, so that a retry can cover them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from importlib.util import find_spec
from typing import IO, Any, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from source_kit.disk import store
from source_kit.errors import config_error
from source_kit.http.faults import BUNDLE_VARIABLES, OPTION
from source_kit.limits import BODY_BYTES, BODY_EXPANSION, BODY_TRUSTED_BYTES, TooLarge, megabytes
from source_kit.network import bad_bundle, named_bundle, require_usable_host, require_usable_proxy

#: A body up to this size stays in memory, a larger one goes to a temporary file. Bytes.
SPOOL_MEMORY_BYTES = 8 * 1024 * 1024
CONNECT_TIMEOUT_SECONDS = 10.0
_PIECE_BYTES = 256 * 1024


class SpoolingAdapter(HTTPAdapter):
    """Receives the body before `send` returns, within a deadline; `raw` of the response is then a file with all of it.

    The read timeout of `requests` bounds the wait for the next bytes only: a server that drips never trips it, so the
    body as a whole gets the read timeout once more.
    """

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """As `HTTPAdapter.send`, with the body complete. Raises a RequestException for one that is not."""
        response = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        response.raw = _receive(response, request, seconds)
        return response


def _receive(response: requests.Response, request: requests.PreparedRequest, seconds: float | None) -> IO[bytes]:
    deadline = None if seconds is None else time.monotonic() + seconds
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115 - closed with the answer
    size = 0
    try:
        # read1 hands on what is there; stream() would wait for a full piece, past any deadline
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            size += len(piece)
            _require_body(size, response)
            store(spool, piece)
            if deadline is not None and time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout(f"the body did not end within {seconds:.0f} s", request=request)
        store(spool, b"")
    except BaseException as error:
        with suppress(OSError):  # on a full disk closing writes what was buffered, and fails once more
            spool.close()
        response.raw.close()  # what is left of the body must not reach the next request on this connection
        translated = _as_request_error(error, request)
        if translated is error:
            raise
        raise translated from error
    return spool


def _require_body(size: int, response: requests.Response) -> None:
    """Raises TooLarge for a body that fills the disk or would: one that unpacks to hundreds of times its size."""
    if size > BODY_BYTES:
        raise TooLarge(f"an answer of more than {megabytes(BODY_BYTES)}")
    if size > BODY_TRUSTED_BYTES and size > BODY_EXPANSION * response.raw.tell():
        raise TooLarge(f"an answer that unpacks to more than {BODY_EXPANSION} times its size")


def _as_request_error(error: BaseException, request: requests.PreparedRequest) -> BaseException:
    """What `requests` would have raised, had it read the body itself."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return requests.exceptions.ReadTimeout(error, request=request)
    if isinstance(error, urllib3.exceptions.HTTPError):
        return requests.exceptions.ChunkedEncodingError(error, request=request)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return requests.exceptions.ConnectionError(error, request=request)
    return error


class _Session(requests.Session):
    """A session that looks into the environment once a host, not twice a request.

    What it takes from there are proxies and the bundle of certificate authorities. A .netrc is not read: its password
    would replace the key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self._environment: dict[tuple[str, str], dict[str, Any]] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: bool | None, verify: Any, cert: Any) -> Any:
        """As in requests, from what was found for the host the first time. Raises a config_error for what is wrong."""
        host = urlsplit(str(url))[:2]
        found = self._environment.get(host)
        if found is None:
            found = self._environment[host] = _environment_for(str(url))
        return {
            "proxies": {**found["proxies"], **(proxies or {})},
            "stream": self.stream if stream is None else stream,
            "verify": found["verify"] if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }


def _environment_for(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    require_usable_host(parts.hostname or "", OPTION)
    proxies = get_environ_proxies(url, no_proxy=None)
    chosen = select_proxy(url, proxies)
    if not (chosen and chosen.startswith("socks") and find_spec("socks")):  # requests can, where PySocks is installed
        require_usable_proxy(url, chosen)
    return {"proxies": proxies, "verify": (parts.scheme == "https" and _ca_bundle()) or True}


def _ca_bundle() -> str | None:
    """The file or folder of certificate authorities that the environment names. Raises a config_error for a bad one."""
    bundle = named_bundle(BUNDLE_VARIABLES)
    if bundle is None:
        return None
    if message := bad_bundle(*bundle, folders=True):
        raise config_error(message)
    return bundle[1]


def session(connections: int) -> requests.Session:
    """A session for `connections` simultaneous requests that stores no cookies and spools every body."""
    made = _Session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = SpoolingAdapter(pool_connections=connections, pool_maxsize=connections)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


def spool_of(response: requests.Response) -> IO[bytes]:
    """The body of a response of `SpoolingAdapter`, decoded, as a file at its beginning."""
    return cast("IO[bytes]", response.raw)


def cut_or_no_json(spool: IO[bytes]) -> bool:
    """Whether a body cannot be complete JSON: it does not begin and end like an object, an array or null."""
    first = spool.read(256).lstrip()[:1]
    end = spool.seek(0, 2)
    spool.seek(max(0, end - 256))
    last = spool.read().rstrip()[-1:]
    spool.seek(0)
    return first + last not in (b"{}", b"[]", b"nl")
