"""The application: posts go to the receiver, everything else to the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from webhook_inlet.receiving import answers
from webhook_inlet.receiving.answers import Receive, Send
from webhook_inlet.receiving.receive import Receiver
from webhook_inlet.service import Service, path_digest
from webhook_inlet.stats import Outcome

App = Callable[[Any, Receive, Send], Awaitable[None]]

PREFIX = "/in/"
_PREFIX_LENGTH = len(PREFIX)


def application(service: Service, receiver: Receiver, pages: App) -> App:
    """The whole process as ASGI. An error of ours is a 503: after a 500 Customer.io waits for an hour."""

    async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.startswith(PREFIX):
            await pages(scope, receive, send)
            return
        inlet = service.paths.get(path_digest(path[_PREFIX_LENGTH:]))
        if inlet is None:
            await answers.UNKNOWN.refuse(receive, send)
            return
        method = scope["method"]
        if method == "POST":
            try:
                await receiver.post(inlet, scope, receive, send)
            except Exception as error:
                inlet.stats.count(Outcome.ERROR)
                sentence = f"A post failed by an error of the inlet itself ({type(error).__name__})."
                inlet.stats.failed(sentence)
                receiver.notices.warn(inlet.config.name, sentence)
                await answers.LATER.refuse(receive, send, more_body=False)
        elif method in ("GET", "HEAD"):
            await answers.HERE.refuse(receive, send)
        else:
            await answers.NOT_A_POST.refuse(receive, send)

    return app
