"""`/log`: the lanes of an inlet and the lines of their segments, for the readers.

Bodies are read in threads, a few at a time, so that a reader never holds up a post.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from webhook_inlet.pages.access import has_token
from webhook_inlet.store import LANE_NAME, Lines, NoSuchSegment

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from webhook_inlet.pages.readers import LineCounts, Readers
    from webhook_inlet.service import Service

#: Segments that are read and sent at a time: what bounds the memory, a segment is about 8 MiB
READS_AT_A_TIME = 4
#: Longest time in seconds for sending a segment; then the connection is given up, and the reader asks again
SEND_SECONDS = 120.0
SEND_BYTES = 256 * 1024

Answer = TypeVar("Answer")

_NUMBER = re.compile(r"[0-9]{1,15}")


def answer(status: int, **content: object) -> Response:
    """A JSON answer that nobody keeps."""
    return Response(orjson.dumps(content), status, {"Cache-Control": "no-store"}, "application/json")


def no_token() -> Response:
    """The token is missing or wrong."""
    refused = answer(401, error="The token is missing or wrong. Send the inlet's read_token: Authorization: Bearer ...")
    refused.headers["WWW-Authenticate"] = "Bearer"
    return refused


def unknown_inlet() -> Response:
    """No inlet of this name is configured."""
    return answer(404, error="No inlet has this name. Compare it with the inlet's configuration.", code="unknown_inlet")


def no_segment() -> Response:
    """The lane or the segment is not there."""
    return answer(404, error="The log has no such segment: it is not written yet, or was removed.", code="no_segment")


class LogPages:
    """The two endpoints."""

    def __init__(self, service: Service, readers: Readers, counts: LineCounts) -> None:
        self._service = service
        self._readers = readers
        self._counts = counts
        self._reads = asyncio.Semaphore(READS_AT_A_TIME)
        # of its own: a store that hangs takes no thread from the other pages
        self._threads = ThreadPoolExecutor(READS_AT_A_TIME, thread_name_prefix="log")

    async def _thread(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    async def lanes(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/log/v1/{inlet}`: its lanes, the oldest first."""
        await (await self._lanes(Request(scope)))(scope, receive, send)

    async def _lanes(self, request: Request) -> Response:
        inlet = request.path_params["inlet"]
        if not has_token(request, self._service):
            return no_token()
        if inlet not in self._service.inlets:
            return unknown_inlet()
        async with self._reads:
            lanes = await self._thread(self._service.store.lanes, inlet)
        self._readers.seen(inlet, request.headers.get("user-agent", "")).has_listed(lanes)
        return answer(200, lanes=[asdict(lane) for lane in lanes])

    async def segment(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/log/v1/{inlet}/{lane}/{segment}?line=N`: the lines behind the N-th.

        With `&peek=true` they do not count as read: for a reader that looks at the newest line only.
        """
        request = Request(scope)
        refused = self._refused(request)
        if refused:
            await refused(scope, receive, send)
            return
        inlet, lane, segment = (request.path_params[name] for name in ("inlet", "lane", "segment"))
        position = int(segment), int(request.query_params.get("line", "0"))
        async with self._reads:
            try:
                lines = await self._thread(self._service.store.read, inlet, lane, *position)
            except NoSuchSegment:
                await no_segment()(scope, receive, send)
                return
            async with asyncio.timeout(SEND_SECONDS):
                await _send(lines, send)
        if request.method == "HEAD" or request.query_params.get("peek") == "true":
            return
        count = lines.data.count(b"\n")
        reader = self._readers.seen(inlet, request.headers.get("user-agent", ""))
        reader.has_fetched(lane, position, count, lines.sealed)
        if lines.sealed and count and position[1] == 0:
            self._counts.note(inlet, lane, position[0], count)

    def _refused(self, request: Request) -> Response | None:
        """What is wrong with a request for a segment."""
        inlet, lane, segment = (request.path_params[name] for name in ("inlet", "lane", "segment"))
        if not has_token(request, self._service):
            return no_token()
        if inlet not in self._service.inlets:
            return unknown_inlet()
        if not _NUMBER.fullmatch(segment):
            return answer(400, error="The segment must be a number: /log/v1/{inlet}/{lane}/{segment}?line=N")
        if not _NUMBER.fullmatch(request.query_params.get("line", "0")):
            return answer(400, error="line must be a number: how many lines of the segment were read already")
        return None if LANE_NAME.fullmatch(lane) else no_segment()


async def _send(lines: Lines, send: Send) -> None:
    """Sends in pieces, each after the one before has left: a slow reader does not fill the process's memory."""
    headers = {
        b"content-type": b"application/x-ndjson",
        b"content-length": b"%d" % len(lines.data),
        b"webhook-log-sealed": b"true" if lines.sealed else b"false",
        b"cache-control": b"no-store",
        b"x-content-type-options": b"nosniff",
    }
    await send({"type": "http.response.start", "status": 200, "headers": list(headers.items())})
    for start in range(0, len(lines.data), SEND_BYTES):
        piece = lines.data[start : start + SEND_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
