"""What posts are answered with: ready messages, so that an answer costs little."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

#: Bytes of a body that are thrown away behind a refusal, so that the sender gets to read it before the connection ends
_THROWN_AWAY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """The two messages of an answer."""

    start: Message
    body: Message

    async def send(self, send: Send) -> None:
        """Answers a post whose body was read."""
        await send(self.start)
        await send(self.body)

    async def refuse(self, receive: Receive, send: Send, more_body: bool = True) -> None:
        """Answers before the body was read to its end; then the connection ends.

        What is still on its way is thrown away for a moment: if a connection is closed with unread data, the kernel
        resets it, and the sender may lose the answer.
        """
        headers = [*self.start["headers"], (b"connection", b"close")]
        await send({**self.start, "headers": headers})
        await send({**self.body, "more_body": True})
        size = 0
        while more_body and size < _THROWN_AWAY:
            message = await receive()
            size += len(message.get("body", b""))
            more_body = message.get("more_body", False)
        await send({"type": "http.response.body", "body": b""})


def _answer(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    body = text.encode() + b"\n" if text else b""
    return Answer(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain"), *headers],
        },
        {"type": "http.response.body", "body": body},
    )


# No text: head and body are sent by two writes, and an inlet that is killed between them would break its answer.
STORED = _answer(200, "")
HERE = _answer(200, "Webhooks are posted here.")
REFUSED = _answer(401, "The signature is missing or wrong.")
UNKNOWN = _answer(404, "There is nothing here.")
NOT_A_POST = _answer(405, "Webhooks are posted here.", (b"allow", b"GET, HEAD, POST"))
LATER = _answer(503, "Not stored. Try again.", (b"retry-after", b"1"))
