"""What the reports of all vendors share: requests that only read, shapes in place of values, and the printed lines.

Only four things are ever printed: texts of these scripts, names that the vendors or the connectors' schemas document,
counts and sizes, and statuses. A name that is not documented may be a customer's own, so it is counted, not printed.
"""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.http.body import Session
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

#: The only requests that are no GET: searches, and reading by ids. They change nothing (documented by both vendors).
READING_POSTS = frozenset({"customers", "customers/attributes", "objects", "aggregation"})
#: Headers that answer a question; of others not even the name is printed
_HEADERS = ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "RateLimit-Limit", "ETag", "Link", "Date")
#: Seconds
_WAIT = 2.0
_LONGEST_WAIT = 30.0
_TIMEOUT = 120.0

Row = dict[str, Any]


class Report:
    """The lines on stdout, in questions with what was asked, the answers and what they mean."""

    def __init__(self) -> None:
        self._number = 0

    def question(self, text: str, asked: str) -> None:
        self._number += 1
        self._print(f"\n{self._number}. {text}", f"  asked:  {asked}")

    def answer(self, *lines: str) -> None:
        self._print(*(f"  answer: {line}" for line in lines))

    def means(self, text: str) -> None:
        self._print(f"  means:  {text}")

    def attempt(self, part: Callable[..., object], *arguments: Any) -> None:
        """Asks one question. An answer of an unforeseen shape ends that question only, and no value of it is shown."""
        try:
            part(*arguments)
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            self.answer(f"of an unforeseen shape: {type(error).__name__} in {Path(at.filename).name}, line {at.lineno}")

    def note(self, text: str) -> None:
        self._print(text)

    def _print(self, *lines: str) -> None:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


@dataclass(frozen=True)
class Answer:
    """An answer, or `problem`: why there is none. `document` is None where the body is no JSON."""

    status: int | None = None
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""
    text: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def rows(self, name: str | None = None) -> list[Row]:
        """The objects in the list `name` of the answer, or in the answer that is a list."""
        found = self.document if name is None else self.member(name)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def member(self, name: str) -> Any:
        return self.document.get(name) if isinstance(self.document, dict) else None

    def outcome(self, names: Collection[str]) -> str:
        """The status; of a refusal the shape of the body, too."""
        if self.status is None:
            return f"no answer ({self.problem})"
        if self.ok:
            return str(self.status)
        body = shape(self.document, names) if self.document is not None else "no JSON"
        seen = [name for name in _HEADERS if name in self.headers and name != "Date"]
        return f"{self.status}, body: {body}" + (f", headers: {', '.join(seen)}" if seen else "")


class Api:
    """Reads from a server: at most `most` requests, `per_second` of them a second. No redirect is followed."""

    def __init__(self, address: str, headers: Mapping[str, str], most: int, per_second: float) -> None:
        self._session = Session(address, 1)
        self._headers = {"Accept": "application/json", **headers}
        self._left = self.most = most
        self._pause = 1 / per_second
        self._next = 0.0
        self.throttled: list[bool] = []
        """Of each 429 whether it had the header Retry-After."""

    @property
    def used(self) -> int:
        return self.most - self._left

    def get(self, path: str, **params: Any) -> Answer:
        return self.ask("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any], **params: Any) -> Answer:
        return self.ask("POST", path, params=params, json=body)

    def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any) -> Answer:
        """One request, repeated once if it is throttled. ValueError for one that might change something."""
        if method != "GET" and (method != "POST" or path not in READING_POSTS):
            message = f"{method} {path} does not only read"
            raise ValueError(message)
        answer = self._send(method, path, {**self._headers, **(headers or {})}, request)
        if answer.status == 429:
            after = answer.headers.get("Retry-After", "")
            self.throttled.append(bool(after))
            time.sleep(min(float(after) if after.isdigit() else _WAIT, _LONGEST_WAIT))
            answer = self._send(method, path, {**self._headers, **(headers or {})}, request)
        return answer

    def _send(self, method: str, path: str, headers: Mapping[str, str], request: Mapping[str, Any]) -> Answer:
        if not self._left:
            return Answer(problem="the number of requests of this report is used up")
        self._left -= 1
        time.sleep(max(0.0, self._next - time.monotonic()))
        began = time.monotonic()
        self._next = began + self._pause
        try:
            found = self._session.send(method, path, headers, Timeout(connect=10.0, read=_TIMEOUT), **request)
            with found.spool as body:
                text = body.read().decode("utf-8", "replace")
        except (HTTPError, AirbyteTracedException, OSError) as error:
            return Answer(problem=type(error).__name__)
        seconds = time.monotonic() - began
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        return Answer(found.status, document, found.headers, seconds, text=text[:10_000])

    def close(self, report: Report) -> None:
        """The last question: what the server said of its limits."""
        self._session.close()
        report.question("Does a 429 say how long to wait?", "nothing more; no request was made to provoke one")
        report.answer(
            f"{len(self.throttled)} of {self.used} requests were answered with 429, "
            f"{sum(self.throttled)} of them with Retry-After"
        )


def words(text: str) -> frozenset[str]:
    """The words of a text: a set of names that may be printed."""
    return frozenset(text.split())


def kind(value: Any) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def kinds(values: Iterable[Any]) -> str:
    """`12 integer, 1 null`; `none` for no values."""
    return counted(Counter(map(kind, values)))


def counted(counts: Counter[str]) -> str:
    """Counts, the largest first."""
    return (
        ", ".join(f"{count} {what}" for what, count in sorted(counts.items(), key=lambda it: (-it[1], it[0]))) or "none"
    )


def shape(value: Any, names: Collection[str]) -> str:
    """The shape of a document: the members that `names` knows with their types, the others counted by type."""
    if isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict)]
        return f"[{shape(objects[0], names)} ...]" if objects else f"[{kinds(value)}]"
    if not isinstance(value, dict):
        return kind(value)
    known = [f"{name}: {shape(value[name], names)}" for name in sorted(value) if name in names]
    others = [item for name, item in value.items() if name not in names]
    more = [f"{len(others)} undocumented names ({kinds(others)})"] if others else []
    return "{" + ", ".join([*known, *more]) + "}"


def members(rows: Iterable[Row], names: Collection[str]) -> list[str]:
    """A line for each documented member of some rows with its types, and one that counts the others."""
    found: dict[str, Counter[str]] = {}
    others: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.items():
            place = found if name in names else others
            place.setdefault(name, Counter())[kind(value)] += 1
    lines = [f"{name}: {counted(found[name])}" for name in sorted(found)]
    if others:
        types = sum(others.values(), Counter[str]())
        lines.append(f"{len(others)} undocumented names, with {counted(types)}")
    return lines


#: (least, what): what a number of that magnitude is as a time near today. 10**11 seconds are the year 5138.
_MAGNITUDES = ((10**17, "like nanoseconds"), (10**14, "like microseconds"), (10**11, "like milliseconds"))
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def likeness(value: Any) -> str:
    """What a value looks like that may be a time or a count. Nothing of the value itself is in the answer."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return kind(value)
    if isinstance(value, str):
        if _INSTANT.fullmatch(value):
            return "texts like ISO 8601"
        return "texts of digits" if value.isdigit() else "other texts" if value else "empty texts"
    for least, what in _MAGNITUDES:
        if abs(value) >= least:
            return what
    if value == 0:
        return "zeros"
    return "like seconds since 1970" if abs(value) >= 10**8 else "small numbers, like counts or durations"


def likenesses(values: Iterable[Any]) -> str:
    return counted(Counter(map(likeness, values)))
