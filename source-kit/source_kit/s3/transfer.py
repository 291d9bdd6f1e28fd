"""Downloads an object, or its first bytes, and checks that every answer holds the bytes that were requested.

Some servers, proxies and caches send the whole object instead of a part, a part instead of the whole, or another part.
Status, `Content-Range`, length and ETag (RFC 9110, section 14) say what an answer holds. An answer that does not fit is
discarded, and the download restarts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from source_kit.disk import no_room
from source_kit.s3.boto import raw_body
from source_kit.s3.errors import REQUEST_ERRORS, code_of
from source_kit.s3.rules import IncompleteAnswer, UnstableObject, WrongPart
from source_kit.s3.session import READ_SECONDS

#: Restarts of one download because its parts did not fit together
RESTARTS = 5
_CHUNK_BYTES = 1024 * 1024
#: A transfer must bring this much within the read timeout. At a lower rate a megabyte would take an hour.
_SLOWEST_BYTES = 16 * 1024
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.ASCII | re.IGNORECASE)

#: `get_object`, called with a key and the arguments for a part of the object
GetObject = Callable[..., Mapping[str, Any]]


class TooSlow(IncompleteAnswer):
    """The transfer is so slow that it would take days, though no single read of it times out."""


class TooLong(Exception):
    """The object has more bytes than the caller accepts."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an answer holds by its headers: bytes `start` to `end` (exclusive) of an object of `total` bytes."""

    start: int
    end: int
    total: int | None
    etag: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Part:
        """Raises IncompleteAnswer if the answer has no length, WrongPart if its headers contradict each other."""
        length, said = answer.get("ContentLength"), answer.get("ContentRange")
        status = (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode")
        if status not in (200, 206):
            raise WrongPart(f"the answer is of status {status}, which holds no object")
        if status != 206 and said is None:
            if not isinstance(length, int):
                raise IncompleteAnswer("the answer does not say its length")
            return cls(0, length, length, answer.get("ETag"))
        found = _CONTENT_RANGE.fullmatch(str(said or "").strip())
        if found is None:
            raise WrongPart("a part of the object came without saying which")
        start, end = int(found[1]), int(found[2]) + 1
        total = None if found[3] == "*" else int(found[3])
        fits = start < end and (total is None or end <= total)
        if not fits or (isinstance(length, int) and length != end - start):
            raise WrongPart(f"the answer says to be {found[0]}, with {length} bytes")
        return cls(start, end, total, answer.get("ETag"))


class Download:
    """The transfer of one object into a file. If the server sends strong ETags, a broken transfer is resumed."""

    def __init__(self, get: GetObject, key: str, file: IO[bytes], limit: int | None = None) -> None:
        self._get = get
        self._key = key
        self._file = file
        self._limit = limit
        self._etag: str | None = None
        self._have = 0
        self._restarts = 0
        self.size: int | None = None

    @property
    def complete(self) -> bool:
        """Whether every byte that the server announced is there, all of one version of the object."""
        return self.size is not None and self._have >= self.size

    @property
    def progress(self) -> str:
        """How far the transfer is, for the log."""
        return f"{self._have} of {self.size} bytes"

    def resume(self) -> None:
        """Reads the next answer. If it breaks, returns when it has brought some bytes, and raises when it has not."""
        before = self._have
        try:
            answer = self._request()
            with closing(raw_body(answer)) as body:
                length = self._accept(answer)
                for chunk in _chunks(body, length, length):
                    self._store(chunk)
        except REQUEST_ERRORS as error:
            if self._have > before and not isinstance(error, TooSlow):
                return
            raise
        if not self.complete and self._have <= before:
            raise IncompleteAnswer("the body ended early")

    def _request(self) -> Mapping[str, Any]:
        arguments = {}
        if self._have and self._etag and not self._etag.startswith("W/"):
            arguments = {"Range": f"bytes={self._have}-", "IfMatch": self._etag}
        elif self._have:
            self._restart()  # without a strong ETag the rest may be of another version
        if self._restarts and self._restarts % 2 == 0 and not self._have:
            arguments = {"Range": "bytes=0-"}  # a cache that holds only a part of the object may forward this
        try:
            return self._get(self._key, **arguments)
        except ClientError as error:
            if code_of(error) in ("PreconditionFailed", "412", "InvalidRange", "416"):
                self._restart()  # the object was replaced by another version
            raise

    def _accept(self, answer: Mapping[str, Any]) -> int:
        """Takes the answer as the next part, or as the first one if it begins like the object; returns its length."""
        try:
            part = Part.of(answer)
            if not (self._have and part.start == self._have and self._is_same_version(part)):
                if self._have:
                    self._restart()
                if part.start or part.total is None:
                    raise WrongPart(f"bytes {part.start}-{part.end - 1} of {part.total} came, which were not asked for")
                if self._limit is not None and part.total > self._limit:
                    raise TooLong
                self._etag, self.size = part.etag, part.total
        except IncompleteAnswer:
            if self._have:
                self._restart()  # this server cannot resume, but it may send the whole object
            raise
        return part.end - part.start

    def _is_same_version(self, part: Part) -> bool:
        within = self.size is not None and part.end <= self.size
        return within and part.etag in (None, self._etag) and part.total in (None, self.size)

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > RESTARTS:
            raise UnstableObject(f"the object was begun anew {RESTARTS} times")
        self._file.seek(0)
        self._file.truncate()
        self._have, self.size, self._etag = 0, None, None

    def _store(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise no_room(error) from error
        self._have += len(chunk)


def first_bytes(get: GetObject, key: str, size: int) -> bytes:
    """The first `size` bytes of an object, or all of a shorter one. No more is read, even if the server sends more."""
    try:
        answer = get(key, Range=f"bytes=0-{size - 1}")
    except ClientError as error:
        if code_of(error) not in ("InvalidRange", "416"):
            raise
        answer = get(key)  # the object is empty, or the server does not support ranges
    with closing(raw_body(answer)) as body:
        part = Part.of(answer)
        wanted = min(size, part.end if part.total is None else part.total)
        if part.start or part.end < wanted:
            raise WrongPart(f"bytes {part.start}-{part.end - 1} of {part.total} came in place of the first {size}")
        data = b"".join(_chunks(body, wanted, part.end))
    if len(data) < wanted:
        raise IncompleteAnswer("the body ended early")
    return data


def _chunks(body: Any, wanted: int, length: int) -> Iterator[bytes]:
    """The first `wanted` bytes of a body of `length` bytes, as they arrive.

    Raises IncompleteAnswer, TooSlow, or WrongPart if more bytes come than announced.
    """
    since, brought, left = time.monotonic(), 0, wanted
    while left or wanted == length:
        chunk = _read(body, min(_CHUNK_BYTES, left) or 1)
        if not chunk:
            return
        if len(chunk) > left:
            raise WrongPart("more bytes came than were announced")
        left -= len(chunk)
        yield chunk
        brought += len(chunk)
        if time.monotonic() - since > READ_SECONDS:
            if brought < _SLOWEST_BYTES:
                raise TooSlow(f"no more than {brought} bytes came within {READ_SECONDS} s")
            since, brought = time.monotonic(), 0


def _read(body: Any, size: int) -> bytes:
    try:
        chunk: bytes = body.read1(size)
    except HTTPError as error:  # botocore translates them only in its own `read`
        raise IncompleteAnswer(str(error)) from error
    return chunk
