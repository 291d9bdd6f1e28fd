"""One call: what is retried, how long, what is raised; an incomplete body is never read."""

from __future__ import annotations

import email.utils
import errno
import gzip
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from simulators.faults import Fault
from simulators.server import Request, Response, Simulator
from source_kit import activity
from source_kit.errors import Action, ErrorRule, ErrorTable
from source_kit.http import body
from source_kit.http.client import Answer, Client, Connection
from source_kit.http.retry import CHECK_RETRY_POLICY, RetryPolicy

ROWS = [{"id": n, "text": "x" * 50} for n in range(2000)]
QUICK = RetryPolicy(tries=3, base_seconds=0.001, cap_seconds=0.002, throttled_seconds=100)


class Forbidden(AirbyteTracedException):
    """An error rule that a stream may catch."""


TABLE = ErrorTable(
    "Acme",
    [
        ErrorRule(403, "First rule.", failure_type=FailureType.config_error, body="plan", raises=Forbidden),
        ErrorRule(403, "Second rule.", failure_type=FailureType.config_error),
        ErrorRule(range(510, 520), "A range.", Action.FAIL),
        ErrorRule(range(300, 400), "Another data center.", body="wrong datacenter"),
        ErrorRule(418, "A teapot.", Action.RETRY, FailureType.transient_error, wait=10.0),
        ErrorRule(None, "Busy.", Action.THROTTLED, FailureType.transient_error, body="slow down"),
    ],
)


class Vendor(Simulator):
    """Answers with `script`, one after another, then with rows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.script: list[Response] = []

    def answer(self, request: Request) -> Response:
        if self.script:
            return self.script.pop(0)
        return Response.json({"results": ROWS, "asked": request.json() if request.body else None})


def client_of(url: str, before_request: Callable[[], None] = lambda: None) -> Client:
    connection = Connection(url, {"x-key": "key-1"}, before_request, connections=4)
    return Client("acme", connection, TABLE, QUICK, 5.0)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running
    assert running.errors == []


@pytest.fixture
def client(vendor: Vendor) -> Client:
    return client_of(vendor.url)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait, which does not happen."""
    asked: list[float] = []
    monkeypatch.setattr(activity.Activities, "wait", lambda _self, seconds, _why: asked.append(seconds))
    return asked


def whole(answer: Answer) -> list[dict[str, Any]]:
    return [row for rows in answer.rows("results") for row in rows]


def error_of(client: Client, path: str = "/rows", **options: Any) -> AirbyteTracedException:
    with pytest.raises(AirbyteTracedException) as caught:
        whole(client.call(path, **options))
    return caught.value


def test_an_answer_is_read_row_by_row_or_whole(client: Client) -> None:
    answer = client.call("/rows", params={"page": 1})
    assert whole(answer) == ROWS
    assert (answer.status, answer.envelope) == (200, {"asked": None})
    assert client.call("/rows").json()["results"] == ROWS


def test_the_key_travels_as_a_header_and_a_body_as_json(vendor: Vendor, client: Client) -> None:
    client.call("/rows", method="POST", json={"a": 1}, params={"q": "x y"}).close()
    request = vendor.requests[0]
    assert (request.method, request.json(), request.query) == ("POST", {"a": 1}, {"q": ["x y"]})
    assert request.headers["x-key"] == "key-1"
    assert "gzip" in request.headers["accept-encoding"]


def test_connections_are_used_again(vendor: Vendor, client: Client) -> None:
    opened = []
    count = vendor._server.process_request  # type: ignore[union-attr]
    vendor._server.process_request = lambda *args: (opened.append(1), count(*args))  # type: ignore[union-attr]
    vendor.script = [Response.json({}), Response.text("busy", 500), Response(body=b"[]")]
    for _ in range(5):
        client.call("/rows").close()
    assert len(vendor.requests) == 6
    assert len(opened) == 1


BROKEN_BODIES = [
    Fault("cut"),
    Fault("cut", at=0),
    Fault("cut_chunked"),
    Fault("cut_chunked", at=0),
    Fault("cut_silent"),
    Fault("reset"),
    Fault("reset", at=100),
    Fault("html"),
    Fault("html", status=502),
    Fault("empty"),
    Fault("empty", status=204),
    Fault("status", status=500, answer="oops"),
    Fault("status", status=408),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN_BODIES, ids=lambda fault: f"{fault.kind}-{fault.at}-{fault.status}")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_fails_once_is_sent_again(vendor: Vendor, client: Client, fault: Fault, method: str) -> None:
    vendor.faults.add(fault)
    assert whole(client.call("/rows", method=method, json={"a": 1} if method == "POST" else None)) == ROWS
    assert len(vendor.requests) == 2
    assert {request.body for request in vendor.requests} == {'{"a": 1}' if method == "POST" else ""}


@pytest.mark.parametrize("end", [b"}", b"},", b"{", b"]", b"[}", b'{"'])
def test_a_body_without_a_length_that_is_cut_is_requested_again_whatever_it_ends_with(
    vendor: Vendor, client: Client, end: bytes
) -> None:
    """Behind the brace of a row, or one in a text, it looks whole from its two ends."""
    rows = [{"lists": [[], {}], "text": '[}{"'}] * 9
    whole_body = Response.json({"results": rows})
    vendor.script = [whole_body, whole_body]
    vendor.faults.add(Fault("cut_silent", at=whole_body.body.index(end, 100) + len(end)))
    assert whole(client.call("/rows")) == rows
    assert len(vendor.requests) == 2


def test_a_whole_body_without_a_length_is_taken(vendor: Vendor, client: Client) -> None:
    vendor.faults.add(Fault("cut_silent", at=10**9))
    assert whole(client.call("/rows")) == ROWS
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("cut", times=-1), TABLE.unreachable),
        (Fault("cut_chunked", times=-1), TABLE.unreachable),
        (Fault("reset", times=-1), TABLE.unreachable),
        (Fault("cut_silent", times=-1), TABLE.not_json),
        (Fault("html", times=-1), TABLE.not_json),
        (Fault("empty", times=-1), TABLE.not_json),
        (Fault("status", status=503, times=-1), "Acme failed with status 503, after several attempts. Run the sync"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_request_that_fails_every_time_is_an_error(
    vendor: Vendor, client: Client, fault: Fault, message: str
) -> None:
    vendor.faults.add(fault)
    error = error_of(client, "/rows?person=jane@example.com")
    assert error.message is not None
    assert error.message.startswith(message)
    assert error.failure_type is FailureType.transient_error
    assert (error.internal_message or "").startswith("GET /rows: ")
    assert "jane" not in (error.internal_message or "") + error.message
    assert len(vendor.requests) == 3


@pytest.mark.parametrize("compressed", [False, True])
def test_bodies_may_be_compressed(compressed: bool) -> None:
    with Vendor(compress=compressed) as vendor:
        assert whole(client_of(vendor.url).call("/rows")) == ROWS


def test_a_compressed_body_that_is_cut_or_broken_is_requested_again(vendor: Vendor, client: Client) -> None:
    body = gzip.compress(orjson.dumps({"results": ROWS}))
    encoded = {"Content-Encoding": "gzip"}
    vendor.script = [Response(body=body[:-300], headers=encoded), Response(body=b"no gzip at all", headers=encoded)]
    assert whole(client.call("/rows")) == ROWS
    assert len(vendor.requests) == 3


@pytest.mark.slow
@pytest.mark.parametrize("compress", [False, True])
def test_a_body_that_drips_reaches_its_deadline(compress: bool) -> None:
    with Vendor(compress=compress) as vendor:
        client = client_of(vendor.url)
        client.read_timeout, client.retry_policy = 0.3, RetryPolicy(tries=1)
        vendor.faults.add(Fault("drip", seconds=0.01))
        assert error_of(client).message == TABLE.timeout


def test_a_server_that_does_not_answer_reaches_its_deadline(vendor: Vendor, client: Client) -> None:
    client.read_timeout = 0.1
    vendor.faults.add(Fault("delay", seconds=30), Fault("drip", seconds=30, at=10))
    assert whole(client.call("/rows")) == ROWS
    assert len(vendor.requests) == 3


def test_a_server_that_is_not_there_is_unreachable(waits: list[float]) -> None:
    error = error_of(client_of("http://127.0.0.1:9"), "/rows?person=jane")
    assert error.message == TABLE.unreachable
    assert "jane" not in str(error.internal_message)
    assert len(waits) == 2


@pytest.mark.parametrize("address", ["no-address", "ftp://example.com", "http://", "http://[::1"])
def test_an_invalid_address_fails_at_once(address: str, waits: list[float]) -> None:
    error = error_of(client_of(address))
    assert error.message == TABLE.bad_address
    assert error.failure_type is FailureType.config_error
    assert waits == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_because_it_would_get_the_key(vendor: Vendor, client: Client, status: int) -> None:
    with Vendor() as elsewhere:
        vendor.script = [Response(status, headers={"Location": f"{elsewhere.url}/rows"})]
        error = error_of(client)
        assert list(elsewhere.requests) == []
    assert error.message == TABLE.redirected
    assert error.failure_type is FailureType.config_error
    assert len(vendor.requests) == 1


def test_cookies_are_not_sent_back(vendor: Vendor, client: Client) -> None:
    vendor.script = [Response(body=b"{}", headers={"Set-Cookie": "session=1; Path=/"})]
    client.call("/rows").close()
    client.call("/rows").close()
    assert "cookie" not in vendor.requests[1].headers


def test_the_first_rule_that_matches_counts(vendor: Vendor, client: Client) -> None:
    vendor.script = [Response.text("not in your PLAN", 403), Response.text("no", 403), Response.text("no", 515)]
    with pytest.raises(Forbidden) as caught:
        client.call("/rows")
    assert caught.value.message == "First rule."
    assert caught.value.internal_message == "GET /rows: status 403: not in your PLAN"
    assert error_of(client).message == "Second rule."
    assert error_of(client).message == "A range."
    assert len(vendor.requests) == 3


def test_a_long_answer_is_shortened_and_quoted_on_one_line(vendor: Vendor, client: Client) -> None:
    vendor.script = [Response.text("line\n" * 100_000, 400)]
    error = error_of(client)
    assert error.message == "Acme refused the request with status 400. See the internal message for its answer."
    assert error.failure_type is FailureType.system_error
    assert len(error.internal_message or "") < 600
    assert "\n" not in (error.internal_message or "")


def test_an_accepted_status_is_an_answer(vendor: Vendor, client: Client) -> None:
    vendor.script = [Response.text("gone", 404)]
    answer = client.call("/rows", accept=(404,))
    assert answer.status == 404
    answer.close()


def too_many(retry_after: str | None) -> Response:
    return Response.text("slow", 429, {} if retry_after is None else {"Retry-After": retry_after})


def in_seconds(seconds: float) -> str:
    return email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        (60, 40, 60),
        (-60, 0.001, 0.01),
        ("0", 0.001, 0.01),
        ("soon", 0.001, 0.01),
        ("\u00b2", 0.001, 0.01),
        (None, 0.001, 0.01),
    ],
)
def test_a_rate_limit_is_waited_out(
    vendor: Vendor, client: Client, waits: list[float], asked: str | int | None, least: float, most: float
) -> None:
    # a number becomes a date that many seconds from now: made at import, it would have passed
    vendor.script = [too_many(in_seconds(asked) if isinstance(asked, int) else asked)]
    assert whole(client.call("/rows")) == ROWS
    (waited,) = waits
    assert least <= waited <= most


def test_rate_limits_are_waited_out_more_often_than_errors_are_retried(
    vendor: Vendor, client: Client, waits: list[float]
) -> None:
    vendor.script = [too_many("5")] * 15 + [Response.text("please slow down", 400)]
    assert whole(client.call("/rows")) == ROWS
    assert waits[:15] == [5.0] * 15


def test_a_rate_limit_that_does_not_end_is_an_error(vendor: Vendor, client: Client, waits: list[float]) -> None:
    vendor.script = [too_many("30")] * 10
    error = error_of(client)
    assert error.message == TABLE.throttled
    assert error.failure_type is FailureType.transient_error
    assert waits == [30.0] * 3


@pytest.mark.parametrize("asked", ["0", None])
def test_a_rate_limit_without_a_time_is_no_tight_loop(
    vendor: Vendor, client: Client, waits: list[float], asked: str | None
) -> None:
    client.retry_policy = RetryPolicy(base_seconds=1.0, cap_seconds=30.0, throttled_seconds=100)
    vendor.script = [too_many(asked)] * 50
    assert error_of(client).message == TABLE.throttled
    assert len(waits) <= 6
    assert all(wait >= 1 for wait in waits)


def test_retry_after_of_a_server_error_is_followed(vendor: Vendor, client: Client, waits: list[float]) -> None:
    unavailable = Response.text("maintenance", 503, {"Retry-After": "60"})
    vendor.script = [unavailable, unavailable]
    assert whole(client.call("/rows")) == ROWS
    assert waits[0] == 60
    assert waits[1] < 1, "the second wait would exceed the limit for all waits"


@pytest.mark.parametrize("answer", [too_many("5"), too_many(None)])
def test_a_check_does_not_wait_for_a_rate_limit(
    vendor: Vendor, client: Client, waits: list[float], answer: Response
) -> None:
    client.retry_policy = CHECK_RETRY_POLICY
    vendor.script = [answer] * 3
    assert error_of(client).message == TABLE.throttled
    assert waits == []


def test_a_rule_may_ask_for_a_wait_of_its_own(vendor: Vendor, client: Client, waits: list[float]) -> None:
    vendor.script = [Response.text("short and stout", 418)]
    assert whole(client.call("/rows")) == ROWS
    assert waits == [10.0]


def test_a_check_retries_once(vendor: Vendor, client: Client, waits: list[float]) -> None:
    client.retry_policy = CHECK_RETRY_POLICY
    vendor.script = [Response.text("no", 500, {"Retry-After": "600"})] * 3
    error_of(client)
    assert len(vendor.requests) == 2
    assert all(wait < 1 for wait in waits)


def test_waits_double_up_to_a_cap(vendor: Vendor, client: Client, waits: list[float]) -> None:
    client.retry_policy = RetryPolicy(tries=8, base_seconds=1, cap_seconds=10)
    vendor.script = [Response.text("no", 500)] * 8
    error_of(client)
    assert [least <= wait <= least * 1.2 for wait, least in zip(waits, (1, 2, 4, 8, 10, 10, 10), strict=True)]


def test_before_request_is_called_before_every_attempt(vendor: Vendor) -> None:
    asked: list[int] = []
    counted = client_of(vendor.url, lambda: asked.append(1))
    vendor.script = [Response.text("no", 500), Response.text("no", 502)]
    counted.call("/rows").close()
    assert len(asked) == 3


BROKEN_BODY = Response(body=b'{"results":[{"id":1},}')


def test_rows_of_a_body_that_breaks_are_requested_again(vendor: Vendor, client: Client) -> None:
    vendor.script = [BROKEN_BODY, BROKEN_BODY]
    restarts: list[int] = []
    rows = [
        row for part in client.rows(lambda: client.call("/rows"), "results", lambda: restarts.append(1)) for row in part
    ]
    assert (rows, len(restarts)) == (ROWS, 2)


def test_rows_of_a_body_that_always_breaks_are_an_error(vendor: Vendor, client: Client) -> None:
    vendor.script = [BROKEN_BODY] * 3
    with pytest.raises(AirbyteTracedException) as caught:
        list(client.rows(lambda: client.call("/rows"), "results", lambda: None))
    assert caught.value.message == TABLE.not_json
    assert len(vendor.requests) == 3


def test_json_of_another_shape_says_what_is_missing(vendor: Vendor, client: Client) -> None:
    vendor.script = [Response.json({"errors": ["no"]})]
    error = error_of(client)
    assert error.message == TABLE.misshapen
    assert error.internal_message == "GET /rows: status 200: the answer has no 'results'"


def test_a_body_that_only_begins_and_ends_like_json_is_an_error(vendor: Vendor, client: Client) -> None:
    vendor.script = [Response(body=b'{"results":[{"id":1},}'), Response(body=b"{not json}")]
    assert error_of(client).message == TABLE.not_json
    with pytest.raises(AirbyteTracedException, match="not JSON"):
        client.call("/rows").json()


class FullDisk(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
    """A disk without room."""

    code = errno.ENOSPC

    def write(self, *args: Any) -> int:
        raise OSError(self.code, "no room")


class NoRoomForTheLastBytes(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
    """Fails when the buffered bytes are written."""

    def seek(self, *args: Any) -> int:
        raise OSError(errno.ENOSPC, "no room")


class ReadOnlyDisk(FullDisk):
    code = errno.EROFS


@pytest.mark.parametrize(
    ("disk", "what"),
    [(FullDisk, "No space is left in"), (NoRoomForTheLastBytes, "No space is left in"), (ReadOnlyDisk, "Nothing can")],
)
def test_a_full_disk_is_named_and_not_retried(
    vendor: Vendor, client: Client, monkeypatch: pytest.MonkeyPatch, disk: Any, what: str
) -> None:
    monkeypatch.setattr(body.tempfile, "SpooledTemporaryFile", disk)
    error = error_of(client)
    assert (error.message or "").startswith(f"{what}")
    assert "temporary directory" in (error.message or "")
    assert error.failure_type is FailureType.config_error
    assert len(vendor.requests) == 1


def test_a_large_body_is_kept_on_disk(vendor: Vendor, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SPOOL_MEMORY_BYTES", 1000)
    answer = client.call("/rows")
    assert answer._spool._rolled  # type: ignore[attr-defined]
    assert whole(answer) == ROWS
    assert answer._spool.closed


def test_an_unfinished_reader_of_rows_closes_its_file(client: Client) -> None:
    answer = client.call("/rows")
    rows = answer.rows("results")
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert answer._spool.closed


def test_the_end_of_a_sync_ends_a_wait(vendor: Vendor, client: Client) -> None:
    activities = activity.Activities()
    activities.stop.set()
    activity.bind(activities)
    try:
        vendor.script = [too_many("50")]
        with pytest.raises(activity.Stopped):
            client.call("/rows")
    finally:
        activity.bind(activity.Activities())


def test_the_cursor_ceiling_follows_the_vendors_clock_if_ours_is_ahead(client: Client) -> None:
    before = datetime.now(UTC)
    ahead = before + timedelta(hours=2)
    assert client.connection.cursor_ceiling(ahead) == ahead  # no answer yet
    client.call("/rows").close()
    assert before - timedelta(seconds=1) <= client.connection.cursor_ceiling(ahead) <= datetime.now(UTC)


@pytest.mark.parametrize("ahead", [timedelta(seconds=50), timedelta(hours=-2)], ids=["within the tolerance", "behind"])
def test_the_cursor_ceiling_follows_our_clock_unless_it_is_clearly_ahead(client: Client, ahead: timedelta) -> None:
    client.call("/rows").close()
    sync_start = datetime.now(UTC) + ahead
    assert client.connection.cursor_ceiling(sync_start) == sync_start


@pytest.mark.slow
def test_a_slow_answer_is_not_taken_for_a_clock_that_is_ahead(
    vendor: Vendor, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("source_kit.http.client.CLOCK_TOLERANCE", timedelta(seconds=1))
    vendor.script = [Response.json({"results": []})]
    vendor.faults.add(Fault("drip", at=12, seconds=0.8))
    sync_start = datetime.now(UTC)
    client.call("/rows").close()
    assert client.connection.cursor_ceiling(sync_start) == sync_start
    assert "clock" not in caplog.text


@pytest.mark.parametrize(
    "date", ["Thu, 01 Jan 1970 00:00:00 GMT", "", "soon", f"Thu, 01 Jan 2026 00:00:00 +{'9' * 20}"]
)
def test_an_incredible_date_header_is_ignored(
    vendor: Vendor, client: Client, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    monkeypatch.setattr(vendor._server.RequestHandlerClass, "date_time_string", lambda *_: date)  # type: ignore[union-attr]
    ahead = datetime.now(UTC) + timedelta(hours=2)
    client.call("/rows").close()
    assert timedelta() <= datetime.now(UTC) - client.connection.cursor_ceiling(ahead) < timedelta(minutes=1)


def test_the_first_date_header_that_is_credible_counts(
    vendor: Vendor, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may answer the first request from its cache, without a date; the vendor answers the others."""
    monkeypatch.setattr("source_kit.http.client.utc_now", lambda: datetime.now(UTC) + timedelta(days=2))
    sync_start = datetime.now(UTC) + timedelta(days=2)
    dates = iter(["", "Thu, 01 Jan 1970 00:00:00 GMT"])
    today = vendor._server.RequestHandlerClass.date_time_string  # type: ignore[union-attr]
    monkeypatch.setattr(
        vendor._server.RequestHandlerClass,  # type: ignore[union-attr]
        "date_time_string",
        lambda handler: next(dates, None) or today(handler),
    )
    for _ in range(3):
        client.call("/rows").close()
    assert abs(client.connection.cursor_ceiling(sync_start) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_body_of_a_redirect_is_for_the_error_table_and_not_for_the_memory(vendor: Vendor, client: Client) -> None:
    body = b"wrong datacenter, see https://elsewhere.example/?token=abc" + b"x" * 50_000_000
    vendor.script = [Response(302, body, headers={"Location": "https://elsewhere.example/?token=abc"})]
    tracemalloc.start()
    try:
        error = error_of(client)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert error.message == "Another data center."
    assert error.internal_message == "GET /rows: status 302: (redirected to elsewhere.example)"


def test_debug_lines_name_requests_and_statuses_but_no_header(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.logger.setLevel("DEBUG")
    with caplog.at_level("DEBUG"):
        client.call("/rows", params={"page": "7"}).close()
    client.logger.setLevel("NOTSET")
    assert all(part in caplog.text for part in ("/rows", "'page': '7'", "status 200"))
    assert "key-1" not in caplog.text


def test_a_clock_that_is_ahead_is_reported_once(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("source_kit.http.client.utc_now", lambda: datetime.now(UTC) + timedelta(days=2))
    with caplog.at_level("WARNING"):
        client.call("/rows").close()
        client.call("/rows").close()
    warnings = [record.message for record in caplog.records if "clock" in record.message]
    assert len(warnings) == 1
    assert "s ahead of Acme" in warnings[0]
    assert "Correct this machine's clock" in warnings[0]


def test_a_request_asks_for_the_usual_encodings_whatever_is_installed(vendor: Vendor, client: Client) -> None:
    """With a library for zstd or Brotli installed, urllib3 would ask for those as well."""
    client.call("/rows").close()
    assert vendor.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/rows", {"none": None, "list": [1, 2], "number": 3, "text": "x y&=+%/?#", "empty": "", "nothing": []}),
        ("/rows", {"é": "日本 ~-._", "&": "\x00\n", "token": "eyJhIjoxfQ=="}),
        ("/rows?known=1", {"other": "2"}),
        ("/a%2Fb/%C3%A9", {}),
        ("/a b/é;c=d,e/./f/../g[1]", None),
    ],
)
def test_an_address_is_written_as_requests_writes_it(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, path: str, params: dict[str, Any] | None
) -> None:
    targets = []
    answer = vendor.answer
    monkeypatch.setattr(vendor, "answer", lambda request: (targets.append(request.target), answer(request))[1])
    client_of(f"{vendor.url}/ü").call(path, params=params).close()
    requests.get(f"{vendor.url}/ü{path}", params=params, timeout=60)
    assert targets[0] == targets[1]


@pytest.mark.parametrize("document", [None, {}, {"a": [1, "é", None, 1.5]}])
def test_a_body_is_sent_as_requests_sends_it(vendor: Vendor, client: Client, document: dict[str, Any] | None) -> None:
    client.call("/rows", method="POST", json=document).close()
    requests.post(f"{vendor.url}/rows", json=document, timeout=60)
    mine, theirs = vendor.requests
    assert mine.body == theirs.body
    for name in ("content-type", "content-length"):
        assert mine.headers.get(name) == theirs.headers.get(name)
