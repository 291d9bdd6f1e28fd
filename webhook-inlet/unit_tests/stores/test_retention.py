"""Retention: whole segments go from the head, a marker stays, and nothing younger is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from webhook_inlet.store import Lane, NoSuchSegment
from webhook_inlet.stores import volume as volumes
from webhook_inlet.stores import volume_files
from webhook_inlet.stores.volume import Volume

SECOND = 1_000_000


def line(at: int) -> bytes:
    return b'{"v":1,"key":"standard:%d","at":%d}' % (at, at)


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Volume]:
    """A segment ends with every commit."""
    monkeypatch.setattr(volumes, "SEAL_BYTES", 1)
    opened = Volume(tmp_path)
    opened.open()
    yield opened
    opened.close()


def listed(volume: Volume) -> Lane:
    (lane,) = volume.lanes("prod")
    return lane


def names(volume: Volume) -> list[str]:
    return sorted(path.name for path in (volume._root / "prod/lanes" / listed(volume).lane).iterdir())


def test_whole_segments_go_up_to_the_first_whose_last_line_is_young(volume: Volume) -> None:
    for ats in [(1, 2), (3, 9), (4,), (9,)]:
        volume.commit({"prod": [line(at) for at in ats]})
    assert volume.remove_before(5) == 1
    assert (listed(volume).first, listed(volume).last) == (2, 4)
    assert names(volume) == [f"00000000000{number}.ndjson.zst" for number in (2, 3, 4)]
    with pytest.raises(NoSuchSegment):
        volume.read("prod", listed(volume).lane, 1, 0)
    assert volume.remove_before(5) == 0


def test_a_lane_at_work_keeps_counting_when_all_its_segments_were_removed(volume: Volume) -> None:
    volume.commit({"prod": [line(1)]})
    volume.commit({"prod": [line(2)]})
    assert volume.remove_before(5) == 2
    lane = listed(volume)
    assert lane == Lane(lane.lane, 3, 2, 0, False)
    assert names(volume) == ["removed"]
    volume.commit({"prod": [line(9)]})
    assert listed(volume) == Lane(lane.lane, 3, 3, 1, False)
    volume.close()
    following = Volume(volume._root)
    following.open()
    assert listed(following) == Lane(lane.lane, 3, 3, 1, True)
    following.close()


def test_the_open_segment_is_never_removed(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "SEAL_BYTES", 1000)
    volume.commit({"prod": [line(1)]})
    assert volume.remove_before(5) == 0
    volume.commit({"prod": [line(2)]})
    assert listed(volume).lines == 2


def test_a_removed_lane_is_listed_by_the_next_process_as_well(volume: Volume) -> None:
    volume.commit({"prod": [line(1)]})
    volume.commit({"prod": [line(2)]})
    volume.close()
    second = Volume(volume._root)
    second.open()
    now = int(time.time() * SECOND)
    assert second.remove_before(now - 60 * SECOND) == 2
    assert names(second) == ["closed", "removed"]
    expected = Lane(listed(second).lane, 3, 2, 0, True)
    assert listed(second) == expected
    assert second.newest_at("prod") is None
    assert list(second.recent_keys("prod")) == []
    second.close()
    third = Volume(volume._root)
    third.open()
    assert listed(third) == expected
    third.close()


def test_a_marker_goes_when_the_lane_was_gone_for_as_long_as_it_was_kept(volume: Volume) -> None:
    volume.commit({"prod": [line(1)]})
    folder = volume._root / "prod/lanes" / listed(volume).lane
    volume.close()
    second = Volume(volume._root)
    second.open()
    second.remove_before(int((time.time() - 60) * SECOND))
    second.remove_before(int((time.time() - 60) * SECOND))
    assert listed(second).lane == folder.name
    second.close()
    ago = time.time() - 61
    os.utime(folder / "removed", (ago, ago))
    third = Volume(volume._root)
    third.open()
    third.remove_before(int((time.time() - 60) * SECOND))
    assert third.lanes("prod") == []
    assert not folder.exists()
    third.close()


def test_a_process_killed_at_any_step_of_a_removal_leaves_no_hole(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    for at in range(4):
        volume.commit({"prod": [line(at)]})
    lane = listed(volume).lane
    volume.close()
    real = Path.unlink
    for _ in range(4):
        left = [1]

        def unlink(path: Path, missing_ok: bool = False, left: list[int] = left) -> None:
            if not left[0] and path.name.endswith(".zst"):
                raise Killed
            left[0] -= path.name.endswith(".zst")
            real(path, missing_ok)

        following = Volume(volume._root)
        following.open()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            if listed(following).first < 4:
                with pytest.raises(Killed):
                    following.remove_before(100)
            else:
                following.remove_before(100)
        following._unlock()
        again = Volume(volume._root)
        again.open()
        found = listed(again)
        assert found.last == 4
        assert found.lane == lane
        for number in range(found.first, 5):
            assert again.read("prod", lane, number, 0).data == line(number - 1) + b"\n"
        again.close()
    assert found.first == 5


def test_a_damaged_segment_is_removed_by_the_time_of_its_file(volume: Volume) -> None:
    volume.commit({"prod": [line(1)]})
    volume.close()
    path = next((volume._root / "prod/lanes").glob("*/*.zst"))
    path.write_bytes(b"damaged")
    second = Volume(volume._root)
    second.open()
    assert second.remove_before(int((time.time() - 60) * SECOND)) == 0
    os.utime(path, (1000, 1000))
    second.close()
    third = Volume(volume._root)
    third.open()
    assert third.remove_before(int((time.time() - 60) * SECOND)) == 1
    third.close()


def test_a_removal_that_fails_takes_no_number(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, last: int) -> None:
        raise OSError(28, "No space left on device")

    volume.commit({"prod": [line(1)]})
    volume.close()
    second = Volume(volume._root)
    second.open()
    monkeypatch.setattr(volume_files, "write_marker", full)
    assert second.remove_before(5) == 0
    assert listed(second).first == listed(second).last == 1
    second.close()
