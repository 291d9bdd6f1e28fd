"""uvicorn's HTTP protocol with limits on time and size, for a port that anybody can reach.

uvicorn bounds neither the time of a request's head or body nor their size beside the body. One deadline for each
connection is looked at twice a second by the server; a timer for each request would cost more than the request.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from webhook_inlet.receiving.answers import LATER, Receive, Send

#: Seconds for a request's head, and again for its body. Customer.io gives up a post after 4 seconds in all.
HEAD_SECONDS = 4.0
BODY_SECONDS = 4.0
#: Seconds for an answer to be made and taken by the other side; the log's answers are long
ANSWER_SECONDS = 300.0
#: Seconds for which a connection may be idle between two requests: more than senders and proxies wait themselves (Go
#: 90, Caddy 120, nginx and AWS's balancers 60). Who is closed while it sends its next post loses that post.
IDLE_SECONDS = 150.0
CLOSE_SECONDS = 4.0
#: Bytes of a request's head; each header counts as so many more, because it costs time however short it is
MAX_HEAD, HEADER_COST = 16 * 1024, 32
#: Bytes that come for a body, sizes of chunks included: so many, and so many for each byte of the body
MAX_EXTRA, MAX_RAW_PER_BYTE = 64 * 1024, 2
#: Pieces of a body, trailers included: so many, and one more for so many bytes. A flood of chunks of one byte would
#: hold up everybody's posts: each piece costs as much time as 10,000 bytes of a large one.
MAX_PIECES, BYTES_PER_PIECE = 1000, 64
#: Requests that may wait on a connection for the answer to the one before
MAX_PIPELINED = 32
#: Connections: above the first number requests get 503, above the second connections are closed at once
MAX_CONNECTIONS, MAX_CONNECTIONS_AT_ALL = 2000, 2500

_IDLE, _HEAD, _BODY = range(3)


class InletProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = self.loop.time() + HEAD_SECONDS  # in time of the loop
        self._phase = _IDLE
        self._running: RequestResponseCycle | None = None
        self._finished = False  # what still comes in is not looked at
        self._began = False  # a request began in this piece of data
        self._upgrades = False
        self._head = 0
        self._raw = 0
        self._seen = 0
        self._pieces = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MAX_CONNECTIONS_AT_ALL:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn tells the newest request only; an older one must not write to what is closed, either."""
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
        super().connection_lost(exc)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of a request has come that was not answered."""
        return self._phase == _IDLE and not self._is_answering()

    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    # what comes in

    def data_received(self, data: bytes) -> None:
        if self._finished:
            return
        self._began = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._ignore_upgrade(data[error.args[0] :])
            return
        except httptools.HttpParserError:
            self._bad(400)
            return
        if self._phase != _IDLE and not self._began:
            self._raw += len(data)
            if self._phase == _HEAD:
                if self._raw > MAX_HEAD:
                    self._bad(431)
            elif self._raw > MAX_EXTRA + MAX_RAW_PER_BYTE * self._seen:
                self._bad(400)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Reads a request that offers another protocol (Java's client does, with h2c) as if it did not.

        The parser takes the body for the other protocol, so a second one gets the head without the offer.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._bad(400)
            return
        head = [b"%b %b HTTP/1.1\r\n" % (method, self.url)]
        head += [b"%b: %b\r\n" % header for header in self.headers if header[0] not in (b"connection", b"upgrade")]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def eof_received(self) -> bool:  # type: ignore[override]
        """The sender will send nothing more; a post that is complete still gets its answer."""
        if self._phase == _IDLE and self._is_answering():
            self._end_after_answer()
            return True
        return False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase, self._began = _HEAD, True
        self._head = self._raw = self._seen = self._pieces = 0
        if not self._is_answering():
            self.deadline = self.loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        self._head += len(url)
        if self._head > MAX_HEAD:
            raise ValueError("the address is too long")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == _BODY:
            self._count_piece()
            return  # a trailer of a chunked body, which must not pass for a header
        self._head += len(name) + len(value) + HEADER_COST
        if self._head > MAX_HEAD:
            raise ValueError("the head is too long")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._upgrades = self.parser.should_upgrade()
        if self._upgrades:
            return
        self._phase = _BODY
        self._raw = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests before an answer")
        if not self._is_answering():
            self.deadline = self.loop.time() + BODY_SECONDS
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._seen += len(body)
        self._count_piece()
        super().on_body(body)

    def _count_piece(self) -> None:
        self._pieces += 1
        if self._pieces > MAX_PIECES + self._seen // BYTES_PER_PIECE:
            raise ValueError("the body comes in too many pieces")

    def on_message_complete(self) -> None:
        if self._upgrades:
            return
        self._phase = _IDLE
        self.deadline = self.loop.time() + (ANSWER_SECONDS if self._is_answering() else IDLE_SECONDS)
        super().on_message_complete()

    # what goes out

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if app is not self.app:
            app = _crowded
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """As uvicorn's, with a deadline in place of a timer."""
        self.server_state.total_requests += 1
        now = self.loop.time()
        if self.transport.is_closing():
            self.deadline = now + CLOSE_SECONDS
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self.deadline = now + (ANSWER_SECONDS if not cycle.more_body else BODY_SECONDS)
            self._start_asgi_task(cycle, app)
        elif self._phase == _IDLE:
            self.deadline = now + IDLE_SECONDS
        elif self._phase == _HEAD:
            self.deadline = now + HEAD_SECONDS

    def expire(self) -> None:
        """The deadline is over."""
        running = self._running
        if self.transport.is_closing() or (running is not None and self._is_answering() and not running.more_body):
            self.transport.abort()
        elif self.is_quiet:
            self._close()
        else:
            self._bad(408)

    def _bad(self, status: int) -> None:
        """Ends the connection because of what came in. A request that came whole before that is answered first."""
        running = self._running
        if running is not None and self._is_answering() and not running.more_body:
            self._end_after_answer()
            return
        if running is None or not running.response_started or running.response_complete:
            self.transport.write(_STATUS[status])
        self._close()

    def _end_after_answer(self) -> None:
        self._finished = True
        self.pipeline.clear()
        if self._running is not None and self._is_answering():
            self._running.keep_alive = False
        else:
            self._close()

    def _close(self) -> None:
        self._finished = True
        self.deadline = self.loop.time() + CLOSE_SECONDS
        self.transport.close()


async def _crowded(_scope: Any, receive: Receive, send: Send) -> None:
    """In place of uvicorn's own answer, behind which the connection is reset if a body is still on its way."""
    await LATER.refuse(receive, send)


_STATUS = {
    status: b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, words)
    for status, words in {
        400: b"Bad Request",
        408: b"Request Timeout",
        431: b"Request Header Fields Too Large",
    }.items()
}
