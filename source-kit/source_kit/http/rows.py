"""Reads the rows of a JSON body in bounded memory."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, TypeAlias

import orjson

from source_kit.json_text import STRING, BadDocument, Brackets, Room, UnexpectedShape, loads, require_room
from source_kit.limits import JSON_BYTES

#: The body is read in chunks of this size. The rows of a chunk are decoded, yielded and freed before the next.
CHUNK_BYTES = 128 * 1024
_SEPARATORS = (b"},{", b"}, {", b"},\n{", b"},\r\n{")
#: Row boundaries that are tried in a chunk, from its end, before its brackets are followed
_BOUNDARIES_TRIED = 5_000
#: What stands before the first row of a piece that follows another
_COMMA = re.compile(rb"[ \t\r\n]*(,?)")
#: What the array holds when the text around the rows is decoded
_IN_PLACE_OF_ROWS = b"0"
#: Only one thread at a time builds what may be large. The interpreter's lock allows no more anyway.
_IN_TURN = threading.Lock()
_WRONG_GUESS = (ValueError, BadDocument)

#: Makes rows of the text of a list of them, `b"[{...},{...}]"`. Raises ValueError for text that is not JSON.
Decode: TypeAlias = Callable[[bytes], list[Any]]


class RowReader:
    """The rows of one array of a JSON document, in lists. The memory depends on the chunk, not on the page.

    `key` names the array in the top-level object; None means that the document is the array. A null array is empty.
    Rows are what `decode` makes of them, a chunk at a time. If it raises ValueError, it is called again with the text
    that `json_text.loads` would decode. After the last row `envelope` holds the other members of the object.

    The end of a row is guessed, and decoding proves it: what starts at a row and decodes as a list ends at a row. The
    guess is the last `},{` of a chunk, or the last one before which as many braces are closed as opened, which is right
    if rows hold objects. If braces in strings make both wrong, the brackets are followed from the beginning of the
    chunk. Raises BadDocument, and TooLarge if a row, or all that is around the rows, is beyond the limits.
    """

    def __init__(
        self, body: IO[bytes], key: str | None, chunk_bytes: int = CHUNK_BYTES, decode: Decode = orjson.loads
    ) -> None:
        self.envelope: dict[str, Any] = {}
        self._body = body
        self._key = key
        self._chunk = chunk_bytes
        self._decode = decode
        self._separators = list(_SEPARATORS)
        self._nested = False
        self._begun = False  # a row was decoded, so the next one follows a comma

    def __iter__(self) -> Iterator[list[Any]]:
        buffer = self._body.read(self._chunk)
        head = self._head(buffer)
        if head is None:
            with _IN_TURN:
                head, buffer = self._late_head(buffer)
        rest, ended = buffer[len(head) :], not head
        while not ended and (more := self._body.read(self._chunk)):
            rest += more
            rows, rest = self._guessed(rest)
            if rows is None:
                with _IN_TURN:
                    rows, rest, ended = self._followed(rest)
            if rows:
                yield rows
            del rows  # frees large ones before the next are decoded
        if ended and head:
            rest += self._body.read(JSON_BYTES)
        yield from self._last(head, rest)

    def _rows(self, text: bytes | memoryview, decode: Decode) -> list[Any]:
        """The rows of a text that begins and ends where a row does, or with the comma before it.

        Raises BadDocument for a comma too many or too few, and what `decode` raises.
        """
        found = _COMMA.match(text)
        assert found  # noqa: S101 - it matches the empty text
        start, comma = found.span(1)
        if comma < len(text) and self._begun != (start < comma):
            raise BadDocument("a comma between two rows is missing, or one stands before the first")
        rows = decode(b"".join((b"[", memoryview(text)[comma:], b"]")))
        if start < comma and not rows:
            raise BadDocument("no row after a comma")
        self._begun = self._begun or bool(rows)
        return rows

    def _tolerant(self, text: bytes) -> list[Any]:
        rows: list[Any] = loads(text, self._decode)
        return rows

    def _guessed(self, rest: bytes) -> tuple[list[Any] | None, bytes]:
        """The rows up to a guessed boundary, and the rest. No rows if the guesses were wrong.

        The last `},{` is found at once, and right if rows hold no lists of objects. Once it was wrong, braces are
        counted.
        """
        separator = next((one for one in self._separators if one in rest), None)
        if separator is None:
            return None, rest
        last = rest.rfind(separator)
        if not self._nested:
            with suppress(*_WRONG_GUESS):
                return self._rows(memoryview(rest)[: last + 1], self._decode), rest[last + 1 :]
            self._nested = True
        cut = _balanced(rest, separator, last)
        if cut is not None:
            with suppress(*_WRONG_GUESS):
                return self._rows(memoryview(rest)[: cut + 1], self._decode), rest[cut + 1 :]
        return None, rest

    def _followed(self, rest: bytes) -> tuple[list[Any], bytes, bool]:
        """The rows up to the last boundary in the chunk, or the first one after it; the rest; whether the array ended.

        No rows if the body ends before a row does.
        """
        brackets, room = Brackets(), Room("a row")
        texts, size, end = [rest], 0, 0
        while not end:
            for at in brackets.of(texts[-1]):
                if brackets.depth <= 0:
                    end = size + at
                    if brackets.depth < 0 or end >= self._chunk:
                        break
            if not end:
                room.take(texts[-1])
                size += len(texts[-1])
                more = self._body.read(self._chunk)
                if not more:
                    break
                texts.append(more)
        if not end:
            return [], b"".join(texts), False
        ended = brackets.depth < 0
        last = texts.pop()
        rest = last[end - size - ended :]  # the closing bracket of the array stays in the rest
        texts = [b"".join([*texts, last[: len(last) - len(rest)]])]
        require_room(texts[0], "a row")
        self._separators.sort(key=lambda separator: not rest.startswith(separator[1:]))
        return self._rows(texts[0], self._tolerant), rest, ended

    def _late_head(self, buffer: bytes) -> tuple[bytes, bytes]:
        """As `_head`, wherever the array begins, and what was read. The head is empty if there is no such array."""
        while True:
            head = self._head(buffer)
            require_room(buffer, "text around the rows")
            if head:
                self._body.seek(len(head) - len(buffer), os.SEEK_CUR)
                return head, head
            if not (more := self._body.read(max(len(buffer), 1))):
                return b"", buffer
            buffer += more

    def _head(self, buffer: bytes) -> bytes | None:
        """The text up to and with the `[` of the array; None if it does not begin in the buffer."""
        brackets, before = Brackets(), 0
        for at in brackets.of(buffer):
            opened = buffer[at - 1 : at] == b"["
            if self._key is None or brackets.depth < 1 or (brackets.depth == 1 and opened):
                return buffer[:at] if opened and not buffer[: at - 1].strip() and self._key is None else None
            if brackets.depth == 2 and opened and self._is_key(buffer[before : at - 1]):
                return buffer[:at]
            before = at
        return None

    def _is_key(self, text: bytes) -> bool:
        """Whether the text before a bracket ends with the name of the array."""
        names = list(STRING.finditer(text))
        return bool(names) and text[names[-1].end() :].strip() == b":" and bool(loads(names[-1][0]) == self._key)

    def _last(self, head: bytes, rest: bytes) -> Iterator[list[Any]]:
        """The last rows, after the envelope was decoded. `rest` follows the head, or other rows."""
        rows, rest = self._to_the_end(rest) if head else ([], rest)
        text = b"".join((head, _IN_PLACE_OF_ROWS, rest)) if head else rest
        require_room(text, "text around the rows")
        document = loads(text)
        if self._key is not None:
            if not isinstance(document, dict) or self._key not in document:
                raise UnexpectedShape(f"the answer has no {self._key!r}")
            found = document.pop(self._key)
            self.envelope = document
        else:
            found = document
        if not head and found is not None and found != []:
            raise UnexpectedShape(f"a list was expected, not {type(found).__name__}")
        if head and found != [0]:
            raise UnexpectedShape(f"the answer has {self._key!r} twice")
        if rows:
            yield rows

    def _to_the_end(self, rest: bytes) -> tuple[list[Any], bytes]:
        """The rows up to the end of the array, and what follows them from its closing bracket on.

        The end is guessed, and decoding proves it: between the array's brackets are rows and nothing else.
        """
        end = rest.rfind(b"}]") + 1
        if end:
            with suppress(*_WRONG_GUESS):
                return self._rows(rest[:end], self._decode), rest[end:]
        brackets = Brackets()
        for at in brackets.of(rest):
            if brackets.depth < 0:
                end = at - 1
                return self._rows(rest[:end], self._tolerant), rest[end:]
        raise BadDocument("the array of rows does not end")


def _balanced(piece: bytes, separator: bytes, cut: int) -> int | None:
    """The last separator, at `cut` or before it, up to which as many braces are closed as opened."""
    depth = piece.count(b"{", 0, cut) - piece.count(b"}", 0, cut + 1)
    for _ in range(_BOUNDARIES_TRIED):
        if depth == 0:
            return cut
        before = piece.rfind(separator, 0, cut)
        if before < 0:
            return None
        depth -= piece.count(b"{", before, cut) - piece.count(b"}", before + 1, cut + 1)
        cut = before
    return None
