"""The floor of the inlet: uvicorn appends each body to a file and answers 200 when fdatasync is back.

    python benchmarks/drivers/webhook_floor.py FILE

No signature, no JSON, no keys, no lanes, no segments, no other answer. Like the inlet it syncs in one thread, and
everything at once that came during the last sync; a sync for each body would be slower. Prints `listening on http://...`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn


class Appender:
    """One thread that writes and syncs what waits."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._some = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def add(self, body: bytes) -> asyncio.Future[None]:
        """The future ends when the body is durable."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        self._some.set()
        return future

    def _work(self) -> None:
        while self._some.wait():
            self._some.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                os.write(self._file, b"".join(body + b"\n" for body, _ in batch))
                os.fdatasync(self._file)
                batch[0][1].get_loop().call_soon_threadsafe(self._done, batch)

    @staticmethod
    def _done(batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        for _, future in batch:
            if not future.done():
                future.set_result(None)


def main() -> None:
    """Serves until it is killed."""
    appender = Appender(sys.argv[1])

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        await appender.add(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    options = {"loop": "uvloop", "http": "httptools", "lifespan": "off", "access_log": False, "log_level": "warning"}
    uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listener])  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
