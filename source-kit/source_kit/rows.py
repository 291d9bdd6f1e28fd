"""Pages of rows: cut out of a JSON body in bounded memory, renamed and converted once per shape."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

import orjson

#: Read ahead in pieces of this size; a piece of rows is decoded, handed on and freed before the next.
CHUNK_BYTES = 128 * 1024
_SEPARATORS = (b"},{", b"}, {", b"},\n{", b"},\r\n{")


#: Compiled key orders that are kept; free-form rows could have one each.
_PLANS_KEPT = 2_000
#: Row boundaries tried in a piece, from its end, before more is read.
_BOUNDARIES_TRIED = 5_000


class BadDocument(Exception):
    """The body is not JSON."""


class UnexpectedShape(BadDocument):
    """The body is JSON, but not of the shape that was asked for."""


def loads(text: bytes) -> Any:
    """Decode JSON as fast as can be, and what only the standard library decodes (lone surrogates, NaN, bad UTF-8) too.

    Text that UTF-8 cannot carry is replaced by U+FFFD and a number that JSON cannot by null, because a record that
    cannot be written is a record lost. Integers beyond 64 bits become floats. Raises BadDocument.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document = json.loads(
                text.decode("utf-8", "replace"), parse_constant=lambda _: None, parse_float=_finite_or_none
            )
            return orjson.loads(to_utf8(json.dumps(document, ensure_ascii=False)))
        except (ValueError, RecursionError) as error:
            raise BadDocument(str(error)) from error


def _finite_or_none(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def to_utf8(text: str) -> bytes:
    """UTF-8 of any text; a lone surrogate, which UTF-8 cannot carry, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


class RowReader:
    """The rows of one array of a JSON document, as lists of dicts, in memory bounded by a piece and not by the page.

    `key` names the array among the members of the top-level object; None means that the document is the array.
    A row boundary is guessed and proved by decoding: a piece that starts at a row and decodes as a list ends at a row,
    since JSON is read left to right. The guess is the last `},{` of a piece, or else the last before which as many
    braces were closed as opened, so that objects inside of rows do not mislead it; braces inside of strings may. A
    wrong guess only makes the piece longer.
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
        separators = list(_SEPARATORS)
        while more := self._body.read(want):
            rest += more
            want *= 2
            for cut, separator, decode in _boundaries(rest, separators):
                try:
                    rows = decode(b"[%b]" % rest[: cut + 1])
                except (orjson.JSONDecodeError, BadDocument):
                    continue
                rest, want = rest[cut + len(separator) - 1 :], self._chunk
                separators.sort(key=separator.__ne__)  # what separated these rows is tried first for the next
                yield rows
                break
        yield from self._last(rest, head)

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
                raise UnexpectedShape(msg)
            rows = document.pop(self._key)
            self.envelope = document
        else:
            rows = document
        if rows is None:
            return
        if not isinstance(rows, list):
            msg = f"a list was expected, not {type(rows).__name__}"
            raise UnexpectedShape(msg)
        if rows:
            yield rows


def _boundaries(piece: bytes, separators: list[bytes]) -> Iterator[tuple[int, bytes, Callable[[bytes], Any]]]:
    """Where the last whole row of a piece that starts at a row may end, and the decoder that proves it.

    The last `},{` is right where rows hold no lists of objects, and costs nothing to find. Where it is wrong, braces
    are counted.
    """
    for separator in separators:
        last = piece.rfind(separator)
        if last >= 0:
            yield last, separator, orjson.loads
            balanced = _balanced(piece, separator, last)
            if balanced is not None:
                yield balanced, separator, loads


def _balanced(piece: bytes, separator: bytes, cut: int) -> int | None:
    """The last separator, at `cut` or before it, up to which as many braces were closed as opened."""
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


class Shaper:
    """Renames the top-level keys of rows and converts some values; the work of a key order is done once.

    `rename` maps a vendor's name to ours; `convert` maps *our* names to functions that never see None. Two names that
    fall together lose no value: the one that is spelled our way already has the name, the other keeps the vendor's.

    A key order is compiled to a function of its values, which is a third faster than renaming key by key.
    """

    def __init__(self, rename: Callable[[str], str], convert: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self._rename = rename
        self._convert = dict(convert or {})
        self._plans: dict[tuple[str, ...], Callable[[Iterable[Any]], dict[str, Any]]] = {}

    def __call__(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows under our names, in the order in which they came."""
        plans = self._plans
        shaped = []
        last: tuple[str, ...] | None = None
        plan: Callable[[Iterable[Any]], dict[str, Any]] = dict
        for row in rows:
            shape = tuple(row)
            if shape != last:
                plan, last = plans.get(shape) or self._plan(shape), shape
            shaped.append(plan(row.values()))
        return shaped

    def _plan(self, shape: tuple[str, ...]) -> Callable[[Iterable[Any]], dict[str, Any]]:
        if len(self._plans) > _PLANS_KEPT:
            self._plans.clear()
        plan = self._plans[shape] = _compiled(self._names(shape), self._convert)
        return plan

    def _names(self, shape: tuple[str, ...]) -> list[str]:
        ours = {name: self._rename(name) for name in shape}
        unchanged = {name for name, our in ours.items() if our == name}
        names: list[str] = []
        for vendor_name, our in ours.items():
            name = our
            if our != vendor_name and (our in unchanged or our in names):
                name = vendor_name
            while name in names:
                name += "_"
            names.append(name)
        return names


def _compiled(
    names: list[str], convert: Mapping[str, Callable[[Any], Any]]
) -> Callable[[Iterable[Any]], dict[str, Any]]:
    """A function from the values of a row to the row under `names`. Names get into its source as literals only."""
    values = [f"v{index}" for index in range(len(names))]
    converters = {f"c{index}": convert[name] for index, name in enumerate(names) if name in convert}
    members = [
        f"{name!r}: {value} if {value} is None else c{index}({value})" if name in convert else f"{name!r}: {value}"
        for index, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    source = f"def row(values):\n    [{', '.join(values)}] = values\n    return {{{', '.join(members)}}}"
    made: dict[str, Any] = dict(converters)
    exec(source, made)  # noqa: S102 - of literals and numbered variables
    row: Callable[[Iterable[Any]], dict[str, Any]] = made["row"]
    return row
