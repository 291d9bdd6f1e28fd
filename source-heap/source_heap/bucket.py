"""The bucket: lists manifests, reads small objects and headers, and brings data files to disk whole.

What is asked of S3 is kept to what a reader needs: LIST with the prefix `manifests/` (a policy may allow just that),
and GET. Nothing else is listed, and the bucket itself is never asked about.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any, TypeVar

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from source_kit import waiting
from source_kit.errors import config_error
from urllib3.exceptions import HTTPError

from source_heap.config import HeapConfig, RoleCredentials
from source_heap.manifest import PREFIX, ManifestObject, dump_id_of
from source_heap.s3_errors import REQUEST_ERRORS, WRONG_REGION, Operation, code_of, failure, heals, rule_for
from source_heap.session import READ_SECONDS, s3_client

logger = logging.getLogger("airbyte")

#: Attempts at one request; a file that goes on arriving may break as often as it likes.
ATTEMPTS = 5
#: For `check`: an answer now is worth more than one that waited.
CHECK_ATTEMPTS = 2
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_CHUNK_BYTES = 1024 * 1024
#: A file of which less than this comes within the read timeout is not waited for: a megabyte would take an hour.
_SLOWEST_BYTES = 16 * 1024
_T = TypeVar("_T")


class CutShort(OSError):
    """An answer that ended early, without an error of the connection.

    The standard library takes a head that breaks off for a whole one, and a body without a length for one that ends
    with its connection, so botocore hands both on as good answers: an empty list, an object of no bytes.
    """


class TooSlow(CutShort):
    """A transfer that brings next to nothing: no read of it times out, and it would not end within the day."""


class Bucket:
    """One bucket, through one client that threads share. Every error leaves by the error table."""

    def __init__(self, config: HeapConfig, attempts: int = ATTEMPTS) -> None:
        self.name = config.bucket
        self._config = config
        self._attempts = attempts
        self._client: Any = None
        self._making = threading.Lock()

    @property
    def client(self) -> Any:
        """The client, made when it is first needed."""
        with self._making:
            if self._client is None:
                try:
                    self._client = s3_client(self._config)
                except ValueError as error:
                    raise _unusable_endpoint(error) from None
                except REQUEST_ERRORS as error:
                    raise failure(Operation.LIST, error, bucket=self.name) from error
            return self._client

    def manifests(self) -> list[ManifestObject]:
        """Every manifest, in the order of the dump ids. Other objects below the prefix are passed over."""
        found: dict[int, ManifestObject] = {}
        token: dict[str, str] = {}
        while True:
            page = self._try(Operation.LIST, PREFIX, self._page(token))
            for item in page.get("Contents", ()):
                dump_id = dump_id_of(item["Key"])
                if dump_id is not None:
                    found[dump_id] = ManifestObject(dump_id, item["Key"], item["ETag"], item["LastModified"])
            if not page.get("IsTruncated"):
                return [found[dump_id] for dump_id in sorted(found)]
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, token: dict[str, str]) -> Callable[[], Any]:
        def page() -> Any:
            answer = self.client.list_objects_v2(Bucket=self.name, Prefix=PREFIX, **token)
            if "IsTruncated" not in answer:  # S3 says it in every list, also in an empty one
                msg = "the list is not whole"
                raise CutShort(msg)
            self._check_region(answer)
            return answer

        return page

    def _check_region(self, answer: Mapping[str, Any]) -> None:
        """Refuses a region that was entered and is not the bucket's, though botocore would find the right one.

        Where none was entered that is what it is for. Servers other than AWS seldom tell a bucket's region.
        """
        found = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
        if self._config.region and found and found != self._config.region:
            raise config_error(WRONG_REGION.format(bucket=self.name, region=f", {found}"))

    def read(self, key: str) -> bytes:
        """A small object, whole."""

        def get() -> bytes:
            return _body(self.client.get_object(Bucket=self.name, Key=key))

        return self._try(Operation.GET, key, get)

    def first_bytes(self, key: str, size: int) -> bytes:
        """The first bytes of an object, fewer where it is shorter."""

        def get() -> bytes:
            try:
                answer = self.client.get_object(Bucket=self.name, Key=key, Range=f"bytes=0-{size - 1}")
            except ClientError as error:
                if code_of(error) in ("InvalidRange", "416"):  # the object is empty
                    return b""
                raise
            return _body(answer)

        return self._try(Operation.GET, key, get)

    def fetch(self, key: str) -> IO[bytes]:
        """Brings an object to disk, whole: its length is that which the server announced, and it is one version of it.

        A transfer that breaks goes on where it broke. The file has no name: it is gone when the caller closes it, and
        also when the process is ended, by whatever.
        """
        try:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        except OSError as error:
            raise _no_room(error) from error
        try:
            download = Download(self, key, file)
            while not download.complete:
                download.resume()
        except BaseException as error:
            with suppress(OSError):  # on a full disk closing writes what was buffered, and fails once more
                file.close()
            if isinstance(error, OSError):
                raise _no_room(error) from error
            raise
        return file

    def _try(self, operation: Operation, key: str, request: Callable[[], _T]) -> _T:
        """A request, again while its errors may heal; once with fresh credentials where those went stale."""
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            try:
                return _readable(request)
            except REQUEST_ERRORS as error:
                if not renewed and self._renew(operation, error):
                    renewed = True
                    continue
                if attempt >= self._attempts or not heals(operation, error):
                    raise failure(operation, error, bucket=self.name, key=key) from error
                wait(attempt, f"S3 failed while {operation.value} {key} ({_brief(error)})")

    def _renew(self, operation: Operation, error: Exception) -> bool:
        """Drops the client where a role's credentials are refused, so that the role is assumed again."""
        if not isinstance(self._config.credentials, RoleCredentials) or not isinstance(error, ClientError):
            return False
        if not rule_for(operation, error).renews:
            return False
        with self._making:
            self._client = None
        return True


class Download:
    """The transfer of one object, over as many answers as it takes."""

    def __init__(self, bucket: Bucket, key: str, file: IO[bytes]) -> None:
        self._bucket = bucket
        self._key = key
        self._file = file
        self._etag: str | None = None
        self._size: int | None = None
        self._have = 0

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return self._size is not None and self._have >= self._size

    def resume(self) -> None:
        """Reads on to the end. Returns early where the connection broke after it brought something."""
        before = self._have

        def get() -> None:
            try:
                for chunk in self._answer():
                    self._store(chunk)
            except REQUEST_ERRORS as error:
                if self._have > before and not isinstance(error, TooSlow):
                    return  # progress: the next answer starts where this one broke
                raise
            if not self.complete and self._have == before:
                msg = "the body ended early"
                raise CutShort(msg)

        self._bucket._try(Operation.GET, self._key, get)
        if not self.complete:
            logger.info(f"{self._key} broke after {self._have} of {self._size} bytes; going on from there")

    def _store(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error
        self._have += len(chunk)

    def _answer(self) -> Iterator[bytes]:
        client = self._bucket.client
        try:
            more = {"Range": f"bytes={self._have}-", "IfMatch": self._etag} if self._have and self._etag else {}
            answer = client.get_object(Bucket=self._bucket.name, Key=self._key, **more)
        except ClientError as error:
            if code_of(error) in ("PreconditionFailed", "412"):
                self._restart()  # another delivery of the file has taken its place
            raise
        if not more:
            self._restart()
            self._etag, self._size = answer.get("ETag"), _length(answer)
        return _pieces(answer["Body"]._raw_stream)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._have, self._size, self._etag = 0, None, None


def _readable(request: Callable[[], _T]) -> _T:
    """What a request gives. A head that breaks off within a value is no broken connection to botocore, but nonsense."""
    try:
        return request()
    except BotoCoreError:
        raise
    except (ResponseParserError, ValueError) as error:
        msg = f"the answer cannot be read: {error}"
        raise CutShort(msg) from error


def _pieces(body: Any) -> Iterator[bytes]:
    """A body as it arrives; a whole chunk would be waited for past any time limit. Raises CutShort or TooSlow."""
    since, brought = time.monotonic(), 0
    while piece := _read(body):
        yield piece
        brought += len(piece)
        if time.monotonic() - since > READ_SECONDS:
            if brought < _SLOWEST_BYTES:
                msg = f"no more than {brought} bytes came within {READ_SECONDS} s"
                raise TooSlow(msg)
            since, brought = time.monotonic(), 0


def _read(body: Any) -> bytes:
    try:
        piece: bytes = body.read1(_CHUNK_BYTES)
    except HTTPError as error:  # botocore translates them where it reads itself
        raise CutShort(str(error)) from error
    return piece


def _length(answer: Mapping[str, Any]) -> int:
    """The announced length of an object. Raises CutShort where there is none to tell a whole object by."""
    length = answer.get("ContentLength")
    if not isinstance(length, int):
        msg = "the answer does not say its length"
        raise CutShort(msg)
    return length


def _body(answer: Mapping[str, Any]) -> bytes:
    """The body of an answer, whole."""
    _length(answer)
    body: bytes = answer["Body"].read()
    return body


def wait(attempt: int, why: str) -> None:
    """The pause behind a failed attempt: half a second, then twice as long each time."""
    seconds = min(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1), _LONGEST_WAIT_SECONDS)
    logger.info(f"{why}; attempt {attempt + 1} follows in {seconds:.1f} s")
    waiting.current().wait(seconds, why)


def _brief(error: Exception) -> str:
    return code_of(error) if isinstance(error, ClientError) else type(error).__name__


def _no_room(error: OSError) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=(
            f"A file of the dump could not be stored in {tempfile.gettempdir()}. Give the connector more space for "
            "temporary files: room for two of the dump's largest files."
        ),
        internal_message=f"{type(error).__name__}: {error.strerror}",
        failure_type=FailureType.system_error,
    )


def _unusable_endpoint(error: ValueError) -> AirbyteTracedException:
    return AirbyteTracedException(
        message="Option endpoint_url or region cannot be used as written. Check them for typing mistakes.",
        internal_message=f"{type(error).__name__}: {error}",
        failure_type=FailureType.config_error,
    )
