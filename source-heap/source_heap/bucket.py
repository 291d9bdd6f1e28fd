"""The bucket: lists manifests, reads small objects and headers, and brings data files to disk whole.

What is asked of S3 is kept to what a reader needs: LIST with the prefix `manifests/` (a policy may allow just that),
and GET. Nothing else is listed, and the bucket itself is never asked about.
"""

from __future__ import annotations

import io
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import IO, Any, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from source_kit.errors import config_error
from source_kit.network import warn_of_plain_http

from source_heap.config import HeapConfig, RoleCredentials
from source_heap.disk import no_room
from source_heap.limits import LIST_PAGES, LISTED_MANIFESTS
from source_heap.manifest import PREFIX, ManifestObject, dump_id_of
from source_heap.network import OPTION
from source_heap.retrying import ATTEMPTS, wait
from source_heap.s3_errors import REQUEST_ERRORS, code_of, failure, heals, rule_for
from source_heap.s3_rules import WRONG_REGION, CutShort, NotS3, Operation
from source_heap.session import Access, s3_client
from source_heap.transfer import Download, first_bytes

logger = logging.getLogger("airbyte")

_T = TypeVar("_T")


class Bucket:
    """One bucket, through one client that threads share. Every error leaves by the error table."""

    def __init__(self, config: HeapConfig, attempts: int = ATTEMPTS) -> None:
        self.name = config.bucket
        self._config = config
        self._attempts = attempts
        self._access: Access | None = None
        self._making = threading.Lock()
        warn_of_plain_http(logger, config.endpoint_url or "", OPTION, "signatures")

    @property
    def client(self) -> Any:
        """The client, made when it is first needed."""
        with self._making:
            if self._access is None:
                self._access = s3_client(self._config, self._attempts)
            return self._access.client

    def manifests(self) -> list[ManifestObject]:
        """Every manifest, in the order of the dump ids. Other objects below the prefix are passed over."""
        found: dict[int, ManifestObject] = {}
        token: dict[str, str] = {}
        seen: set[str] = set()
        while True:
            page = self._try(Operation.LIST, PREFIX, self._page(token))
            found.update(_manifests_of(self.name, page.get("Contents", ())))
            if not page["IsTruncated"]:
                return [found[dump_id] for dump_id in sorted(found)]
            following = page.get("NextContinuationToken")
            if not following:
                raise _misshapen_list(self.name, "says that it goes on, but not where (NextContinuationToken)")
            if following in seen or len(seen) >= LIST_PAGES:
                raise _misshapen_list(self.name, "has no end: its pages lead round in a circle")
            if len(found) > LISTED_MANIFESTS:
                raise _too_many_manifests(self.name)
            seen.add(following)
            token = {"ContinuationToken": following}

    def _page(self, token: dict[str, str]) -> Callable[[], Any]:
        def page() -> Any:
            client = self.client
            try:
                answer = client.list_objects_v2(Bucket=self.name, Prefix=PREFIX, **token)
            except KeyError as error:  # botocore decodes every key where the server says that they are encoded
                raise _misshapen_list(self.name, f"has an entry without {error.args[0]}") from error
            if "IsTruncated" not in answer:  # S3 says it in every list, also in an empty one
                if answer.get("Contents"):
                    raise _misshapen_list(self.name, "does not say whether it goes on (IsTruncated)")
                raise _no_answer(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-type", ""))
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

    def read(self, key: str, limit: int) -> bytes:
        """A small object, whole. Raises TooLong for one of more than `limit` bytes."""
        memory = io.BytesIO()
        self._bring(key, memory, limit)
        return memory.getvalue()

    def first_bytes(self, key: str, size: int) -> bytes:
        """The first bytes of an object, fewer where it is shorter."""
        return self._try(Operation.GET, key, lambda: first_bytes(self._object, key, size))

    def fetch(self, key: str) -> IO[bytes]:
        """Brings an object to disk, whole: its length is that which the server announced, and it is one version of it.

        A transfer that breaks goes on where it broke. The file has no name: it is gone when the caller closes it, and
        also when the process is ended, by whatever.
        """
        try:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        except OSError as error:
            raise no_room(error) from error
        try:
            self._bring(key, file)
        except BaseException as error:
            with suppress(OSError):  # on a full disk closing writes what was buffered, and fails once more
                file.close()
            if isinstance(error, OSError):
                raise no_room(error) from error
            raise
        return file

    def _bring(self, key: str, file: IO[bytes], limit: int | None = None) -> None:
        download = Download(self._object, key, file, limit)
        while not download.complete:
            self._try(Operation.GET, key, download.resume)
            if not download.complete:
                logger.info(f"{key} broke after {download.progress}; going on from there")

    def _object(self, key: str, **more: Any) -> Any:
        return self.client.get_object(Bucket=self.name, Key=key, **more)

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
                    source = self._access.source if self._access else ""
                    raise failure(operation, error, bucket=self.name, key=key, source=source) from error
                wait(attempt, f"S3 failed while {operation.value} {key} ({_brief(error)})")

    def _renew(self, operation: Operation, error: Exception) -> bool:
        """Drops the client where a role's credentials are refused, so that the role is assumed again."""
        if not isinstance(self._config.credentials, RoleCredentials) or not isinstance(error, ClientError):
            return False
        if not rule_for(operation, error).renews:
            return False
        with self._making:
            self._access = None
        return True


def _manifests_of(bucket: str, entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, ManifestObject]]:
    """The manifests among the entries of a list."""
    for entry in entries:
        key = entry.get("Key")
        if not isinstance(key, str):
            raise _misshapen_list(bucket, "has an entry without Key")
        dump_id = dump_id_of(key)
        if dump_id is None:
            continue
        if not entry.get("ETag"):  # nothing else tells for certain whether a dump was delivered again
            raise _misshapen_list(bucket, "has an entry without ETag")
        yield dump_id, ManifestObject(dump_id, key, entry["ETag"], entry.get("LastModified"), entry.get("Size"))


def _readable(request: Callable[[], _T]) -> _T:
    """What a request gives. A head that breaks off within a value is no broken connection to botocore, but nonsense."""
    try:
        return request()
    except BotoCoreError:
        raise
    except (ResponseParserError, ValueError) as error:
        raise _no_answer(str(error)) from error


def _no_answer(words: str) -> CutShort:
    """The error for what cannot be read as an answer of S3's: by its type or words a page, else one that was cut."""
    if re.search("html", words, re.IGNORECASE):
        return NotS3("a page in HTML came")
    return CutShort("the answer is not whole")


def _brief(error: Exception) -> str:
    if isinstance(error, ClientError):
        return code_of(error)
    return str(error) if isinstance(error, CutShort) else type(error).__name__


def _misshapen_list(bucket: str, what: str) -> AirbyteTracedException:
    return config_error(
        f"The list of the bucket {bucket} {what}, so its manifests cannot be found. The server does not speak S3's "
        "ListObjectsV2 as AWS does: check endpoint_url, or ask who runs the server for a newer version.",
        f"the list {what}",
    )


def _too_many_manifests(bucket: str) -> AirbyteTracedException:
    return config_error(
        f"The bucket {bucket} holds more than {LISTED_MANIFESTS} manifests, more than this connector keeps in memory. "
        "Move the oldest dumps that a later full export has replaced, with their manifests, out of the bucket."
    )
