"""Faults on purpose: what goes wrong between a client and a vendor, switched on request by request.

A fault is matched against method, path and body of a request and then spoils the answer. It is data, so that a test
adds it in-process (`sim.faults.add(Fault("cut", path="aggregation"))`) and a container over HTTP (`POST /_sim/faults`).
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
    """One thing that goes wrong, and for which requests.

    kind: what happens.
        `status` answers `status`, `headers` and `answer`;
        `html` answers an HTML page with `status` (200 unless told);
        `cut` sends the first `at` bytes of the real body under its full Content-Length, then closes;
        `cut_chunked` the same, chunked, without the last chunk;
        `cut_silent` the same with neither length nor chunks, so that only the JSON tells;
        `reset` sends the first `at` bytes and resets the connection;
        `drip` sends the first `at` bytes, then one byte every `seconds`;
        `delay` waits `seconds`, then answers properly;
        `empty` answers `status` (200 unless told) without a body.
    method, path, body: regular expressions; `path` is searched in path and query, `body` in the decoded body.
    skip, times: the first `skip` matching requests go through, then `times` are hit (-1 = all of them).
    at: a number of body bytes; None means half the body for cuts and nothing for the others.
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
        """Build a fault from a control request; an unknown name is a ValueError, not an option that is ignored."""
        unknown = set(document) - {item.name for item in fields(cls)}
        if unknown:
            message = f"unknown fault options: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        return cls(**document)

    def matches(self, method: str, target: str, body: bytes) -> bool:
        """Say whether a request is of the kind that this fault spoils; `target` is the path with its query."""
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
    """The faults in force, in the order in which they were added. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[_ActiveFault] = []

    def add(self, *faults: Fault) -> None:
        """Put faults in force behind those that are in force already."""
        with self._lock:
            self._active.extend(_ActiveFault(fault, fault.skip, fault.times) for fault in faults)

    def clear(self) -> None:
        """Lift every fault."""
        with self._lock:
            self._active.clear()

    def take(self, method: str, target: str, body: bytes) -> Fault | None:
        """Return the fault that hits this request and count it; None lets the request through.

        The first fault that is due hits. A request that a fault skips is counted by it and offered to the next one.
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
        """The faults that can still hit, with what is left of `skip` and `times`."""
        with self._lock:
            return [asdict(a.fault) | {"skip": a.skip, "times": a.times} for a in self._active if a.times != 0]


def faults_from_json(document: Any) -> Iterable[Fault]:
    """Read one fault or a list of faults from a control request's document."""
    return [Fault.from_json(item) for item in (document if isinstance(document, list) else [document])]
