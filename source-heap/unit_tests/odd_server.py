"""A bucket whose answers a test may change, as servers, proxies and caches in between do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulators.heap.s3_server import BucketServer
from simulators.server import Request, Response

#: Gives the answer to send in place of the usual one; None to send the usual one
Odd = Callable[[Request, Response], Response | None]


class OddServer(BucketServer):
    """`odd` is asked about every answer."""

    odd: Odd | None = None

    def __init__(self, **server: Any) -> None:
        super().__init__(**server)
        self.answered = 0

    def answer(self, request: Request) -> Response:
        usual = super().answer(request)
        bent = self.odd(request, usual) if self.odd else None
        self.answered += bent is not None
        return bent or usual


def part(whole: bytes, start: int, end: int, **headers: str) -> Response:
    """A 206 with the bytes from `start` up to `end`; an empty header is dropped."""
    said = {
        "Content-Range": f"bytes {start}-{end - 1}/{len(whole)}",
        **{n.replace("_", "-"): v for n, v in headers.items()},
    }
    return Response(
        206, whole[start:end], "binary/octet-stream", {name: value for name, value in said.items() if value}
    )


def listing(inside: str, truncated: str = "<IsTruncated>false</IsTruncated>") -> Response:
    """A list of S3's with these entries."""
    body = f"<ListBucketResult><Name>b</Name>{truncated}{inside}</ListBucketResult>"
    return Response(200, body.encode(), "application/xml")
