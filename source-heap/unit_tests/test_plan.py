"""The dumps that are read next, from every state that a table can have."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from source_heap.listing import Listing
from source_heap.manifest import ManifestObject
from source_heap.plan import LATE_DUMPS, Plan, first_plan, next_plan, oldest_unread
from source_heap.table_state import RECENT_DUMPS, DumpOfTable, Seen, TableState, UnreadableState

FULL, MORE = False, True
LATE = {10**9 + index: "0123abcd" for index in range(LATE_DUMPS)}


def dump(dump_id: int, incremental: bool = MORE, mark: str = "a") -> DumpOfTable:
    return DumpOfTable(dump_id, mark, incremental)


def read_all(plan: Plan) -> TableState:
    """The state when everything planned was read."""
    state = plan.state
    for step in plan.steps:
        state = state.after(step.dump)
    return state


def ids(plan: Plan) -> list[int]:
    return [step.dump.dump_id for step in plan.steps]


def test_a_first_sync_starts_at_the_last_full_dump() -> None:
    plan = first_plan("b", [dump(100, FULL), dump(101), dump(102, FULL), dump(103)])
    assert ids(plan) == [102, 103]
    assert plan.state.generation == 102
    assert not plan.no_full_dump


def test_without_a_full_dump_a_first_sync_starts_at_the_oldest() -> None:
    plan = first_plan("b", [dump(501), dump(500)])
    assert ids(plan) == [500, 501]
    assert plan.state.generation == 500
    assert plan.no_full_dump


def test_dump_ids_are_numbers() -> None:
    plan = first_plan("b", [dump(1000), dump(999, FULL), dump(1_008_461_850)])
    assert ids(plan) == [999, 1000, 1_008_461_850]


def test_only_new_dumps_are_read_next() -> None:
    state = read_all(first_plan("b", [dump(100, FULL), dump(101)]))
    assert ids(next_plan(state, [dump(100, FULL), dump(101), dump(102)], False)) == [102]
    assert ids(next_plan(state, [dump(100, FULL), dump(101)], False)) == []


def test_a_full_dump_starts_a_generation_and_skips_what_is_dead() -> None:
    state = read_all(first_plan("b", [dump(100, FULL)]))
    plan = next_plan(state, [dump(101), dump(102, FULL), dump(103), dump(104)], False)
    assert ids(plan) == [102, 103, 104]
    assert plan.resync
    assert plan.state.generation == 102
    assert read_all(plan).generation == 102


def test_a_late_dump_is_read_although_a_higher_one_was() -> None:
    state = read_all(first_plan("b", [dump(100, FULL), dump(102)]))
    plan = next_plan(state, [dump(101), dump(102)], False)
    assert ids(plan) == [101]
    assert read_all(plan).dump_id == 102


def test_a_late_full_dump_takes_what_was_read_behind_it_along() -> None:
    state = read_all(first_plan("b", [dump(100, FULL), dump(102)]))
    plan = next_plan(state, [dump(101, FULL), dump(102)], False)
    assert ids(plan) == [101, 102]
    assert plan.state.generation == 101
    assert plan.state.dump_id == 102


def test_a_late_dump_below_the_generation_is_dead() -> None:
    state = read_all(first_plan("b", [dump(100, FULL)]))
    assert ids(next_plan(state, [dump(99), dump(98, FULL), dump(100, FULL)], False)) == []


def test_a_dump_that_was_delivered_again_is_read_again() -> None:
    state = read_all(first_plan("b", [dump(100, FULL), dump(101)]))
    plan = next_plan(state, [dump(101, mark="other")], False)
    assert ids(plan) == [101]
    assert plan.redelivered == (101,)
    assert ids(next_plan(read_all(plan), [dump(101, mark="other")], False)) == []


def test_an_interrupted_dump_goes_on_behind_its_last_finished_file() -> None:
    plan = first_plan("b", [dump(100, FULL), dump(101)])
    state = plan.state.after(plan.steps[0].dump).after_files(plan.steps[1].dump, 3)
    again = next_plan(state, [dump(101), dump(102)], False)
    assert [(step.dump.dump_id, step.first_file) for step in again.steps] == [(101, 3), (102, 0)]


def test_an_interrupted_dump_that_was_delivered_again_starts_over() -> None:
    plan = first_plan("b", [dump(100, FULL)])
    state = plan.state.after_files(plan.steps[0].dump, 3)
    again = next_plan(state, [dump(100, FULL, mark="other")], False)
    assert [(step.dump.dump_id, step.first_file) for step in again.steps] == [(100, 0)]
    assert again.redelivered == (100,)


def test_dumps_without_the_table_are_not_looked_at_again_unless_they_change() -> None:
    state = read_all(first_plan("b", [dump(100, FULL)])).passing({101: "a", 102: "a"})
    known = [dump(100, FULL), dump(101), dump(102)]
    assert oldest_unread(known, state) == 103
    assert oldest_unread([*known[:1], dump(101, mark="other"), dump(102)], state) == 101
    assert state.dump_id == 100
    far = state.passing({103 + index: "a" for index in range(500)})
    assert oldest_unread([dump(index) for index in range(100, 603)], far) == 603
    assert len(far.recent) == RECENT_DUMPS


def test_an_interrupted_resync_goes_on_in_the_new_generation() -> None:
    state = read_all(first_plan("b", [dump(100, FULL)]))
    plan = next_plan(state, [dump(101, FULL), dump(102)], True)
    half = plan.state.after_files(plan.steps[0].dump, 2)
    again = next_plan(half, [dump(101, FULL), dump(102)], True)
    assert [(step.dump.dump_id, step.first_file) for step in again.steps] == [(101, 2), (102, 0)]
    assert not again.resync
    assert again.state.replaces == 100


def test_two_resyncs_before_the_deletions_were_emitted_keep_the_oldest_generation() -> None:
    state = read_all(first_plan("b", [dump(100, FULL)]))
    state = read_all(next_plan(state, [dump(101, FULL)], True))
    assert next_plan(state, [dump(102, FULL)], True).state.replaces == 100
    assert next_plan(state.without_replaced(), [dump(102, FULL)], True).state.replaces == 101
    assert next_plan(state.without_replaced(), [dump(102, FULL)], False).state.replaces is None


def test_the_oldest_unread_dump_bounds_what_a_plan_must_know() -> None:
    state = read_all(first_plan("b", [dump(100, FULL), dump(102), dump(103)]))
    known = [dump(99), dump(100, FULL), dump(102), dump(103)]
    assert oldest_unread(known, state) == 104
    assert oldest_unread([*known, dump(101)], state) == 101
    assert oldest_unread([*known[:2], dump(102, mark="other"), dump(103)], state) == 102
    assert oldest_unread(known, None) == 0


def test_a_state_survives_json_and_stays_below_two_kilobytes() -> None:
    bucket = "heap-rs3-a-bucket-with-a-long-name-of-sixty-three-characters-in-all"
    state = first_plan(bucket, [dump(10**9, FULL)], Seen(datetime.now(UTC), "0123abcd")).state
    for index in range(10_000):
        state = state.after(dump(10**9 + 7 * index, mark="0123abcd")).after_files(dump(10**9 + 7 * index + 1), 99_999)
        if index % 1000 == 0 or index > 9_990:
            while_late = replace(state, recent={**LATE, **state.recent}) if index == 9_999 else state
            text = json.dumps(while_late.to_json())
            assert len(text) < 2048
            assert TableState.from_json(json.loads(text)) == while_late
    assert len(state.recent) == RECENT_DUMPS


def test_dumps_beyond_the_remembered_ones_count_as_read() -> None:
    dumps = [dump(100, FULL), *(dump(101 + index) for index in range(3 * RECENT_DUMPS))]
    state = read_all(first_plan("b", dumps))
    assert ids(next_plan(state, dumps, False)) == []


def test_a_state_of_the_cursor_alone_is_understood() -> None:
    state = TableState.from_json({"_heap_dump_id": 105})
    assert ids(next_plan(state, [dump(104), dump(105), dump(106)], False)) == [106]


@pytest.mark.parametrize(
    "document",
    [
        {"v": 1},
        {"_heap_dump_id": "105"},
        {"_heap_dump_id": True},
        {"_heap_dump_id": 105, "v": 2},
        {"_heap_dump_id": 105, "generation": None},
        {"_heap_dump_id": 105, "recent": [1]},
        {"_heap_dump_id": 105, "recent": {"x": "a"}},
        {"_heap_dump_id": 105, "reading": {"dump_id": 105, "files": -1}},
        {"_heap_dump_id": 105, "reading": [1]},
        {"_heap_dump_id": 105, "replaces": "100"},
    ],
)
def test_a_state_of_another_shape_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(UnreadableState):
        TableState.from_json(document)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_arrives_in_whatever_order_the_last_generation_is_read_whole(seed: int) -> None:
    """Dumps arrive late, very late, again and between syncs; each sync may be cut. In the end every live one was read.

    Their manifests have the seconds in which they were written, so several have the same. The first dump is full.
    """
    rng = random.Random(seed)
    count, late = (30, 4) if seed % 4 else (150, 100)
    waiting = [dump(100 + index, index == 0 or rng.random() < 0.9) for index in range(count)]
    now, state = datetime(2026, 3, 1, tzinfo=UTC), None
    bucket = {100: dump(100, FULL)}
    written = {100: now}
    del waiting[0]
    read: dict[int, set[tuple[int, str]]] = {}
    while waiting or rng.random() < 0.5:
        arrived = [waiting.pop(_place(rng, late, len(waiting))) for _ in range(rng.randint(0, 3)) if waiting]
        if bucket and rng.random() < 0.1:
            again = rng.choice(list(bucket.values()))
            arrived.append(DumpOfTable(again.dump_id, again.mark + "x", again.incremental))
        for one in arrived:
            bucket[one.dump_id], written[one.dump_id] = one, now.replace(microsecond=0)
            now += timedelta(milliseconds=rng.choice((0, 300, 5_000)))
        if bucket:
            state = _sync(state, bucket, written, read, None if rng.random() < 0.7 else rng.randint(0, 3))
    state = _sync(state, bucket, written, read, None)
    generation = max(one.dump_id for one in bucket.values() if not one.incremental)
    live = {(one.dump_id, one.mark) for one in bucket.values() if one.dump_id >= generation}
    assert state.generation == generation
    assert read[generation] >= live


def _place(rng: random.Random, late: int, waiting: int) -> int:
    """The next dump that arrives: the oldest ones stay behind."""
    return min(waiting - 1, rng.choice((0, rng.randrange(late), late // 2)))


def _sync(
    state: TableState | None,
    bucket: dict[int, DumpOfTable],
    written: dict[int, datetime],
    read: dict[int, set[tuple[int, str]]],
    cut: int | None,
) -> TableState:
    dumps = [bucket[dump_id] for dump_id in sorted(bucket)]
    listing = Listing([ManifestObject(one.dump_id, "", one.mark, written[one.dump_id]) for one in dumps])
    arrivals = listing.arrivals(state)
    plan = first_plan("b", dumps, arrivals.seen) if state is None else next_plan(state, dumps, False, arrivals)
    reached = plan.state if state is None or plan.steps else state
    for step in plan.steps[:cut]:
        read.setdefault(reached.generation, set()).add((step.dump.dump_id, step.dump.mark))
        reached = plan.after(reached, step.dump)
    return state if cut == 0 and state is not None else reached
