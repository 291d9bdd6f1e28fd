"""JSON as bytes: decodes and encodes what orjson refuses, follows brackets, estimates the memory that it needs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from source_kit.limits import DECODED_BYTES, JSON_BYTES, NESTING, TooLarge, megabytes

#: The rest of a string, up to its end or the end of the text (but not a backslash without the byte that it escapes)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
#: All up to the next bracket, or to a string that does not end in this text
_QUIET = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+', re.DOTALL)
#: What others write and orjson may refuse: strings, numbers, and words that are not JSON
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|NaN|-?Infinity|-?[0-9][-+.0-9eE]*', re.DOTALL)
_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL
)
_PAIR_BYTES = len(b"\\ud83d\\ude00")
_OPENING, _QUOTE = b"[{", ord('"')
#: Measured with CPython 3.11 and orjson, in bytes: a short text in a list takes 72, one with its key in an object 120,
#: an object with one member 200, an empty one 72.
_VALUE_BYTES, _OBJECT_BYTES, _ARRAY_BYTES = 100, 100, 64
#: A text of this size always fits into `DECODED_BYTES`: the worst, `{},{},{}`, takes 70 times its size.
_SURELY_FITS = DECODED_BYTES // 100


class BadDocument(Exception):
    """The body is not JSON."""


class UnexpectedShape(BadDocument):
    """The body is JSON of another shape than expected."""


def loads(text: bytes, decode: Callable[[bytes], Any] = orjson.loads) -> Any:
    """Decodes JSON as fast as `decode`, and also what orjson refuses: lone surrogates, NaN, 1e999, bad UTF-8.

    Text that is not valid UTF-8 becomes U+FFFD, and a number that is not valid JSON becomes null: without that, the
    record could not be emitted. Integers beyond 64 bits become floats. `decode` raises ValueError for what it refuses.
    Raises BadDocument, and TooLarge for JSON that is nested too deep.
    """
    try:
        return decode(text)
    except ValueError:
        try:
            return decode(_TOKEN.sub(_usual, text.decode("utf-8", "replace").encode()))
        except ValueError as error:
            if is_deeper(text, NESTING):
                raise TooLarge(f"JSON that is nested more than {NESTING:,} deep") from error
            raise BadDocument(str(error)) from error


def _usual(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text[0] == _QUOTE:
        return _SURROGATES.sub(_whole_character, text) if b"\\u" in text else text
    try:
        return text if math.isfinite(float(text)) else b"null"
    except ValueError:
        return text


def _whole_character(escape: re.Match[bytes]) -> bytes:
    """The escape; U+FFFD for half of a surrogate pair."""
    text = escape[0]
    return text if len(text) in (2, _PAIR_BYTES) else b"\\ufffd"


def is_deeper(text: bytes, limit: int) -> bool:
    """Whether arrays and objects are nested more than `limit` deep."""
    brackets = Brackets()
    return any(brackets.depth > limit for _ in brackets.of(text))


class _Text(bytes):
    """Finished JSON."""


def dumps(value: Any, sort_keys: bool = False) -> bytes:
    """A value as JSON, also one that orjson refuses: deep, with an integer beyond 64 bits or a lone surrogate.

    Values that JSON does not know, such as dates, become their `str`.
    """
    try:
        return orjson.dumps(value, str, orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:
        return b"".join(_written(value, sort_keys))


def _written(value: Any, sort_keys: bool) -> Iterator[bytes]:
    """The parts of a value's JSON, without recursion."""
    todo: list[Any] = [value]  # a stack: the next part is the last
    while todo:
        match todo.pop():
            case _Text() as text:
                yield text
            case dict() as members:
                todo.append(_Text(b"}"))
                items = [(str(key), item) for key, item in members.items()]
                if sort_keys:
                    items.sort(key=lambda item: item[0])
                for number, (key, item) in reversed(list(enumerate(items))):
                    todo += [item, _Text((b"," if number else b"") + _scalar(key) + b":")]
                todo.append(_Text(b"{"))
            case list() | tuple() as values:
                todo.append(_Text(b"]"))
                for number, item in reversed(list(enumerate(values))):
                    todo += [item, _Text(b"," if number else b"")]
                todo.append(_Text(b"["))
            case other:
                yield _scalar(other)


def _scalar(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=str)
    except TypeError:
        text = json.dumps(value, default=str, ensure_ascii=False)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def decoded_bytes(text: bytes) -> int:
    """About the memory of the decoded text, never much less. Counting takes a hundredth of the time of decoding.

    A character takes one byte, or up to four if the text holds any beyond Latin-1. Brackets and commas in strings are
    counted like those outside.
    """
    wide = 1 if text.isascii() and b"\\u" not in text else 4
    size = wide * len(text) + _VALUE_BYTES * text.count(b",")
    return size + _OBJECT_BYTES * text.count(b"{") + _ARRAY_BYTES * text.count(b"[")


def require_room(text: bytes, what: str) -> None:
    """Raises TooLarge if `text` is too much to decode at once. `what` names it in the error."""
    if len(text) > _SURELY_FITS:
        Room(what).take(text)


class Room:
    """The room that is left for a text that comes in pieces and will be decoded at once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._size = 0
        self._decoded = 0

    def take(self, text: bytes) -> None:
        """Counts a piece. Raises TooLarge if the text so far is too much to decode at once."""
        self._size += len(text)
        if self._size > JSON_BYTES:
            raise TooLarge(f"{self._what} of more than {megabytes(JSON_BYTES)}")
        self._decoded += decoded_bytes(text)
        if self._decoded > DECODED_BYTES:
            raise TooLarge(f"{self._what} that needs more than {megabytes(DECODED_BYTES)} of memory")


class Brackets:
    """Finds the brackets of a JSON text that comes in pieces, except those in strings.

    `depth` is the number of open brackets after the last one that was found, below 0 if more were closed than opened.
    Takes linear time, no recursion and no copy of the text.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def is_open(self) -> bool:
        """Whether the text so far ends within brackets or a string."""
        return self.depth > 0 or self._in_string

    def of(self, text: bytes) -> Iterator[int]:
        """The position after each bracket of the next piece."""
        at = self._string_left(text) if self._in_string else 0
        while not self._in_string:
            quiet = _QUIET.match(text, at)
            assert quiet  # noqa: S101 - it matches the empty text
            at = quiet.end()
            if at == len(text):
                return
            if text[at] == _QUOTE:
                self._in_string = True
                self._string_left(text, at + 1)
                return
            self.depth += 1 if text[at] in _OPENING else -1
            at += 1
            yield at

    def _string_left(self, text: bytes, at: int = 0) -> int:
        """The position after the end of the open string, or of the text if the string does not end in it."""
        inside = _IN_STRING.match(text, at + self._escaped)
        assert inside  # noqa: S101 - it matches the empty text
        at = inside.end()
        self._in_string = not text.startswith(b'"', at)
        self._escaped = self._in_string and at < len(text)
        return at + 1
