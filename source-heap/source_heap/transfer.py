"""One object, or its first bytes, over as many answers as it takes. Every answer must be what was asked for.

Servers, proxies and caches answer a request for a part with the whole object, one for the whole object with a part, or
with another part than the one asked for. What an answer holds stands in its status, `Content-Range`, length and ETag
(RFC 9110, section 14); what does not fit is thrown away, and the object begun anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from source_heap.disk import no_room
from source_heap.limits import RESTARTS
from source_heap.s3_errors import REQUEST_ERRORS, code_of
from source_heap.s3_rules import CutShort, Misplaced, Unsteady
from source_heap.session import READ_SECONDS

_CHUNK_BYTES = 1024 * 1024
#: A file of which less than this comes within the read timeout is not waited for: a megabyte would take an hour.
_SLOWEST_BYTES = 16 * 1024
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.ASCII | re.IGNORECASE)

#: `get_object` for a key, with the arguments that a part needs
Ask = Callable[..., Mapping[str, Any]]


class TooSlow(CutShort):
    """A transfer that brings next to nothing: no read of it times out, and it would not end within the day."""


class TooLong(Exception):
    """The object has more bytes than its reader takes."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an answer says of itself: its body is the bytes from `start` up to `end` of an object of `total` bytes."""

    start: int
    end: int
    total: int | None
    etag: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Part:
        """Raises CutShort for an answer that does not say its length, Misplaced for one that contradicts itself."""
        length, said = answer.get("ContentLength"), answer.get("ContentRange")
        status = (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode")
        if status not in (200, 206):
            msg = f"the answer is of status {status}, which holds no object"
            raise Misplaced(msg)
        if status != 206 and said is None:
            if not isinstance(length, int):
                msg = "the answer does not say its length"
                raise CutShort(msg)
            return cls(0, length, length, answer.get("ETag"))
        found = _CONTENT_RANGE.fullmatch(str(said or "").strip())
        if found is None:
            msg = "a part of the object came without saying which"
            raise Misplaced(msg)
        start, end = int(found[1]), int(found[2]) + 1
        total = None if found[3] == "*" else int(found[3])
        fits = start < end and (total is None or end <= total)
        if not fits or (isinstance(length, int) and length != end - start):
            msg = f"the answer says to be {found[0]}, with {length} bytes"
            raise Misplaced(msg)
        return cls(start, end, total, answer.get("ETag"))


class Download:
    """The transfer of one object into a file. What breaks goes on where it broke, if the server tells versions apart.

    `complete` when every byte that the server announced is there, all of one version.
    """

    def __init__(self, ask: Ask, key: str, file: IO[bytes], limit: int | None = None) -> None:
        self._ask = ask
        self._key = key
        self._file = file
        self._limit = limit
        self._etag: str | None = None
        self._have = 0
        self._restarts = 0
        self.size: int | None = None

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return self.size is not None and self._have >= self.size

    @property
    def progress(self) -> str:
        """How far it is, for the log."""
        return f"{self._have} of {self.size} bytes"

    def resume(self) -> None:
        """Reads on. Returns early where the answer broke off after it brought something; raises where it did not."""
        before = self._have
        try:
            part, body = self._answer()
            try:
                for piece in _pieces(body, part.end - part.start, part.end - part.start):
                    self._store(piece)
            except BaseException:
                body.close()
                raise
        except REQUEST_ERRORS as error:
            if self._have > before and not isinstance(error, TooSlow):
                return  # progress: the next answer starts where this one broke
            raise
        if not self.complete and self._have <= before:
            msg = "the body ended early"
            raise CutShort(msg)

    def _answer(self) -> tuple[Part, Any]:
        """The next answer, whose body begins with the byte that is wanted next."""
        more = {}
        if self._have and self._etag and not self._etag.startswith("W/"):
            more = {"Range": f"bytes={self._have}-", "IfMatch": self._etag}
        elif self._have:
            self._restart()  # nothing tells whether the rest is of the same version
        if self._restarts and self._restarts % 2 == 0 and not self._have:
            more = {"Range": "bytes=0-"}  # a cache that has only a part of the object may pass this on
        try:
            answer = self._ask(self._key, **more)
        except ClientError as error:
            if code_of(error) in ("PreconditionFailed", "412", "InvalidRange", "416"):
                self._restart()  # another delivery of the file has taken its place
            raise
        body = answer["Body"]._raw_stream
        try:
            part = Part.of(answer)
            self._fit(part)
        except BaseException as error:
            body.close()
            if self._have and isinstance(error, CutShort):
                self._restart()  # this server does not know how to go on; all of it may still be had
            raise
        return part, body

    def _fit(self, part: Part) -> None:
        """Takes the answer for the next part or, where it holds the object's beginning, for the first one."""
        if self._have and part.start == self._have and self._is_same(part):
            return
        if self._have:
            self._restart()
        if part.start or part.total is None:
            msg = f"bytes {part.start}-{part.end - 1} of {part.total} came, which were not asked for"
            raise Misplaced(msg)
        if self._limit is not None and part.total > self._limit:
            raise TooLong
        self._etag, self.size = part.etag, part.total

    def _is_same(self, part: Part) -> bool:
        within = self.size is not None and part.end <= self.size
        return within and part.etag in (None, self._etag) and part.total in (None, self.size)

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > RESTARTS:
            msg = f"the object was begun anew {RESTARTS} times"
            raise Unsteady(msg)
        self._file.seek(0)
        self._file.truncate()
        self._have, self.size, self._etag = 0, None, None

    def _store(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            raise no_room(error) from error
        self._have += len(piece)


def first_bytes(ask: Ask, key: str, size: int) -> bytes:
    """The first bytes of an object, fewer where it is shorter. No more is read, also where all of it is sent."""
    try:
        answer = ask(key, Range=f"bytes=0-{size - 1}")
    except ClientError as error:
        if code_of(error) not in ("InvalidRange", "416"):
            raise
        answer = ask(key)  # the object is empty, or the server knows no parts
    body = answer["Body"]._raw_stream
    try:
        part = Part.of(answer)
        wanted = min(size, part.end if part.total is None else part.total)
        if part.start or part.end < wanted:
            msg = f"bytes {part.start}-{part.end - 1} of {part.total} came in place of the first {size}"
            raise Misplaced(msg)
        data = b"".join(_pieces(body, wanted, part.end))
    except BaseException:
        body.close()
        raise
    if len(data) < wanted:
        msg = "the body ended early"
        raise CutShort(msg)
    return data


def _pieces(body: Any, wanted: int, length: int) -> Iterator[bytes]:
    """The first `wanted` bytes of a body of `length` bytes as they arrive; then the connection is closed, or free.

    A whole chunk would be waited for past any time limit. Raises CutShort, TooSlow or, where more comes, Misplaced.
    """
    since, brought, left = time.monotonic(), 0, wanted
    while left or wanted == length:
        piece = _read(body, min(_CHUNK_BYTES, left) or 1)
        if not piece:
            return
        if len(piece) > left:
            msg = "more bytes came than were announced"
            raise Misplaced(msg)
        left -= len(piece)
        yield piece
        brought += len(piece)
        if time.monotonic() - since > READ_SECONDS:
            if brought < _SLOWEST_BYTES:
                msg = f"no more than {brought} bytes came within {READ_SECONDS} s"
                raise TooSlow(msg)
            since, brought = time.monotonic(), 0
    body.close()


def _read(body: Any, size: int) -> bytes:
    try:
        piece: bytes = body.read1(size)
    except HTTPError as error:  # botocore translates them where it reads itself
        raise CutShort(str(error)) from error
    return piece
