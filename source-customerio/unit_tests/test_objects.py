"""Objects and the people who belong to them: one search for each type, one request for each object."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from simulators.customerio.build_objects import DISABLED_TYPE, EMPTY_TYPE, NUMERIC_LOOKING_OBJECT
from simulators.server import Fault
from test_kit.catalogs import Row

if TYPE_CHECKING:
    from conftest import Workspace

BOTH = ("objects", "object_relationships")
OBJECTS = 12


def by_key(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["object_type_id"], row["cio_object_id"], row.get("cio_id")))


def assert_whole(workspace: Workspace, records: dict[str, list[Row]], *streams: str) -> None:
    for stream in streams:
        assert by_key(records[stream]) == by_key(workspace.truth(stream)), stream


def searches(workspace: Workspace) -> list[tuple[str, str]]:
    """The type and the fields of each search, pages of one search once."""
    bodies = [json.dumps(request.json()) for request in workspace.requests_to("objects")]
    found = []
    for body in map(json.loads, dict.fromkeys(bodies)):
        fields = [leaf["object_attribute"]["field"] for leaves in body["filter"].values() for leaf in leaves]
        found.append((body["object_type_id"], " ".join(fields)))
    return found


def asked(workspace: Workspace, part: str) -> list[str]:
    return [request.path for request in workspace.simulator.requests if request.path.endswith(f"/{part}")]


def find(workspace: Workspace, *identifiers: Any) -> None:
    """From now on every search finds these objects."""
    answer = json.dumps({"identifiers": identifiers, "next": ""})
    workspace.simulator.faults.add(Fault("status", path=r"/objects(\?|$)", status=200, answer=answer, times=-1))


def test_all_objects_and_relationships_arrive_and_share_the_list_of_types_and_the_searches(
    workspace: Workspace,
) -> None:
    synced = workspace.sync("object_relationships", "objects", "types")
    assert synced.failures == {}
    assert_whole(workspace, synced.records, *BOTH)
    assert len(workspace.requests_to("object_types")) == 1
    either = "cio_object_id object_id"
    assert searches(workspace) == [
        ("1", either),
        (DISABLED_TYPE, either),
        *[(EMPTY_TYPE, fields) for fields in (either, "cio_object_id", "object_id")],
    ]
    assert len(asked(workspace, "attributes")) == len(asked(workspace, "relationships")) == OBJECTS
    assert len(workspace.simulator.requests) == 1 + 5 + 2 * OBJECTS
    assert NUMERIC_LOOKING_OBJECT in synced.column("objects", "cio_object_id")


@pytest.mark.slow
@pytest.mark.parametrize("stream", BOTH)
def test_each_reads_alone_what_it_needs(workspace: Workspace, stream: str) -> None:
    workspace.simulator.options.page_caps = {"objects": 3, "cio_relationships": 4}
    synced = workspace.sync(stream)
    assert_whole(workspace, synced.records, stream)
    assert len(workspace.requests_to("object_types")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("field", ["object_id", "cio_object_id"])
@pytest.mark.parametrize("has_or", [True, False])
def test_whichever_field_every_object_has_none_is_lost(workspace: Workspace, field: str, has_or: bool) -> None:
    """Nor does it matter whether the filter knows `or`."""
    workspace.simulator.mutate("object_field", field=field)
    workspace.simulator.options.object_search_or = has_or
    synced = workspace.sync(*BOTH)
    assert synced.failures == {}
    assert_whole(workspace, synced.records, *BOTH)
    assert len(asked(workspace, "attributes")) == OBJECTS
    lacking = field == "cio_object_id"
    assert bool(synced.logged("Stream objects: 10 objects of type 1, of which 4 have no object_id")) is lacking
    alone = {True: "; by cio_object_id alone it found 10 more", False: "; by object_id alone it found 10 more"}[lacking]
    refused = "Stream objects: the search for objects of type 1 that have either id was refused"
    assert bool(synced.logged(refused)) is not has_or
    assert bool(synced.logged(alone)) is not has_or


@pytest.mark.parametrize("status", [400, 422])
def test_a_search_in_which_one_field_is_unknown_goes_by_the_other(workspace: Workspace, status: int) -> None:
    """The server may refuse a filter by a field that it does not know."""
    workspace.simulator.faults.add(Fault("status", path=r"/objects(\?|$)", status=status, times=2))
    synced = workspace.sync("objects", num_workers=1)
    assert synced.failures == {}
    assert_whole(workspace, synced.records, "objects")
    assert searches(workspace)[:3] == [("1", "cio_object_id object_id"), ("1", "cio_object_id"), ("1", "object_id")]


def test_a_type_whose_search_fails_costs_its_own_objects_only(workspace: Workspace) -> None:
    """The stream of relationships tries that type again, and no other."""
    workspace.simulator.faults.add(Fault("status", path=r"/objects(\?|$)", status=500, times=4))
    synced = workspace.sync(*BOTH, num_workers=1)
    assert synced.failures["objects"].message.startswith(
        "1 of the 3 parts of objects could not be read: object_type 1. "
    )
    assert {row["object_type_id"] for row in synced.records["objects"]} == {DISABLED_TYPE}
    assert_whole(workspace, synced.records, "object_relationships")
    assert [kind for kind, _ in searches(workspace)].count(DISABLED_TYPE) == 1


def test_a_search_that_ends_in_the_middle_keeps_what_it_found(workspace: Workspace) -> None:
    workspace.simulator.options.page_caps = {"objects": 4}
    workspace.simulator.faults.add(Fault("status", path=r"/objects\?", status=500, skip=1, times=4))
    synced = workspace.sync(*BOTH, num_workers=1)
    assert list(synced.failures) == ["objects"]
    assert len(synced.records["objects"]) == 4 + 2
    assert_whole(workspace, synced.records, "object_relationships")
    assert len(asked(workspace, "relationships")) == OBJECTS


def test_a_stream_that_gives_up_leaves_its_searches_to_the_other(workspace: Workspace) -> None:
    """The first stopped in the middle of what it had found, before it had found everything."""
    workspace.simulator.options.page_caps = {"objects": 1}
    workspace.simulator.faults.add(Fault("status", path=r"/objects\?", status=500, times=4))
    workspace.simulator.faults.add(Fault("status", path="/attributes", status=403, times=-1))
    synced = workspace.sync(*BOTH, num_workers=1)
    assert list(synced.failures) == ["objects"]
    assert_whole(workspace, synced.records, "object_relationships")


@pytest.mark.parametrize("stream", BOTH)
def test_an_object_that_fails_costs_its_own_rows(workspace: Workspace, stream: str) -> None:
    workspace.simulator.faults.add(Fault("status", path=f"/{NUMERIC_LOOKING_OBJECT}/", status=500, times=-1))
    synced = workspace.sync(stream)
    assert f"object {NUMERIC_LOOKING_OBJECT} of type 1. The others were read," in synced.failures[stream].message
    others = [row for row in workspace.truth(stream) if row["cio_object_id"] != NUMERIC_LOOKING_OBJECT]
    assert by_key(synced.records[stream]) == by_key(others)


@pytest.mark.slow
@pytest.mark.parametrize("stream", BOTH)
@pytest.mark.parametrize("status", [404, 400])
def test_an_object_that_was_deleted_since_the_search_is_skipped_and_counted(
    workspace: Workspace, stream: str, status: int
) -> None:
    gone = {"cio_object_id": NUMERIC_LOOKING_OBJECT}
    workspace.simulator.mutate("after", path=r"/objects\?", count=5, mutation="delete_object", arguments=gone)
    workspace.simulator.faults.add(Fault("status", path=f"/{NUMERIC_LOOKING_OBJECT}/", status=status, times=-1))
    synced = workspace.sync(stream)
    assert synced.failures == {}
    assert_whole(workspace, synced.records, stream)
    deleted = f"object {NUMERIC_LOOKING_OBJECT} of type 1"
    assert synced.logged(f"Stream {stream}: 1 objects were deleted during the sync and skipped: {deleted}")


@pytest.mark.slow
@pytest.mark.parametrize("stream", BOTH)
def test_an_object_that_is_refused_and_still_found_is_no_deleted_one(workspace: Workspace, stream: str) -> None:
    fault = Fault("status", path=f"/{NUMERIC_LOOKING_OBJECT}/", status=400, times=-1)
    workspace.simulator.faults.add(fault)
    assert f"object {NUMERIC_LOOKING_OBJECT} of type 1" in workspace.sync(stream).failures[stream].message
    workspace.simulator.faults.clear()
    workspace.simulator.faults.add(Fault("status", path=f"/{NUMERIC_LOOKING_OBJECT}/", status=404, times=-1))
    synced = workspace.sync(stream)
    assert synced.failures == {}
    assert synced.logged("1 objects were skipped because Customer.io answered 404 for them, although they exist")


@pytest.mark.parametrize(("stream", "part"), [("objects", "attributes"), ("object_relationships", "relationships")])
def test_a_path_that_is_refused_for_every_object_is_no_empty_stream(
    workspace: Workspace, stream: str, part: str
) -> None:
    workspace.simulator.faults.add(Fault("status", path=rf"/{part}(\?|$)", status=404, times=-1))
    failure = workspace.sync(stream).failures[stream]
    assert failure.message.startswith(
        f"Customer.io answered 404 for every one of the 12 objects that {stream} asks about,"
    )


def test_an_object_without_a_cio_object_id_is_read_by_its_own_id(workspace: Workspace) -> None:
    """The answer may have the key that the search lacks; where it has none, the object is counted."""
    workspace.simulator.mutate("clear", stream="types")
    workspace.simulator.workspace.lists["types"] = [{"id": "1"}]
    first, *_ = workspace.truth("objects")
    find(workspace, {"object_id": first["object_id"], "cio_object_id": None}, {"object_id": None})
    synced = workspace.sync(*BOTH)
    assert synced.failures == {}
    assert synced.records["objects"] == [first]
    assert synced.column("object_relationships", "cio_object_id") == [first["cio_object_id"]] * 12
    assert synced.logged("2 objects of type 1, of which 1 have no object_id and 2 have no cio_object_id")
    for stream in BOTH:
        assert synced.logged(
            f"Stream {stream}: objects without a cio_object_id, which is their key, were left out: 1 of type 1."
        )


@pytest.mark.slow
def test_objects_that_are_refused_are_searched_for_once_more_and_not_once_a_thread(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("status", path="objects/1/[^/]+/attributes", status=400, times=-1))
    workspace.simulator.faults.add(Fault("delay", path=r"/objects(\?|$)", seconds=0.05, times=-1))
    workspace.sync("objects", num_workers=8)
    by_type = Counter(request.json()["object_type_id"] for request in workspace.requests_to("objects"))
    assert by_type["1"] == by_type["2"] + 1


def test_an_answer_without_identifiers_keeps_those_of_the_search(workspace: Workspace) -> None:
    workspace.simulator.workspace.lists["types"] = [{"id": "1"}]
    find(workspace, {"object_id": "acme", "cio_object_id": "ob1"})
    answer = json.dumps({"object": {"attributes": {"name": "Acme"}, "identifiers": None}})
    workspace.simulator.faults.add(Fault("status", path="objects/1/ob1/attributes", status=200, answer=answer))
    (row,) = workspace.sync("objects").records["objects"]
    assert (row["cio_object_id"], row["object_id"]) == ("ob1", "acme")


@pytest.mark.parametrize("null", [False, True])
def test_a_workspace_without_object_types_has_empty_streams(workspace: Workspace, null: bool) -> None:
    workspace.simulator.options.null_when_empty = null
    workspace.simulator.mutate("clear", stream="types")
    synced = workspace.sync("types", *BOTH)
    assert synced.failures == {}
    assert [synced.statuses[stream] for stream in BOTH] == [["STARTED", "COMPLETE"]] * 2
    assert len(workspace.simulator.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "path", "document"),
    [
        ("objects", r"/objects\?", {"identifiers": None, "ids": ["1"], "next": ""}),
        ("objects", "/attributes", {"objects": []}),
        ("objects", "/attributes", {"object": [1]}),
        ("object_relationships", "/relationships", {"relationships": []}),
        ("object_relationships", "/relationships", {"cio_relationships": [{"cio_id": "a"}]}),
    ],
)
def test_an_answer_of_another_shape_is_an_error(
    workspace: Workspace, stream: str, path: str, document: dict[str, Any]
) -> None:
    workspace.simulator.faults.add(Fault("status", path=path, status=200, answer=json.dumps(document), times=-1))
    failure = workspace.sync(stream).failures[stream]
    assert "Customer.io answered with JSON of another shape than expected" in failure.message


@pytest.mark.slow
def test_a_sync_that_is_broken_off_is_made_up_for_by_the_next(workspace: Workspace) -> None:
    """Full refresh: the next sync reads everything again, whatever is left of the first."""
    workspace.simulator.faults.add(Fault("status", path="/v1/", status=503, skip=9, times=-1))
    first = workspace.sync(*BOTH, "customers", "customer_topics")
    assert first.failures
    workspace.simulator.faults.clear()
    second = workspace.sync(*BOTH, "customers", "customer_topics", state=first.last_states())
    assert second.failures == {}
    assert_whole(workspace, second.records, *BOTH)
    assert len(second.records["customer_topics"]) == len(workspace.truth("customer_topics"))


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [["id", "email"], ["id"], ["id", "email", "phone"], ["phone"]])
def test_people_arrive_whatever_the_workspace_identifies_them_by(workspace: Workspace, kinds: list[str]) -> None:
    workspace.simulator.mutate("identify_by", kinds=kinds)
    streams = {
        "customers": ("cio_id",),
        "customer_topics": ("cio_id", "topic_id"),
        "segment_memberships": ("segment_id", "cio_id"),
        "optouts": ("cio_id",),
        "object_relationships": ("object_type_id", "cio_object_id", "cio_id"),
    }
    synced = workspace.sync(*streams)
    assert synced.failures == {}
    for stream, key in streams.items():

        def identity(row: Row, key: tuple[str, ...] = key) -> list[Any]:
            return [row[column] for column in key]

        assert sorted(synced.records[stream], key=identity) == sorted(workspace.truth(stream), key=identity), stream
    members = synced.records["segment_memberships"] + synced.records["object_relationships"]
    assert all(("email" in row) is ("email" in kinds) and ("id" in row) is ("id" in kinds) for row in members)
