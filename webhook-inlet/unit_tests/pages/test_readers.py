"""What is known of the readers, from what they ask."""

from __future__ import annotations

import pytest
from memory_service import LANE, MemoryStore
from webhook_inlet.pages.readers import MOST_READERS, LineCounts, Readers, Unread, reader_name
from webhook_inlet.store import Lane, StoreError

OLD, NEW = "20261101T000000Z-aaaaaa", "20261126T000000Z-bbbbbb"
AT = 1_764_200_000.0


def unread(store: MemoryStore, readers: Readers, counts: LineCounts | None = None) -> Unread:
    """What the only reader has not fetched."""
    lanes = store.lanes("prod")
    answer = (counts or LineCounts(store)).unread("prod", lanes, readers.positions("prod", lanes))
    (only,) = answer.values()
    return only


def listed(store: MemoryStore, readers: Readers) -> None:
    readers.seen("prod", "reader").has_listed(store.lanes("prod"))


def fetched(store: MemoryStore, readers: Readers, lane: str, segment: int, line: int = 0) -> None:
    lines = store.read("prod", lane, segment, line)
    readers.seen("prod", "reader").has_fetched(lane, (segment, line), lines.data.count(b"\n"), lines.sealed)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("airbyte-source-pendo/0.1.0 python-requests/2.34", "airbyte-source-pendo"),
        ("curl/8.1", "curl"),
        ("", "unknown"),
        ('"><script>', "unknown"),
        ("a" * 500, "a" * 40),
        ('x{y="z"}', "x"),
        ("\n", "unknown"),
    ],
)
def test_a_reader_is_named_by_its_first_product(agent: str, name: str) -> None:
    assert reader_name(agent) == name


def test_only_so_many_readers_are_remembered_and_the_oldest_goes_first() -> None:
    ticking = iter(range(10_000))
    readers = Readers(clock=lambda: next(ticking))
    for number in range(MOST_READERS):
        readers.seen("prod", f"reader{number}")
    readers.seen("prod", "reader0")
    readers.seen("prod", "one-more")
    assert len(readers.of("prod")) == MOST_READERS
    assert "reader0" in readers.of("prod")
    assert "reader1" not in readers.of("prod")


def test_the_position_is_where_the_last_sync_began() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, 6, 7)
    listed(store, readers)
    for segment in (1, 3, 2):  # several at a time, in any order
        fetched(store, readers, LANE, segment)
    reader = readers.of("prod")["reader"]
    assert reader.asked == {LANE: (1, 0)}
    assert reader.fetched == {LANE: (3, 7)}
    listed(store, readers)
    assert reader.asked == {LANE: (1, 0)}
    store.add("prod", LANE, 2)
    fetched(store, readers, LANE, 3, 7)
    assert reader.asked == {LANE: (3, 7)}


def test_what_came_after_the_lanes_were_listed_is_left_to_the_next_sync() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, at=AT)
    listed(store, readers)
    store.segments["prod"][LANE][0] += store.segments["prod"][LANE][0][3:]
    fetched(store, readers, LANE, 1)
    assert unread(store, readers) == Unread(2, True, AT + 3, 0)


def test_a_reader_that_follows_a_lane_without_listing_it_again_is_followed() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, at=AT)
    listed(store, readers)
    fetched(store, readers, LANE, 1)
    store.add("prod", LANE, 6, 7)
    fetched(store, readers, LANE, 2)
    fetched(store, readers, LANE, 3)
    assert unread(store, readers) == Unread(0, True, None, 0)


def test_what_was_sent_is_not_unread() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5)
    fetched(store, readers, LANE, 1)
    assert unread(store, readers) == Unread(0, True, None, 0)


def test_unread_is_counted_over_segments_and_its_oldest_line_has_a_time() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, at=AT)
    fetched(store, readers, LANE, 1, 2)
    store.add("prod", LANE, 20, 30, 4, at=AT + 600)
    assert unread(store, readers) == Unread(54, True, AT + 600, 0)
    fetched(store, readers, LANE, 2)
    assert unread(store, readers) == Unread(34, True, AT + 600, 0)


def test_a_part_of_a_segment_is_unread() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, at=AT)
    fetched(store, readers, LANE, 1)
    store.segments["prod"][LANE][0] += store.segments["prod"][LANE][0][3:]
    assert unread(store, readers) == Unread(2, True, AT + 3, 0)


def test_a_sync_that_begins_further_back_takes_the_reader_back() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, 6, 7)
    listed(store, readers)
    for segment in (1, 2, 3):
        fetched(store, readers, LANE, segment)
    assert unread(store, readers).events == 0
    listed(store, readers)
    fetched(store, readers, LANE, 1)
    assert unread(store, readers).events == 13


def test_a_lane_that_the_reader_was_not_seen_to_read_is_not_known() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", OLD, 9)
    store.add("prod", NEW, 5)
    listed(store, readers)
    fetched(store, readers, NEW, 1)
    assert unread(store, readers) == Unread(0, False, None, 0)


def test_a_lane_that_a_whole_sync_passed_over_has_been_read() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", OLD, 9)
    store.add("prod", NEW, 5)
    listed(store, readers)
    fetched(store, readers, NEW, 1)
    listed(store, readers)
    assert unread(store, readers) == Unread(0, True, None, 0)


def test_a_sync_that_ended_early_proves_nothing() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", OLD, 9)
    store.add("prod", NEW, 5, 6)
    listed(store, readers)
    fetched(store, readers, NEW, 1)
    listed(store, readers)
    assert unread(store, readers) == Unread(6, False, AT, 0)


def test_a_look_at_the_lanes_alone_proves_nothing() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", OLD, 9)
    for _ in range(3):
        listed(store, readers)
    assert unread(store, readers) == Unread(0, False, None, 0)


def test_a_lane_that_came_after_the_last_listing_is_unread() -> None:
    store, readers = MemoryStore(), Readers()
    listed(store, readers)
    store.add("prod", NEW, 5, 6, at=AT)
    assert unread(store, readers) == Unread(11, True, AT, 0)
    listed(store, readers)
    assert unread(store, readers) == Unread(11, True, AT, 0)


def test_segments_that_were_removed_before_they_were_fetched_are_counted() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 5, 6, 7, 8)
    fetched(store, readers, LANE, 1)
    store.first[LANE] = 4
    assert unread(store, readers) == Unread(8, True, AT, 2)


def test_a_lane_that_left_the_listing_is_forgotten() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", OLD, 5)
    fetched(store, readers, OLD, 1)
    del store.segments["prod"][OLD]
    listed(store, readers)
    assert readers.of("prod")["reader"].asked == {}


def test_a_sealed_segment_is_counted_once() -> None:
    store, readers = MemoryStore(), Readers()
    counts = LineCounts(store)
    store.add("prod", LANE, *[3] * 50)
    fetched(store, readers, LANE, 1)
    assert unread(store, readers, counts).events == 49 * 3
    before = store.reads
    assert unread(store, readers, counts).events == 49 * 3
    assert store.reads == before


def test_a_long_log_is_counted_in_parts_and_meanwhile_the_number_is_a_lower_bound() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, *[3] * 101)
    fetched(store, readers, LANE, 1)
    now = 0.0

    def ticks() -> float:
        nonlocal now
        now += 0.01
        return now

    counts = LineCounts(store, ticks)
    first = unread(store, readers, counts)
    assert not first.exact
    assert 100 < first.events < 300
    looks = 1
    while not (last := unread(store, readers, counts)).exact:
        looks += 1
        assert looks < 50
    assert last == Unread(300, True, AT, 0)


def test_a_segment_that_cannot_be_read_makes_the_number_a_lower_bound() -> None:
    store, readers = MemoryStore(), Readers()
    store.add("prod", LANE, 3, 3, 3)
    fetched(store, readers, LANE, 1)
    store.failing = StoreError("Segment 2 is damaged.")
    counts = LineCounts(store)
    lanes = [Lane(LANE, 1, 3, 3, False)]
    assert counts.unread("prod", lanes, readers.positions("prod", lanes))["reader"] == Unread(4, False, None, 0)
