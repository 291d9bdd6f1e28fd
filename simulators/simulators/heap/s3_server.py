"""A small S3 server with one bucket, for tests that need speed and faults instead of a real server.

It answers ListObjectsV2 and GetObject (ranges, If-Match, storage classes, wrong region) and checks no signatures. It
stores ten thousand objects at once; a real server needs half a minute for them. Its answers follow AWS's documentation
(certain), and a test compares some of them with Ceph's gateway. The answer to a wrong region is remembered; it is the
one that botocore expects of S3.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from simulators.faults import Fault
from simulators.heap.layout import DEFAULT_BUCKET, StoredObject
from simulators.heap.replay import LiveTable
from simulators.heap.scenarios import Step
from simulators.http_messages import Request, Response, Row
from simulators.server import Simulator

_PAGE = 1_000  # the most keys of a LIST answer, S3's own limit
_FIRST_PUT = datetime(2024, 5, 2, tzinfo=UTC)
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/s3/")


@dataclass(frozen=True)
class _StoredVersion:
    item: StoredObject
    etag: str
    modified: datetime


class BucketServer(Simulator):
    """One bucket on loopback. It is a `Store`. `server.apply(step)` also remembers the live rows of the step."""

    def __init__(self, bucket: str = DEFAULT_BUCKET, *, region: str = "us-east-1", **server: Any) -> None:
        super().__init__(**server)
        self.bucket = bucket
        self.region = region
        self.clock = _FIRST_PUT
        """The time of the last `put`. Each `put` adds an hour and uses it as Last-Modified. A test can set it."""
        self._stored: dict[str, _StoredVersion] = {}
        self._live: dict[str, LiveTable] = {}

    def config(self) -> dict[str, Any]:
        """Any keys will do, but S3 is never asked without."""
        keys = {"auth_type": "keys", "aws_access_key_id": "anything", "aws_secret_access_key": "any-secret"}
        return {"bucket": self.bucket, "endpoint_url": self.url, "credentials": keys}

    def apply(self, step: Step) -> None:
        """Store and delete the objects of a step, and remember its live rows."""
        step.apply(self)
        self._live = dict(step.live)

    def put(self, objects: Iterable[StoredObject]) -> int:
        """Store the objects. All get the same Last-Modified."""
        self.clock += timedelta(hours=1)
        stored = {
            item.key: _StoredVersion(item, hashlib.md5(item.data, usedforsecurity=False).hexdigest(), self.clock)
            for item in objects
        }
        self._stored = {**self._stored, **stored}
        return len(stored)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects with these keys."""
        gone = set(keys)
        self._stored = {key: stored for key, stored in self._stored.items() if key not in gone}

    def truth(self, stream: str, **options: str) -> list[Row]:
        """The live rows of a table, with normalized times and without nulls."""
        return self._live[stream].emitted()

    def answer(self, request: Request) -> Response:
        """Answer ListObjectsV2 and GetObject in path style. Anything else is NotImplemented."""
        bucket, _, key = unquote(request.path.lstrip("/")).partition("/")
        if request.method != "GET":
            return error(501, "NotImplemented", f"{request.method} is not implemented")
        if bucket != self.bucket:
            return error(404, "NoSuchBucket", "The specified bucket does not exist")
        scope = _SCOPE.search(request.headers.get("authorization", ""))
        if scope and scope[1] != self.region:
            message = f"The authorization header is malformed; the region '{scope[1]}' is wrong"
            return error(400, "AuthorizationHeaderMalformed", message, region=self.region)
        return self._get(request, key) if key else self._list(request)

    def _list(self, request: Request) -> Response:
        prefix = request.param("prefix") or ""
        after = request.param("continuation-token") or request.param("start-after") or ""
        limit = min(int(request.param("max-keys") or _PAGE), _PAGE)
        keys = sorted((key for key in self._stored if key.startswith(prefix)), key=str.encode)
        rest = [key for key in keys if key.encode() > after.encode()]
        page = rest[:limit]
        encoded = quote if request.param("encoding-type") == "url" else escape
        contents = "".join(self._entry(key, encoded(key)) for key in page)
        more = len(rest) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return _xml(
            f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{self.bucket}</Name>'
            f"<Prefix>{encoded(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>{limit}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>",
            headers={"x-amz-bucket-region": self.region},
        )

    def _entry(self, key: str, encoded: str) -> str:
        stored = self._stored[key]
        return (
            f"<Contents><Key>{encoded}</Key><LastModified>{stored.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{len(stored.item.data)}</Size>"
            f"<StorageClass>{stored.item.storage_class or 'STANDARD'}</StorageClass></Contents>"
        )

    def _get(self, request: Request, key: str) -> Response:
        stored = self._stored.get(key)
        if stored is None:
            return error(404, "NoSuchKey", "The specified key does not exist.")
        if stored.item.storage_class == "GLACIER":
            return error(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
        if request.headers.get("if-match", stored.etag).strip('"') != stored.etag:
            return error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        headers = {
            "ETag": f'"{stored.etag}"',
            "Last-Modified": format_datetime(stored.modified, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        if wanted is None or wanted[0] == "bytes=-":
            return Response(200, stored.item.data, "binary/octet-stream", headers)
        return _part(stored.item.data, wanted, headers)


class S3Proxy(Simulator):
    """Forwards each request to a real S3 server with its signature, and applies `faults`."""

    def __init__(self, upstream: str, **server: Any) -> None:
        super().__init__(**server)
        self.upstream = urlsplit(upstream).netloc

    def answer(self, request: Request) -> Response:
        """The answer of the real server."""
        connection = HTTPConnection(self.upstream, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name not in ("connection", "expect")}
            connection.request(request.method, request.target, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS}
        content_type = answer.headers.get("Content-Type", "application/xml")
        return Response(answer.status, body, content_type, kept, answer.reason)


_OWN_HEADERS = frozenset({"content-length", "content-type", "transfer-encoding", "connection", "date", "server"})


def error(status: int, code: str, message: str, region: str | None = None) -> Response:
    """An error answer of S3. `region` is the region of the bucket, for the error about a wrong region."""
    hint = f"<Region>{region}</Region>" if region else ""
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{hint}<RequestId>0</RequestId></Error>"
    return _xml(body, status, {"x-amz-bucket-region": region} if region else {})


def error_fault(status: int, code: str, path: str = "", *, times: int = 1, skip: int = 0) -> Fault:
    """A fault that answers as S3 does: `SlowDown` 503, `ExpiredToken` 400, `AccessDenied` 403, `InternalError` 500."""
    answer = error(status, code, "on purpose")
    return Fault("status", path=path, status=status, answer=answer.body.decode(), times=times, skip=skip)


def _part(data: bytes, wanted: re.Match[str], headers: dict[str, str]) -> Response:
    if wanted[1]:
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
    else:
        first, last = max(0, len(data) - int(wanted[2])), len(data) - 1
    if first > last:
        return error(416, "InvalidRange", "The requested range is not satisfiable")
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(206, data[first : last + 1], "binary/octet-stream", headers)


def _xml(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(status, (_XML + body).encode(), "application/xml", headers or {})
