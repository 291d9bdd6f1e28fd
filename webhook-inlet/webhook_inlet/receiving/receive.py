"""One post, from its headers to its answer. A 200 means that its line is durable.

The order is: signature header, room, body and HMAC, key, window, commit, answer. A post that is verified is stored,
whatever is in it, and gets nothing but 200 and 503: other answers make senders wait for an hour.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from webhook_inlet.lines import line
from webhook_inlet.receiving import answers
from webhook_inlet.receiving.answers import Receive, Send
from webhook_inlet.receiving.body import Body, NoRoom, Room, inflate, read_body
from webhook_inlet.receiving.event_keys import NOT_JSON, event_key, hash_key, parse
from webhook_inlet.receiving.notices import Notices
from webhook_inlet.receiving.pending import Pending, PendingLines
from webhook_inlet.receiving.stored_headers import by_name, stored_headers
from webhook_inlet.receiving.window import KeyWindow
from webhook_inlet.service import Inlet, Service
from webhook_inlet.stats import Outcome

#: Bodies that are read at the same time, and lines that wait for a commit (bytes)
ROOM = 64 * 1024 * 1024
MAX_QUEUED_BYTES = 32 * 1024 * 1024
MAX_QUEUED_LINES = 20_000
#: Customer.io waits 4 seconds. Posts are shed when the oldest line has waited for the first time (seconds), and
#: given up when they have waited for the second themselves
SHED_SECONDS = 2.0
GIVE_UP_SECONDS = 2.8


class Receiver:
    """Takes the posts of all inlets."""

    def __init__(self, service: Service, window: KeyWindow) -> None:
        self._service = service
        self._window = window
        self.lines = PendingLines(window)
        self.room = Room(ROOM)
        self._is_slow = False
        self.notices = Notices()

    async def post(self, inlet: Inlet, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one post."""
        began, at = time.monotonic(), time.time_ns() // 1000
        headers = by_name(scope["headers"])
        verifier, claim = inlet.verifier, None
        if verifier is not None:
            claim = verifier.read(headers)
            if claim is None:
                self._refused(inlet, f"A post had no signature ({verifier.header}) of the expected form.")
                await answers.REFUSED.refuse(receive, send)
                return
        if self._is_full():
            inlet.stats.count(Outcome.SHED, time.monotonic() - began)
            await answers.LATER.refuse(receive, send)
            return
        try:
            body = await read_body(receive, verifier, claim, inlet.config.max_body, self.room)
        except NoRoom as error:
            inlet.stats.count(Outcome.SHED, time.monotonic() - began)
            await answers.LATER.refuse(receive, send, more_body=error.more_body)
            return
        if body is None:
            return
        if body.place is None:
            self._refused(inlet, "A post had a signature that none of the inlet's secrets made.")
            await answers.REFUSED.send(send)
            return
        outcome = self._submit(inlet, headers, body, body.place, at)
        place, truncated = body.place, body.truncated
        del body  # the line has it; memory is short while many wait
        if not isinstance(outcome, Outcome):
            outcome = await self._committed(inlet, *outcome, truncated)
        inlet.stats.count(outcome, time.monotonic() - began)
        if outcome is Outcome.SHED or outcome is Outcome.ERROR:
            await answers.LATER.send(send)
            return
        inlet.stats.key_used(place)
        await answers.STORED.send(send)

    async def _committed(self, inlet: Inlet, pending: Pending, is_first: bool, truncated: bool) -> Outcome:
        """What became of a line that was queued."""
        outcome = await pending.answer
        if outcome is Outcome.STORED:
            if not is_first:
                return Outcome.DUPLICATE
            return Outcome.TOO_LARGE if truncated else outcome
        if outcome is Outcome.ERROR and pending.problem:
            inlet.stats.failed(pending.problem)
            self.notices.warn(inlet.config.name, pending.problem)
        return outcome

    def _submit(
        self, inlet: Inlet, headers: Mapping[bytes, bytes], body: Body, place: int, at: int
    ) -> Outcome | tuple[Pending, bool]:
        """Queues the line of a body. If it is already known or there is no room, that is the outcome."""
        config = inlet.config
        data, compressed = body.data, False
        encoding = headers.get(b"content-encoding")
        if encoding is not None and not body.truncated:
            inflated = inflate(data, config.max_body) if encoding.strip().lower() in (b"gzip", b"x-gzip") else None
            data, compressed = (data, True) if inflated is None else (inflated, False)
        parsed = NOT_JSON if body.truncated else parse(data)
        key = event_key(config.source, parsed.value, headers)
        if key is None:
            key = hash_key(config.source, body.sha256 or sha256(body.data).hexdigest())
        digest = KeyWindow.digest(config.name, orjson.dumps(key)[1:-1])
        if digest in self._window:
            return Outcome.DUPLICATE
        pending = self.lines.by_digest.get(digest)
        if pending is not None:
            return pending, False
        if self._is_full():
            return Outcome.SHED
        written = line(
            key=key,
            at=at,
            inlet=config.name,
            sig=place,
            headers=stored_headers(headers, compressed or body.truncated),
            body=data,
            embed=parsed.embed,
            truncated=body.truncated,
        )
        return self.lines.add(digest, self._service.writer.submit(config.name, written)), True

    def look(self) -> None:
        """Called ten times a second: gives up posts whose senders would time out, and sees whether to shed."""
        now = time.monotonic()
        self.lines.give_up(now - GIVE_UP_SECONDS)
        oldest = self.lines.oldest()
        self._is_slow = oldest is not None and now - oldest > SHED_SECONDS

    def _is_full(self) -> bool:
        """Whether a new line would wait too long, or for ever."""
        writer = self._service.writer
        return (
            writer.fatal is not None
            or writer.queued_bytes > MAX_QUEUED_BYTES
            or writer.queued_lines > MAX_QUEUED_LINES
            or self._is_slow
        )

    def _refused(self, inlet: Inlet, sentence: str) -> None:
        inlet.stats.count(Outcome.BAD_SIGNATURE)
        inlet.stats.failed(sentence)
        self.notices.warn(inlet.config.name, f"{sentence} It was answered 401.")
