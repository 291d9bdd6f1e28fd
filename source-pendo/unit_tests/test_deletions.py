"""`detect_deletions`: what a list no longer has is emitted once as deleted, and nothing else ever is."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from pendo_reader import Row, Subscription, cut_in_the_middle, instant
from simulators.faults import Fault
from test_kit.messages import Output

AT = 1_773_000_000_000
DELETED_AT = "_ab_cdc_deleted_at"


def page(name: str, days: int = 0, **more: Any) -> Row:
    """A page that changed some days before the newest one."""
    return {"id": name, "name": name, "lastUpdatedAt": AT - days * 86_400_000, **more}


class Table:
    """A warehouse's table of one stream: of rows with one key that with the latest `last_updated_at` stays."""

    def __init__(self, pendo: Subscription, stream: str = "pages", path: str = "page") -> None:
        self.pendo, self.stream, self.path = pendo, stream, path
        self.rows: dict[str, Row] = {}
        self.state: Row = {}

    def sync(self, *objects: Row, text: str | None = None, status: int = 200, **options: Any) -> Output:
        """Sync while Pendo's list is this one."""
        self.pendo.sim.faults.clear()
        answer = orjson.dumps(objects).decode() if text is None else text
        self.pendo.sim.faults.add(Fault("status", path=self.path, status=status, answer=answer, times=-1))
        state = {self.stream: self.state} if self.state else None
        out = self.pendo.read(self.stream, state=state, **{"detect_deletions": True, **options})
        self.take(out.records[self.stream])
        if out.states[self.stream]:
            self.state = out.state(self.stream)
        return out

    def take(self, rows: list[Row]) -> None:
        """Upsert these rows."""
        for row in rows:
            old = self.rows.get(row["id"])
            if old is None or (row["last_updated_at"] or "") >= (old["last_updated_at"] or ""):
                self.rows[row["id"]] = row

    @property
    def live(self) -> list[str]:
        """The ids that a user sees."""
        return sorted(name for name, row in self.rows.items() if not row.get(DELETED_AT))


def deletions(out: Output, stream: str = "pages") -> list[Row]:
    return [row for row in out.records[stream] if row.get(DELETED_AT)]


@pytest.fixture
def table(pendo: Subscription) -> Table:
    return Table(pendo)


@pytest.mark.parametrize(
    ("stream", "path"), [("pages", "page"), ("features", "feature"), ("guides", "guide"), ("track_types", "tracktype")]
)
def test_a_deleted_object_is_emitted_once(pendo: Subscription, stream: str, path: str) -> None:
    table = Table(pendo, stream, path)
    table.sync(page("old", days=30), page("new"))
    out = table.sync(page("new"))
    now = instant(pendo.sim.subscription.now)
    assert deletions(out, stream) == [
        {"id": "old", "last_updated_at": instant(AT - 30 * 86_400_000), DELETED_AT: now},
    ]
    assert deletions(table.sync(page("new")), stream) == []
    assert table.live == ["new"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["reports", "segments"])
def test_a_report_or_a_segment_that_is_missing_was_not_deleted(pendo: Subscription, stream: str) -> None:
    """Pendo lists public reports and shared segments only."""
    table = Table(pendo, stream, stream[:-1])
    table.sync(page("a", shared=True), page("b", shared=True))
    assert deletions(table.sync(page("a", shared=True)), stream) == []
    assert table.state == {"last_updated_at": instant(AT), "version": 1}
    assert DELETED_AT not in pendo.schema(stream, detect_deletions=True)["properties"]


def test_an_object_that_comes_back_is_there_again(table: Table) -> None:
    """Though its last change is older than the state, and no newer than the deletion's."""
    table.sync(page("old", days=30), page("new"))
    table.sync(page("new"))
    out = table.sync(page("new"), page("old", days=30))
    assert "old" in out.column("pages", "id")
    assert table.live == ["new", "old"]
    assert [row["id"] for row in deletions(table.sync(page("new")))] == ["old"]
    assert table.live == ["new"]


def test_another_choice_of_applications_deletes_nothing(table: Table) -> None:
    """Objects of the applications that are chosen anew are emitted whatever their age."""
    objects = page("a", appId=1), page("b", days=9, appId=2), page("c", days=9, appId=3)
    table.sync(*objects, app_ids=["1", "2"])
    assert deletions(table.sync(*objects, app_ids=["3"])) == []
    assert table.live == ["a", "b", "c"]
    out = table.sync(*objects[::2], app_ids=["3"])
    assert [row["id"] for row in deletions(out)] == ["b"]


def test_a_change_of_an_application_that_was_not_chosen_arrives_when_it_is_chosen_again(table: Table) -> None:
    """Though the state has moved past it meanwhile."""
    table.sync(page("a", days=9, appId=1), page("b", days=9, appId=2))
    table.sync(page("a", days=3, appId=1), page("b", appId=2), app_ids=["2"])
    table.sync(page("a", days=3, appId=1), page("b", appId=2))
    assert table.rows["a"]["last_updated_at"] == instant(AT - 3 * 86_400_000)


def test_a_deletion_is_the_newest_row_though_a_time_of_change_went_back(table: Table) -> None:
    table.sync(page("a"), page("b", days=1))
    table.sync(page("a", days=3), page("b", days=1))
    table.sync(page("b", days=1))
    assert table.live == ["b"]


def test_an_object_whose_id_is_a_number_is_found_deleted(table: Table) -> None:
    table.sync({"id": 7, "lastUpdatedAt": AT}, page("b"))
    table.sync(page("b"))
    assert table.live == ["b"]


@pytest.mark.slow
def test_an_empty_list_deletes_nothing_and_says_so(table: Table) -> None:
    table.sync(page("a"), page("b"))
    out = table.sync()
    assert out.logged("list is empty, and was not before")
    assert out.records["pages"] == []
    assert [row["id"] for row in deletions(table.sync(page("b")))] == ["a"]


@pytest.mark.parametrize(
    ("status", "text"), [(403, "Forbidden"), (404, "Not Found"), (200, '[{"id":"b"},{"id":[]'), (200, '{"error":"no"}')]
)
def test_a_list_that_was_not_read_whole_deletes_nothing(table: Table, status: int, text: str) -> None:
    """It was refused, it is no list, or it breaks every time."""
    table.sync(page("a"), page("b"))
    out = table.sync(text=text, status=status)
    assert out.failures["pages"]
    assert deletions(out) == []
    assert out.states["pages"] == []
    assert deletions(table.sync(page("a"), page("b"))) == []


def test_what_came_before_a_list_broke_is_not_deleted_behind_the_break(table: Table) -> None:
    """The next sync finds what was deleted meanwhile."""
    objects = [page(f"p{number}", appIds=[], text="x" * 1000) for number in range(300)]
    table.sync(*objects)
    table.pendo.sim.faults.clear()
    table.pendo.sim.faults.add(Fault("status", path="page", status=200, answer=cut_in_the_middle(objects)))
    table.pendo.sim.faults.add(
        Fault("status", path="page", status=200, answer=orjson.dumps(objects[1:]).decode(), times=-1)
    )
    out = table.pendo.read("pages", state={"pages": table.state}, detect_deletions=True)
    assert out.logged("broke in the middle")
    assert deletions(out) == []
    table.state = out.state("pages")
    assert [row["id"] for row in deletions(table.sync(*objects[1:]))] == ["p0"]


def test_a_full_refresh_emits_what_is_there_and_no_deletions(table: Table) -> None:
    table.sync(page("a"), page("b"))
    out = table.sync(page("b", days=30), full_refresh=True)
    assert out.column("pages", "id") == ["b"]
    assert deletions(out) == []


def test_the_state_knows_an_object_in_64_bytes_and_a_longer_id_is_not_known(table: Table) -> None:
    objects = [page(f"abcdefghijklmnopqrstu{number:06d}") for number in range(1_000)]
    out = table.sync(*objects, page("x" * 60), page("timeless", lastUpdatedAt=None))
    known = out.state("pages")["known"]
    assert len(json.dumps(known)) <= 64 * len(known)
    assert len(known) == 1_001
    assert known["timeless"] is None
    assert out.logged("1 objects have ids that are too long")
    out = table.sync(*objects[1:])
    assert sorted(row["id"] for row in deletions(out)) == [objects[0]["id"], "timeless"]


@pytest.mark.slow
def test_with_more_than_5000_objects_no_deletion_is_found_and_the_log_says_so(table: Table) -> None:
    """They are found again once there are fewer."""
    objects = [page(f"p{number}") for number in range(5_001)]
    out = table.sync(*objects)
    assert out.logged("more than 5000 objects, too many to keep in a state")
    assert "known" not in out.state("pages")
    assert deletions(table.sync(*objects[1:])) == []
    assert len(table.state["known"]) == 5_000
    assert [row["id"] for row in deletions(table.sync(*objects[2:]))] == ["p1"]


def test_the_first_sync_with_the_option_only_notes_what_is_there(table: Table) -> None:
    """And one without it forgets: what was deleted meanwhile is not found, and nothing is deleted wrongly."""
    table.sync(page("a", days=30), page("b", days=30), page("c"), detect_deletions=False)
    out = table.sync(page("a", days=30), page("c"))
    assert out.column("pages", "id") == ["c"]
    assert set(out.state("pages")["known"]) == {"a", "c"}
    table.sync(page("c"), detect_deletions=False)
    assert table.state == {"last_updated_at": instant(AT), "version": 1}
    assert deletions(table.sync(page("c"), page("d", days=2))) == []
    assert [row["id"] for row in deletions(table.sync(page("c")))] == ["d"]


def test_the_column_is_in_the_schema_only_with_the_option(pendo: Subscription) -> None:
    assert DELETED_AT not in pendo.schema("pages")["properties"]
    assert pendo.schema("pages", detect_deletions=True)["properties"][DELETED_AT]["format"] == "date-time"


@pytest.mark.parametrize("known", [[], {"a": "x"}, {"a": True}, {"a": 1.5}, {"a": 10**17}])
def test_a_state_with_objects_that_nobody_wrote_is_refused(table: Table, known: Any) -> None:
    table.state = {"last_updated_at": instant(AT), "known": known, "version": 1}
    assert "cannot be read" in table.sync(page("a")).failures["pages"].message


@pytest.mark.slow
def test_a_warehouse_has_what_pendo_has_whatever_is_deleted_and_restored(pendo: Subscription) -> None:
    """Sync by sync, with objects that change meanwhile."""
    table, state = Table(pendo, "guides", "guide"), None
    for step in range(6):
        if step % 3 == 1:
            deleted = pendo.sim.mutate("delete_definition", kind="guides")
            pendo.sim.mutate("touch_definition", kind="guides")
        if step % 3 == 2:
            pendo.sim.mutate("restore_definition", object_id=deleted)
        pendo.sim.mutate("advance", hours=5)
        out = pendo.read("guides", state=state, detect_deletions=True)
        table.take(out.records["guides"])
        state = {"guides": out.state("guides")}
        assert table.live == sorted(row["id"] for row in pendo.truth("guides"))
        times = {row["id"]: instant(row["lastUpdatedAt"]) for row in pendo.truth("guides")}
        assert {name: table.rows[name]["last_updated_at"] for name in table.live} == times
