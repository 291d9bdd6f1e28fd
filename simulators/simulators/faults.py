"""Faults: errors and broken answers that a test adds for chosen requests.

A fault matches method, path and body of a request and changes or breaks the answer. Tests in the same process call
`sim.faults.add(Fault("cut", path="aggregation"))`. Other processes send the same fields to `POST /_sim/faults`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

KINDS = ("status", "html", "cut", "cut_chunked", "cut_silent", "reset", "drip", "delay", "empty")

HTML_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Service Unavailable</title></head>\n"
    "<body><h1>Service Unavailable</h1><p>The server is temporarily unable to service your request.</p></body></html>\n"
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and for which requests.

    kind: what happens.
        `status` answers `status`, `headers` and `answer`;
        `html` answers an HTML page with `status` (default 200);
        `cut` sends the first `at` bytes of the real body under its full Content-Length, then closes;
        `cut_chunked` sends the same with chunked encoding, without the last chunk;
        `cut_silent` sends the same without length and chunks, so only the broken JSON shows the cut;
        `reset` sends the first `at` bytes and resets the connection;
        `drip` sends the first `at` bytes, then one byte every `seconds`;
        `delay` waits `seconds`, then sends the real answer;
        `empty` answers `status` (default 200) without a body.
    method, path, body: regular expressions. `method` must match whole, `path` is searched in path and query, `body`
        in the decoded body.
    skip, times: the first `skip` matching requests are not hit, the next `times` are (-1: all).
    at: a number of body bytes. None means half of the body for cuts, and 0 for `reset` and `drip`.
    """

    kind: str
    method: str = ""
    path: str = ""
    body: str = ""
    times: int = 1
    skip: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""
    at: int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            message = f"unknown fault kind {self.kind!r}, expected one of {', '.join(KINDS)}"
            raise ValueError(message)
        for pattern in (self.method, self.path, self.body):
            re.compile(pattern)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Fault:
        """Build a fault from a control request. An unknown field is a ValueError."""
        unknown = set(document) - {item.name for item in fields(cls)}
        if unknown:
            message = f"unknown fault options: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        return cls(**document)

    def matches(self, method: str, target: str, body: bytes) -> bool:
        """Whether the fault matches a request. `target` is the path with its query."""
        return (
            (not self.method or re.fullmatch(self.method, method) is not None)
            and (not self.path or re.search(self.path, target) is not None)
            and (not self.body or re.search(self.body, body.decode("utf-8", "replace")) is not None)
        )


@dataclass
class _ActiveFault:
    fault: Fault
    skip: int
    times: int


class Faults:
    """The active faults, in the order in which they were added. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[_ActiveFault] = []

    def add(self, *faults: Fault) -> None:
        """Add faults after the active ones."""
        with self._lock:
            self._active.extend(_ActiveFault(fault, fault.skip, fault.times) for fault in faults)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._active.clear()

    def take(self, method: str, target: str, body: bytes) -> Fault | None:
        """The fault that hits this request, or None. The hit is counted.

        The first matching fault hits. If it still skips requests, it counts the request and the next fault is tried.
        """
        with self._lock:
            for active in self._active:
                if active.times == 0 or not active.fault.matches(method, target, body):
                    continue
                if active.skip > 0:
                    active.skip -= 1
                    continue
                if active.times > 0:
                    active.times -= 1
                return active.fault
        return None

    def remaining(self) -> list[dict[str, Any]]:
        """The faults that can still hit a request, with the remaining `skip` and `times`."""
        with self._lock:
            return [asdict(a.fault) | {"skip": a.skip, "times": a.times} for a in self._active if a.times != 0]


def faults_from_json(document: Any) -> Iterable[Fault]:
    """The faults of a control request: one object or a list of objects."""
    return [Fault.from_json(item) for item in (document if isinstance(document, list) else [document])]
