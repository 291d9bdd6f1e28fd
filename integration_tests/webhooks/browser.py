"""Chromium without a window, driven over a pipe by its own protocol (Chrome DevTools Protocol): no driver is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_SECONDS = 120.0


class Refused(Exception):
    """A command that Chromium refused."""


class Page:
    """One tab."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._answers = select.poll()  # unlike select.select, it takes any descriptor
        self._answers.register(receive, select.POLLIN)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.problems: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Log.enable")

    def show(self, width: int, height: int, dark: bool = False) -> None:
        """The size in CSS pixels; a narrow one is a phone's. And which colors the reader prefers."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Goes to an address and waits until it is loaded. Refused if there is no page to show."""
        failed = self._call("Page.navigate", url=url).get("errorText")
        if failed:
            raise Refused(f"the page does not open: {failed}")
        self.wait(lambda: self.value("document.readyState") == "complete")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, run from outside the page."""
        try:
            answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        except Refused:  # the page was loaded anew meanwhile
            answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """What a reader sees."""
        return str(self.value("document.body ? document.body.innerText : ''"))

    def wait(self, condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Asks again until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it did not happen within {seconds} s; the page says: {self.text()}"
            time.sleep(0.05)

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("method") == "Log.entryAdded":
                self.problems.append(answer["params"]["entry"]["text"])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise Refused(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert self._answers.poll(WAIT_SECONDS * 1000), "Chromium does not answer"
            piece = os.read(self._receive, 1 << 20)
            assert piece, "Chromium ended"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with a fresh profile in a folder."""
    program = shutil.which("chromium")
    assert program is not None, "Chromium is not installed (package chromium)"
    to_browser, we_send = os.pipe()
    we_receive, from_browser = os.pipe()
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
    # the protocol wants the descriptors 3 and 4
    command = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
    arguments = [*options, f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", command, program, *arguments],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Page(we_send, we_receive)
    finally:
        os.close(we_send)  # it ends when its pipe does
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(120)
        os.close(we_receive)
