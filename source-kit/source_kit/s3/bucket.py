"""Reads one bucket: lists objects, reads small ones and first bytes, downloads large ones whole.

It needs two rights only: LIST with the prefixes that it is asked for (a policy may allow just these) and GET. It asks
nothing about the bucket itself.
"""

from __future__ import annotations

import io
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, Any, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError

from source_kit.disk import no_room
from source_kit.errors import config_error
from source_kit.network import warn_of_plain_http
from source_kit.s3.errors import NEUTRAL, OPTION, REQUEST_ERRORS, failure, rule_for
from source_kit.s3.options import BucketAccess, RoleCredentials
from source_kit.s3.retrying import ATTEMPTS, retried
from source_kit.s3.rules import WRONG_REGION, HtmlAnswer, IncompleteAnswer, Operation, Wording
from source_kit.s3.session import Access, s3_client
from source_kit.s3.transfer import Download, first_bytes

logger = logging.getLogger("airbyte")

#: Pages of a list: ten million objects at S3's 1,000 per page
LIST_PAGES = 10_000

_T = TypeVar("_T")


class Bucket:
    """One bucket. Threads share its client. Every error is one of the error table, in the words of `wording`.

    `reader` names the connector to AWS: `airbyte-source-heap`.
    """

    def __init__(self, config: BucketAccess, reader: str, wording: Wording = NEUTRAL, attempts: int = ATTEMPTS) -> None:
        self.name = config.bucket
        self._config = config
        self._reader = reader
        self._wording = wording
        self.attempts = attempts
        self._access: Access | None = None
        self._access_lock = threading.Lock()
        warn_of_plain_http(logger, config.endpoint_url or "", OPTION, "signatures")

    @property
    def client(self) -> Any:
        """The client, made at its first use."""
        with self._access_lock:
            if self._access is None:
                self._access = s3_client(self._config, self._reader, self.attempts)
            return self._access.client

    def close(self) -> None:
        """Closes the connections. They are made again where they are needed."""
        with self._access_lock:
            access, self._access = self._access, None
        if access is not None:
            access.client.close()

    def pages(self, prefix: str, behind: str = "") -> Iterator[Sequence[Mapping[str, Any]]]:
        """What is below a prefix, or behind a key there, page by page. Every entry has a `Key`.

        AWS sorts by the bytes of the keys (but not in directory buckets, and other servers may not).
        """
        token = {"StartAfter": behind} if behind else {}
        seen: set[str] = set()
        while True:
            page = self._page(prefix, token)
            yield page.get("Contents", ())
            if not page["IsTruncated"]:
                return
            following = page.get("NextContinuationToken")
            if not following:
                raise self.bad_list("says that more follows, but has no NextContinuationToken")
            if following in seen or len(seen) >= LIST_PAGES:
                raise self.bad_list("has no end: its pages repeat")
            seen.add(following)
            token = {"ContinuationToken": following}

    def next_key(self, prefix: str, behind: str) -> str | None:
        """The first key below a prefix that comes behind another; None if there is none."""
        entries = self._page(prefix, {"StartAfter": behind, "MaxKeys": 1}).get("Contents", ())
        return str(entries[0]["Key"]) if entries else None

    def _page(self, prefix: str, more: Mapping[str, Any]) -> Any:
        page = self._retried(Operation.LIST, prefix, partial(self._list, prefix, more))
        entries = page.get("Contents", ())
        if not all(isinstance(entry.get("Key"), str) for entry in entries):
            raise self.bad_list("has an entry without Key")
        if entries and entries[0]["Key"] <= more.get("StartAfter", ""):
            raise self.bad_list("does not begin where it should (StartAfter)")
        return page

    def _list(self, prefix: str, more: Mapping[str, Any]) -> Any:
        client = self.client
        try:
            answer = client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)
        except KeyError as error:  # botocore decodes the key of every entry if the server encodes keys
            raise self.bad_list(f"has an entry without {error.args[0]}") from error
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        if "IsTruncated" not in answer:  # S3 sends it in every list, also in an empty one
            if answer.get("Contents"):
                raise self.bad_list("does not say whether more follows (IsTruncated)")
            raise _not_s3(headers.get("content-type", ""))
        region = headers.get("x-amz-bucket-region")  # servers other than AWS seldom send it
        if self._config.region and region and region != self._config.region:  # botocore would find the right one
            raise config_error(WRONG_REGION.format(bucket=self.name, region=f", {region}"))
        return answer

    def bad_list(self, what: str) -> AirbyteTracedException:
        """The error for a list that does not serve."""
        return config_error(
            f"The list of the bucket {self.name} {what}, so its {self._wording.objects} cannot be found. The server "
            "does not speak S3's ListObjectsV2 as AWS does: check endpoint_url, or ask who runs the server for a "
            "newer version.",
            f"the list {what}",
        )

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
        what = f"{self._wording.doing(operation).capitalize()} ({key})"
        try:
            return retried(partial(_parsed, request), operation, self.attempts, what, partial(self._renew, operation))
        except REQUEST_ERRORS as error:
            source = self._access.source if self._access else ""
            raise failure(operation, error, bucket=self.name, key=key, source=source, wording=self._wording) from error

    def _renew(self, operation: Operation, error: Exception) -> bool:
        """Drops the client if the credentials of a role were refused, so that the role is assumed again."""
        if not isinstance(self._config.credentials, RoleCredentials) or not rule_for(operation, error).renews:
            return False
        with self._access_lock:
            self._access = None
        return True


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
