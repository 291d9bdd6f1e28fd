"""Faults between the connector and the bucket, and the result of the sync."""

from __future__ import annotations

from typing import Any

import pytest
from heap_world import Heap
from simulators.faults import Fault
from simulators.heap.account import Account, full
from simulators.heap.avro_files import blocks
from simulators.heap.layout import DEFAULT_BUCKET, StoredObject
from simulators.heap.s3_server import BucketServer, error_fault
from simulators.heap.scenarios import scenario
from source_heap.config import HeapConfig
from source_kit.s3.rules import Operation
from source_kit.s3.session import s3_client

CONFIG, TRANSIENT, SYSTEM = "config_error", "transient_error", "system_error"
GET, LIST, ROLE = Operation.GET, Operation.LIST, Operation.ROLE


@pytest.fixture
def filled(heap: Heap) -> Heap:
    """A bucket with one dump."""
    for step in scenario("first_sync", bucket=heap.server.bucket):
        heap.server.apply(step)
    return heap


def test_a_bucket_without_manifests_says_to_wait(heap: Heap) -> None:
    message = heap.check()["message"]
    assert message.startswith(f"There are no manifests in the bucket {heap.server.bucket} yet. Heap writes one when a")
    assert heap.discover().failures[""].message == message


def test_a_wrong_bucket_is_named(filled: Heap) -> None:
    assert filled.check(bucket="heap-rs3-other")["message"] == (
        "There is no bucket named heap-rs3-other. Check option bucket, and endpoint_url if it is set."
    )


def test_a_server_that_is_not_there_is_said_so(filled: Heap) -> None:
    message = filled.check(endpoint_url="http://127.0.0.1:9")["message"]
    assert message.startswith("No server answers at the address for this bucket.")


def test_an_html_page_in_place_of_s3_is_an_error(filled: Heap) -> None:
    filled.server.faults.add(Fault("html", times=-1))
    assert filled.check()["status"] == "FAILED"


def test_the_region_is_found_when_nobody_named_it() -> None:
    with BucketServer(region="eu-central-1") as server:
        heap = Heap(server)
        for step in scenario("first_sync", bucket=server.bucket):
            server.apply(step)
        assert heap.check()["status"] == "SUCCEEDED"
        assert heap.read("users").last_statuses == {"users": "COMPLETE"}


def test_a_region_that_was_entered_wrong_is_refused_with_the_right_one(filled: Heap) -> None:
    assert filled.check(region="us-east-1") == {"status": "SUCCEEDED"}
    with BucketServer(region="eu-central-1") as server:
        for step in scenario("first_sync", bucket=server.bucket):
            server.apply(step)
        assert Heap(server).check(region="us-west-2")["message"] == (
            f"The bucket {server.bucket} is in another region, eu-central-1. Set region to the bucket's, or leave it "
            "empty."
        )


def test_only_manifests_are_listed_and_the_bucket_is_never_asked_about(filled: Heap) -> None:
    filled.check()
    filled.read()
    lists = [request for request in filled.server.requests if "list-type" in request.query]
    assert lists
    assert all(request.query["prefix"] == ["manifests/"] for request in lists)
    assert {request.method for request in filled.server.requests} == {"GET"}


def test_discover_reads_headers_and_never_a_whole_file(filled: Heap) -> None:
    filled.discover()
    asked = [request for request in filled.server.requests if request.path.endswith(".avro")]
    assert asked
    assert all(request.headers["range"] == "bytes=0-16383" for request in asked)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable"])
@pytest.mark.parametrize("path", [r"prefix=manifests", r"sync_100\.json", r"/sessions/"])
def test_what_can_heal_is_tried_again(code: str, path: str, filled: Heap) -> None:
    catalog = filled.discover().streams
    filled.server.faults.add(error_fault(503, code, path, times=3))
    output = filled.read("sessions", catalog=catalog)
    assert output.last_statuses == {"sessions": "COMPLETE"}
    assert len(output.records["sessions"]) == 30


@pytest.mark.slow
@pytest.mark.parametrize("path", [r"sync_100\.json", r"/sessions/"])
def test_an_answer_that_broke_off_within_its_head_is_tried_again(path: str, filled: Heap) -> None:
    catalog = filled.discover().streams
    broken = {"Last-Modified": "Thu, 02 May 2024 0", "ETag": '"1"'}
    filled.server.faults.add(Fault("status", path=path, status=200, headers=broken, answer="", times=2))
    output = filled.read("sessions", catalog=catalog)
    assert output.last_statuses == {"sessions": "COMPLETE"}
    assert len(output.records["sessions"]) == 30


def test_what_does_not_heal_fails_after_five_attempts_and_keeps_the_other_streams(filled: Heap) -> None:
    catalog = filled.discover().streams
    filled.server.faults.add(error_fault(503, "SlowDown", "/sessions/", times=-1))
    output = filled.read("users", "sessions", catalog=catalog)
    assert output.last_statuses == {"users": "COMPLETE", "sessions": "INCOMPLETE"}
    assert output.failures["sessions"].failure_type == TRANSIENT
    assert output.code == 1
    assert len([key for key in filled.files_read("sessions") if "part-00000" in key]) == 5


@pytest.mark.slow
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (403, "InvalidObjectState"), (404, "NoSuchKey")])
def test_what_cannot_heal_fails_at_once(status: int, code: str, filled: Heap) -> None:
    catalog = filled.discover().streams
    filled.server.faults.add(error_fault(status, code, "/users/", times=-1))
    output = filled.read("users", catalog=catalog)
    assert output.failures["users"].failure_type == CONFIG
    assert len(filled.files_read("users")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut", "reset", "drip"])
def test_a_transfer_that_breaks_goes_on_where_it_broke(kind: str, heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_kit.s3.session.READ_SECONDS", 0.3)
    (step,) = scenario("file_for_a_cut_transfer", bucket=heap.server.bucket)
    heap.server.apply(step)
    catalog = heap.discover().streams
    data = next(item.data for item in step.put if item.key.endswith(".avro"))
    # behind a block's end: a reader that trusts the file alone would take it for a whole one
    heap.server.faults.add(Fault(kind, path="/sessions/", at=blocks(data)[5].end, seconds=5, times=1))
    heap.server.faults.add(Fault(kind, path="/sessions/", at=100, seconds=5, times=1))
    output = heap.read("sessions", catalog=catalog)
    assert output.last_statuses == {"sessions": "COMPLETE"}
    assert [row["event_id"] for row in output.records["sessions"]] == [
        row.values["event_id"] for row in step.live["sessions"].rows
    ]
    ranges = [request.headers.get("range") for request in heap.server.requests if "/sessions/" in request.path]
    assert f"bytes={blocks(data)[5].end}-" in ranges


def test_a_file_that_was_replaced_while_it_was_read_is_read_from_its_start(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    first, second = account.dump(100, {"sessions": full(500)}), account.dump(100, {"sessions": full(300)})
    heap.server.put(first.objects())
    catalog = heap.discover().streams
    (key,) = [file.key for file in first.files()]
    other = next(second.files()).data

    class Replaces(Fault):
        """Cuts the first answer and replaces the object behind it."""

        def matches(self, method: str, target: str, body: bytes) -> bool:
            hit = super().matches(method, target, body)
            if hit:
                heap.server.put([StoredObject(key, other)])
            return hit

    heap.server.faults.add(Replaces("cut", path="/sessions/", at=1000, times=1))
    output = heap.read("sessions", catalog=catalog)
    assert output.last_statuses == {"sessions": "COMPLETE"}
    wanted = [row["event_id"] for file in second.files() for row in file.rows]
    assert [row["event_id"] for row in output.records["sessions"]] == wanted


@pytest.mark.slow
@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
def test_a_role_whose_credentials_ran_out_is_assumed_again_in_the_middle_of_a_file(
    code: str, heap: Heap, monkeypatch: pytest.MonkeyPatch
) -> None:
    (step,) = scenario("file_for_a_cut_transfer", bucket=heap.server.bucket)
    heap.server.apply(step)
    catalog = heap.discover().streams
    made: list[HeapConfig] = []

    def client(config: HeapConfig, reader: str, attempts: int) -> Any:
        made.append(config)
        return s3_client(HeapConfig.parse(heap.config()), reader)

    monkeypatch.setattr("source_kit.s3.bucket.s3_client", client)
    heap.server.faults.add(Fault("cut", path="/sessions/", at=1000, times=1))
    heap.server.faults.add(error_fault(400, code, "/sessions/", times=1))
    role = {"auth_type": "role", "account_id": "123456789012", "role_name": "heap-reader", "external_id": "x"}
    output = heap.read("sessions", catalog=catalog, credentials=role)
    assert output.last_statuses == {"sessions": "COMPLETE"}
    assert len(output.records["sessions"]) == 2000
    assert len(made) == 2


def test_a_missing_file_can_be_skipped_and_the_state_moves_on(heap: Heap) -> None:
    for step in scenario("lost_file", bucket=heap.server.bucket)[:2]:
        heap.server.apply(step)
    output = heap.read("sessions", on_missing_file="skip")
    assert output.last_statuses == {"sessions": "COMPLETE"}
    assert output.logged("does not exist and is skipped")
    assert output.states["sessions"][-1]["_heap_dump_id"] == 101


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"_heap_dump_id": "x"}, "cannot be read: its _heap_dump_id is not a whole number. Reset the stream"),
        ({"_heap_dump_id": 100, "bucket": "other"}, "belongs to the bucket other, not to"),
        ({"_heap_dump_id": 999, "bucket": DEFAULT_BUCKET}, "is at dump 999, but the newest dump in the bucket"),
        ({"cursor": 1}, "cannot be read: its _heap_dump_id is not a whole number."),
    ],
)
@pytest.mark.slow
def test_a_state_that_cannot_be_used_says_to_reset_the_stream(state: Any, sentence: str, filled: Heap) -> None:
    output = filled.read("users", state={"users": state})
    assert sentence in output.failures["users"].message
    assert output.failures["users"].failure_type == CONFIG
    assert not output.records


def test_a_state_of_the_cursor_alone_is_taken_at_its_word(filled: Heap) -> None:
    output = filled.read("users", state={"users": {"_heap_dump_id": 100}})
    assert output.last_statuses == {"users": "COMPLETE"}
    assert not output.records
    assert output.states["users"][-1]["bucket"] == DEFAULT_BUCKET
    state = {"_heap_dump_id": 9_999_999}
    for _ in range(2):
        late = filled.read("users", state={"users": state})
        assert late.last_statuses == {"users": "COMPLETE"}
        assert not late.records
        assert late.logged("says that all dumps up to 9999999 are read; the newest one in the bucket is")
        state = late.states["users"][-1]


def test_a_stream_that_no_manifest_names_fails_alone(filled: Heap) -> None:
    catalog = filled.discover().streams
    unknown = {**next(stream for stream in catalog if stream["name"] == "users"), "name": "no_such_table"}
    output = filled.read(catalog=[*catalog, unknown])
    assert output.failures["no_such_table"].message.endswith(
        " contains the table no_such_table. Refresh the schema of the connection, or remove the stream from it."
    )
    again = filled.read("no_such_table", catalog=[unknown], state={"no_such_table": {"_heap_dump_id": 100}})
    assert again.failures["no_such_table"].message == output.failures["no_such_table"].message
    assert output.last_statuses["users"] == "COMPLETE"
    assert output.code == 1
