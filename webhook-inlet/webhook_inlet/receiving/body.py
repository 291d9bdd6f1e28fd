"""Reads the body of a post: verified while it comes, bounded in memory, inflated if it was compressed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256

from webhook_inlet.receiving.answers import Message, Receive
from webhook_inlet.signatures import Claim, Stream, Verifier

#: `sig` of a line whose inlet asks for no signature
UNSIGNED = -1
_GZIP = 16 + zlib.MAX_WBITS
#: gzip files that may follow one another in a body; each costs time, also an empty one
MAX_MEMBERS = 100


class NoRoom(Exception):
    """The bodies that are read at the same time have as many bytes as are allowed. `more_body`: this one has more."""

    def __init__(self, more_body: bool) -> None:
        super().__init__()
        self.more_body = more_body


@dataclass(slots=True)
class Room:
    """Bytes of all the bodies that come in pieces and are held in memory."""

    limit: int
    taken: int = 0

    def take(self, size: int) -> bool:
        """False if that many are too many."""
        if self.taken + size > self.limit:
            return False
        self.taken += size
        return True


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it was sent. `data` is its head only if it is `truncated`; `place` is None if no secret signed it."""

    data: bytes
    place: int | None
    sha256: str | None  # of all that was sent, if it came in pieces
    truncated: bool


async def read_body(
    receive: Receive, verifier: Verifier | None, claim: Claim | None, max_body: int, room: Room
) -> Body | None:
    """A body; None if the sender went away. Raises NoRoom."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    if message.get("more_body") or len(message["body"]) > max_body:
        return await _read_pieces(
            message, receive, verifier.stream(claim) if verifier and claim else None, max_body, room
        )
    data: bytes = message["body"]
    place = verifier.place(claim, data) if verifier and claim else UNSIGNED
    return Body(data, place, None, False)


async def _read_pieces(
    message: Message, receive: Receive, signature: Stream | None, max_body: int, room: Room
) -> Body | None:
    digest = sha256()
    held: list[bytes] = []  # as they came: many bytearrays that grow beside each other take five times as much memory
    kept_size, size = 0, 0
    try:
        while True:
            piece = message["body"]
            digest.update(piece)
            if signature:
                signature.update(piece)
            size += len(piece)
            kept = piece[: max_body - kept_size]
            if not room.take(len(kept)):
                raise NoRoom(more_body=bool(message.get("more_body")))
            kept_size += len(kept)
            if kept:
                held.append(kept)
            if not message.get("more_body"):
                place = signature.place() if signature else UNSIGNED
                return Body(b"".join(held), place, digest.hexdigest(), size > kept_size)
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
    finally:
        room.taken -= kept_size


def inflate(data: bytes, limit: int) -> bytes | None:
    """The content of gzip data; None if it is none, is cut, or has more than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while data and len(parts) < MAX_MEMBERS:
        inflater = zlib.decompressobj(_GZIP)
        try:
            part = inflater.decompress(data, limit - size + 1)
        except zlib.error:
            return None
        size += len(part)
        if size > limit or not inflater.eof:
            return None
        parts.append(part)
        data = inflater.unused_data
    return b"".join(parts) if parts and not data else None
