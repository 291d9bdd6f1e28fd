"""Lists of S3-compatible servers that differ from those of AWS: a sentence, and never an endless loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from heap_world import Heap, put_event
from odd_server import OddServer, listing
from simulators.server import Response

KEY = "<Key>manifests/sync_1.json</Key>"
TIME = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
ETAG = "<ETag>&quot;1&quot;</ETag>"
MORE = "<IsTruncated>true</IsTruncated>"


@pytest.fixture
def odd() -> Iterator[OddServer]:
    with OddServer() as server:
        put_event(Heap(server), 1, range(3))
        yield server


def bend_lists(odd: OddServer, *answers: Response) -> None:
    """Answers LISTs with these, over and over."""
    odd.odd = lambda request, usual: answers[odd.answered % len(answers)] if "list-type" in request.query else None


@pytest.mark.parametrize("circle", [1, 3])
def test_a_list_that_leads_round_in_a_circle_has_an_end(circle: int, odd: OddServer) -> None:
    pages = [
        listing(f"<Contents>{KEY}{TIME}{ETAG}</Contents>", f"{MORE}<NextContinuationToken>{n}</NextContinuationToken>")
        for n in range(circle)
    ]
    bend_lists(odd, *pages)
    message = Heap(odd).check()["message"]
    assert message.startswith(f"The list of the bucket {odd.bucket} has no end: its pages repeat")
    assert odd.answered == circle + 1


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (listing("", MORE), "says that more follows, but has no NextContinuationToken"),
        (listing(f"<Contents>{KEY}{TIME}</Contents>"), "has an entry without ETag"),
        (listing(f"<Contents>{TIME}{ETAG}</Contents>"), "has an entry without Key"),
        (listing(f"<EncodingType>url</EncodingType><Contents>{TIME}{ETAG}</Contents>"), "has an entry without Key"),
        (listing(f"<Contents>{KEY}{TIME}{ETAG}</Contents>", ""), "does not say whether more follows (IsTruncated)"),
    ],
)
def test_a_list_that_lacks_what_is_needed_says_what(answer: Response, what: str, odd: OddServer) -> None:
    bend_lists(odd, answer)
    message = Heap(odd).check()["message"]
    assert message.startswith(f"The list of the bucket {odd.bucket} {what}, so its manifests cannot be found.")
    assert odd.answered == 1


def test_a_list_without_times_is_read(odd: OddServer) -> None:
    bend_lists(odd, listing(f"<Contents>{KEY}{ETAG}</Contents>"))
    output = Heap(odd).read()
    assert output.last_statuses == {"_heap_dumps": "COMPLETE", "event": "COMPLETE"}
    assert len(output.records["event"]) == 3
    assert [row["manifest_last_modified"] for row in output.records["_heap_dumps"]] == [None]


def test_more_manifests_than_can_be_held_are_said_so(odd: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_heap.bucket.LISTED_MANIFESTS", 10)
    inside = "".join(f"<Contents>{KEY.replace('1', str(n))}{TIME}{ETAG}</Contents>" for n in range(11))
    bend_lists(odd, listing(inside, f"{MORE}<NextContinuationToken>1</NextContinuationToken>"))
    assert Heap(odd).check()["message"].startswith(f"The bucket {odd.bucket} holds more than 10 manifests")


def test_a_page_in_html_is_not_blamed_on_the_network(odd: OddServer) -> None:
    bend_lists(odd, Response(200, b"<html><body>Sign on</body></html>", "text/html"))
    assert Heap(odd).check()["message"].startswith("The server answered with an HTML page while listing the manifests")
