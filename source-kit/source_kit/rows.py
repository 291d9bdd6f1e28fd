"""Pages of rows: cut out of a JSON body in bounded memory, renamed and converted once per shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import orjson

#: Read ahead in pieces of this size; a piece of rows is decoded, handed on and freed before the next.
CHUNK_BYTES = 128 * 1024
_SEPARATORS = (b"},{", b"}, {", b"},\n{", b"},\r\n{")


class BadDocument(Exception):
    """The body is not the JSON that was asked for."""


def loads(text: bytes) -> Any:
    """Decode JSON as fast as can be, and what only the standard library decodes (lone surrogates, NaN, bad UTF-8) too.

    Text that UTF-8 cannot carry is replaced by U+FFFD, because a record that cannot be written is a record lost.
    Raises BadDocument.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document = json.loads(text.decode("utf-8", "replace"), parse_constant=lambda _: None)
            return orjson.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise BadDocument(str(error)) from error


class RowReader:
    """The rows of one array of a JSON document, as lists of dicts, in memory bounded by a piece and not by the page.

    `key` names the array among the members of the top-level object; None means that the document is the array.
    A row boundary (`},{`) is found by guess and proved by decoding: a piece that starts at a row and decodes as a list
    ends at a row, since JSON is read left to right. A wrong guess only makes the piece longer.
    After the last row `envelope` holds the other members of the object. A null array is an empty one.
    """

    def __init__(self, body: IO[bytes], key: str | None, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.envelope: dict[str, Any] = {}
        self._body = body
        self._key = key
        self._chunk = chunk_bytes

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        buffer = self._body.read(self._chunk)
        head = self._head(buffer)
        if head is None:
            yield from self._last(buffer + self._body.read(), b"")
            return
        rest = buffer[len(head) :]
        want = self._chunk
        separator = next((s for s in _SEPARATORS if s in rest), None)
        while separator is not None:
            more = self._body.read(want)
            if not more:
                break
            rest += more
            cut = rest.rfind(separator)
            try:
                rows = orjson.loads(b"[%b]" % rest[: cut + 1]) if cut >= 0 else None
            except orjson.JSONDecodeError:
                rows = None
            if rows is None:
                want *= 2
                continue
            want = self._chunk
            rest = rest[cut + len(separator) - 1 :]
            yield rows
        yield from self._last(rest + self._body.read(), head)

    def _head(self, buffer: bytes) -> bytes | None:
        """The bytes up to and with the `[` of the array, or None where it does not begin in the first piece."""
        if self._key is None:
            start = buffer.find(b"[")
            return buffer[: start + 1] if start >= 0 and not buffer[:start].strip() else None
        name = orjson.dumps(self._key)
        at = buffer.find(name)
        while at >= 0:
            start = buffer.find(b"[", at)
            head = buffer[: start + 1]
            if start >= 0 and head[at + len(name) : start].strip() == b":":
                try:
                    if orjson.loads(head + b"]}")[self._key] == []:
                        return head
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    pass
            at = buffer.find(name, at + 1)
        return None

    def _last(self, rest: bytes, head: bytes) -> Iterator[list[dict[str, Any]]]:
        document = loads(head + rest)
        if self._key is not None:
            if not isinstance(document, dict) or self._key not in document:
                msg = f"the answer has no {self._key!r}"
                raise BadDocument(msg)
            rows = document.pop(self._key)
            self.envelope = document
        else:
            rows = document
        if rows is None:
            return
        if not isinstance(rows, list):
            msg = f"a list was expected, not {type(rows).__name__}"
            raise BadDocument(msg)
        if rows:
            yield rows


class Shaper:
    """Renames the top-level keys of rows and converts some values; the work of a key order is done once.

    `rename` maps a vendor's name to ours; `convert` maps *our* names to functions that never see None. Two names that
    fall together keep the vendor's spelling for the later one, so that no value is lost.
    """

    def __init__(self, rename: Callable[[str], str], convert: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self._rename = rename
        self._convert = dict(convert or {})
        self._plans: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[tuple[str, Callable[[Any], Any]], ...]]] = {}

    def __call__(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        plans = self._plans
        shaped = []
        for row in rows:
            shape = tuple(row)
            plan = plans.get(shape) or self._plan(shape)
            out = dict(zip(plan[0], row.values(), strict=True))
            for name, convert in plan[1]:
                value = out[name]
                if value is not None:
                    out[name] = convert(value)
            shaped.append(out)
        return shaped

    def _plan(self, shape: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[tuple[str, Callable[[Any], Any]], ...]]:
        names: list[str] = []
        for vendor_name in shape:
            name = self._rename(vendor_name)
            names.append(vendor_name if name in names else name)
        plan = (tuple(names), tuple((name, self._convert[name]) for name in names if name in self._convert))
        if len(self._plans) > 10_000:  # free-form rows: do not keep a plan for each
            self._plans.clear()
        self._plans[shape] = plan
        return plan
