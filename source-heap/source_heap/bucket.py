"""Reads one bucket: lists manifests, reads small objects and headers, downloads data files whole.

It needs two rights only: LIST with the prefix `manifests/` (a policy may allow just that) and GET. It lists nothing
else and asks nothing about the bucket itself.
"""

from __future__ import annotations

import io
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError
from source_kit.disk import no_room
from source_kit.errors import config_error
from source_kit.network import warn_of_plain_http

from source_heap.config import HeapConfig, RoleCredentials
from source_heap.limits import LIST_PAGES, LISTED_MANIFESTS
from source_heap.manifest import PREFIX, ManifestObject, dump_id_of
from source_heap.retrying import ATTEMPTS, retried
from source_heap.s3_errors import OPTION, REQUEST_ERRORS, failure, rule_for
from source_heap.s3_rules import WRONG_REGION, HtmlAnswer, IncompleteAnswer, Operation
from source_heap.session import Access, s3_client
from source_heap.transfer import Download, first_bytes

logger = logging.getLogger("airbyte")

_T = TypeVar("_T")


class Bucket:
    """One bucket. Threads share its client. Every error is one of the error table."""

    def __init__(self, config: HeapConfig, attempts: int = ATTEMPTS) -> None:
        self.name = config.bucket
        self._config = config
        self._attempts = attempts
        self._access: Access | None = None
        self._access_lock = threading.Lock()
        warn_of_plain_http(logger, config.endpoint_url or "", OPTION, "signatures")

    @property
    def client(self) -> Any:
        """The client, made at its first use."""
        with self._access_lock:
            if self._access is None:
                self._access = s3_client(self._config, self._attempts)
            return self._access.client

    def manifests(self) -> list[ManifestObject]:
        """Every manifest, ordered by dump id. Other objects with the prefix are ignored."""
        found: dict[int, ManifestObject] = {}
        token: dict[str, str] = {}
        seen: set[str] = set()
        while True:
            page = self._retried(Operation.LIST, PREFIX, partial(self._page, token))
            found.update(_manifests_of(self.name, page.get("Contents", ())))
            if not page["IsTruncated"]:
                return [found[dump_id] for dump_id in sorted(found)]
            following = page.get("NextContinuationToken")
            if not following:
                raise _bad_list(self.name, "says that more follows, but has no NextContinuationToken")
            if following in seen or len(seen) >= LIST_PAGES:
                raise _bad_list(self.name, "has no end: its pages repeat")
            if len(found) > LISTED_MANIFESTS:
                raise config_error(
                    f"The bucket {self.name} holds more than {LISTED_MANIFESTS} manifests, more than this connector "
                    "keeps in memory. Move the oldest dumps that a later full export has replaced, with their "
                    "manifests, out of the bucket."
                )
            seen.add(following)
            token = {"ContinuationToken": following}

    def _page(self, token: dict[str, str]) -> Any:
        client = self.client
        try:
            answer = client.list_objects_v2(Bucket=self.name, Prefix=PREFIX, **token)
        except KeyError as error:  # botocore decodes the key of every entry if the server encodes keys
            raise _bad_list(self.name, f"has an entry without {error.args[0]}") from error
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        if "IsTruncated" not in answer:  # S3 sends it in every list, also in an empty one
            if answer.get("Contents"):
                raise _bad_list(self.name, "does not say whether more follows (IsTruncated)")
            raise _not_s3(headers.get("content-type", ""))
        region = headers.get("x-amz-bucket-region")  # servers other than AWS seldom send it
        if self._config.region and region and region != self._config.region:  # botocore would find the right one
            raise config_error(WRONG_REGION.format(bucket=self.name, region=f", {region}"))
        return answer

    def read(self, key: str, limit: int) -> bytes:
        """A small object. Raises TooLong if it has more than `limit` bytes."""
        memory = io.BytesIO()
        self._download(key, memory, limit)
        return memory.getvalue()

    def first_bytes(self, key: str, size: int) -> bytes:
        """The first `size` bytes of an object, or all of a shorter one."""
        return self._retried(Operation.GET, key, lambda: first_bytes(self._get_object, key, size))

    def fetch(self, key: str) -> IO[bytes]:
        """Downloads an object to disk: all the bytes that the server announced, all of one version.

        A broken transfer is resumed. The file has no name, so it vanishes when it is closed or the process ends.
        """
        try:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        except OSError as error:
            raise no_room(error) from error
        try:
            self._download(key, file)
        except BaseException as error:
            with suppress(OSError):  # on a full disk closing fails once more, at writing the buffer
                file.close()
            if isinstance(error, OSError):
                raise no_room(error) from error
            raise
        return file

    def _download(self, key: str, file: IO[bytes], limit: int | None = None) -> None:
        download = Download(self._get_object, key, file, limit)
        while not download.complete:
            self._retried(Operation.GET, key, download.resume)
            if not download.complete:
                logger.info(f"The transfer of {key} broke after {download.progress}; it is resumed there")

    def _get_object(self, key: str, **arguments: Any) -> Any:
        return self.client.get_object(Bucket=self.name, Key=key, **arguments)

    def _retried(self, operation: Operation, key: str, request: Callable[[], _T]) -> _T:
        """A request, retried while its errors may heal, and once with fresh credentials if they were refused."""
        what = f"{operation.value.capitalize()} ({key})"
        try:
            return retried(partial(_parsed, request), operation, self._attempts, what, partial(self._renew, operation))
        except REQUEST_ERRORS as error:
            source = self._access.source if self._access else ""
            raise failure(operation, error, bucket=self.name, key=key, source=source) from error

    def _renew(self, operation: Operation, error: Exception) -> bool:
        """Drops the client if the credentials of a role were refused, so that the role is assumed again."""
        if not isinstance(self._config.credentials, RoleCredentials) or not rule_for(operation, error).renews:
            return False
        with self._access_lock:
            self._access = None
        return True


def _manifests_of(bucket: str, entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, ManifestObject]]:
    for entry in entries:
        key = entry.get("Key")
        if not isinstance(key, str):
            raise _bad_list(bucket, "has an entry without Key")
        dump_id = dump_id_of(key)
        if dump_id is None:
            continue
        if not entry.get("ETag"):  # only the ETag shows for certain that a dump was delivered again
            raise _bad_list(bucket, "has an entry without ETag")
        yield dump_id, ManifestObject(dump_id, key, entry["ETag"], entry.get("LastModified"), entry.get("Size"))


def _parsed(request: Callable[[], _T]) -> _T:
    """The result of a request. botocore calls a response whose headers end within a value a parse error: it is cut."""
    try:
        return request()
    except BotoCoreError:
        raise
    except (ResponseParserError, ValueError) as error:
        raise _not_s3(str(error)) from error


def _not_s3(text: str) -> IncompleteAnswer:
    """The error for an unreadable answer: an HTML page if its type or text says so, otherwise a cut answer."""
    if re.search("html", text, re.IGNORECASE):
        return HtmlAnswer("an HTML page came")
    return IncompleteAnswer("the answer is incomplete")


def _bad_list(bucket: str, what: str) -> AirbyteTracedException:
    return config_error(
        f"The list of the bucket {bucket} {what}, so its manifests cannot be found. The server does not speak S3's "
        "ListObjectsV2 as AWS does: check endpoint_url, or ask who runs the server for a newer version.",
        f"the list {what}",
    )
