"""The volume: what it stores, seals, lists and reads, and what it finds when it is opened again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from backports import zstd
from store_reading import read_all
from webhook_inlet.lines import line
from webhook_inlet.store import LANE_NAME, Lane, NoSuchSegment, StoreError, StoreFailed
from webhook_inlet.stores import space
from webhook_inlet.stores import volume as volumes
from webhook_inlet.stores.volume import Volume


def event(number: int, key: str = "") -> bytes:
    return line(
        key=key or f"standard:{number}",
        at=1_764_200_000_000_000 + number,
        inlet="prod",
        sig=0,
        headers={"content-type": "application/json"},
        body=b'{"number":%d}' % number,
        embed=True,
        truncated=False,
    )


def lines(*numbers: int) -> list[bytes]:
    return [event(number) for number in numbers]


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment ends with every commit."""
    monkeypatch.setattr(volumes, "SEAL_BYTES", 1)


def test_lines_are_readable_at_once_behind_any_position(volume: Volume) -> None:
    assert volume.lanes("prod") == []
    assert volume.commit({"prod": lines(1, 2), "eu": lines(9)}) == {}
    assert volume.commit({"prod": lines(3)}) == {}
    (lane,) = volume.lanes("prod")
    assert LANE_NAME.fullmatch(lane.lane)
    assert lane == Lane(lane.lane, 1, 1, 3, False)
    for position in range(5):
        found = volume.read("prod", lane.lane, 1, position)
        assert found.data.splitlines() == lines(1, 2, 3)[position:]
        assert found.data.endswith(b"\n") or not found.data
        assert not found.sealed
    assert read_all(volume, "eu") == lines(9)


def test_a_segment_that_is_old_enough_ends_and_the_next_line_opens_another(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.commit({"prod": lines(1)})
    volume.maintain()
    (lane,) = volume.lanes("prod")
    assert not volume.read("prod", lane.lane, 1, 0).sealed
    monkeypatch.setattr(volumes, "SEAL_SECONDS", 0.0)
    volume.maintain()
    assert volume.read("prod", lane.lane, 1, 0).sealed
    assert volume.lanes("prod") == [lane]
    volume.commit({"prod": lines(2, 3)})
    assert volume.lanes("prod") == [Lane(lane.lane, 1, 2, 2, False)]
    assert read_all(volume) == lines(1, 2, 3)


@pytest.mark.usefixtures("short_segments")
def test_a_sealed_segment_is_one_zstd_file_of_the_same_lines(volume: Volume, tmp_path: Path) -> None:
    for number in range(1, 4):
        volume.commit({"prod": lines(number)})
    before = read_all(volume)
    volume.close()
    (lane,) = (tmp_path / "data/prod/lanes").iterdir()
    assert sorted(path.name for path in lane.iterdir()) == [
        "000000000001.ndjson.zst",
        "000000000002.ndjson.zst",
        "000000000003.ndjson.zst",
        "closed",
    ]
    assert (lane / "closed").read_text() == "3\n"
    assert zstd.decompress((lane / "000000000002.ndjson.zst").read_bytes()) == event(2) + b"\n"
    assert read_all(volume) == before == lines(1, 2, 3)
    assert volume.lanes("prod")[0].closed


def test_the_next_process_reads_everything_and_writes_a_lane_of_its_own(volume: Volume, tmp_path: Path) -> None:
    volume.commit({"prod": lines(1, 2)})
    volume.close()
    second = Volume(tmp_path / "data")
    second.open()
    assert read_all(second) == lines(1, 2)
    assert second.newest_at("prod") == 1_764_200_000_000_002
    second.commit({"prod": lines(3)})
    old, new = second.lanes("prod")
    assert (old.first, old.last, old.lines, old.closed) == (1, 1, 2, True)
    assert (new.first, new.last, new.lines, new.closed) == (1, 1, 1, False)
    assert second.newest_at("prod") == 1_764_200_000_000_003
    assert second.newest_at("eu") is None
    second.close()


@pytest.mark.usefixtures("short_segments")
def test_recent_keys_come_newest_first_over_all_lanes_as_they_stand_in_the_lines(
    volume: Volume, tmp_path: Path
) -> None:
    odd = 'pendo:a"b\\c:\u00e9\n'
    volume.commit({"prod": [event(1), event(2, odd)]})
    volume.commit({"prod": lines(3)})
    volume.close()
    second = Volume(tmp_path / "data")
    second.open()
    second.commit({"prod": lines(4, 5)})
    expected = [b"standard:5", b"standard:4", b"standard:3", b'pendo:a\\"b\\\\c:\xc3\xa9\\n', b"standard:1"]
    assert list(second.recent_keys("prod")) == expected
    assert list(second.recent_keys("eu")) == []
    second.close()


def test_what_is_not_there_is_no_such_segment(volume: Volume) -> None:
    volume.commit({"prod": lines(1)})
    (lane,) = volume.lanes("prod")
    for inlet, name, number in [("prod", lane.lane, 2), ("prod", lane.lane, 0), ("prod", "x", 1), ("eu", lane.lane, 1)]:
        with pytest.raises(NoSuchSegment):
            volume.read(inlet, name, number, 0)


def test_a_lane_name_that_exists_already_is_not_used_again(
    volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["20261126T220100Z-aaaaaa", "20261126T220100Z-aaaaaa", "20261126T220100Z-bbbbbb"])
    monkeypatch.setattr(volumes, "new_lane", lambda: next(names))
    volume.commit({"prod": lines(1)})
    volume.close()
    second = Volume(tmp_path / "data")
    second.open()
    second.commit({"prod": lines(2)})
    assert [lane.lane[-6:] for lane in second.lanes("prod")] == ["aaaaaa", "bbbbbb"]
    second.close()


def test_a_clock_that_was_set_back_loses_and_mixes_nothing(volume: Volume, tmp_path: Path) -> None:
    volume.commit({"prod": [event(5_000_000)]})
    volume.close()
    second = Volume(tmp_path / "data")
    second.open()
    second.commit({"prod": lines(1)})
    assert sorted(read_all(second)) == sorted([event(5_000_000), event(1)])
    assert second.newest_at("prod") == 1_764_200_005_000_000
    second.close()


def test_a_second_process_does_not_start(volume: Volume, tmp_path: Path) -> None:
    second = Volume(tmp_path / "data")
    with pytest.raises(StoreFailed, match="Another webhook-inlet uses the volume"):
        second.open()
    second.close()
    volume.commit({"prod": lines(1)})
    volume.close()
    third = Volume(tmp_path / "data")
    third.open()
    assert read_all(third) == lines(1)
    third.close()


def test_a_volume_that_is_no_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(StoreFailed, match=r"cannot be used: .*user of the process \(id 1000 in the image\)"):
            Volume(path).open()


def test_a_volume_restored_from_a_copy_goes_on_in_a_new_lane(volume: Volume, tmp_path: Path) -> None:
    volume.commit({"prod": lines(1, 2)})
    shutil.copytree(tmp_path / "data", tmp_path / "copy")  # while it runs
    volume.commit({"prod": lines(3, 4)})
    (lane,) = volume.lanes("prod")
    volume.close()
    restored = Volume(tmp_path / "copy")
    restored.open()
    restored.commit({"prod": lines(5)})
    assert read_all(restored) == lines(1, 2, 5)
    names = [found.lane for found in restored.lanes("prod")]
    assert lane.lane in names  # a reader that was at its line 4 finds no other line there
    assert restored.read("prod", lane.lane, 1, 4).data == b""
    restored.close()


def test_a_damaged_segment_stops_neither_the_start_nor_the_rest(volume: Volume, tmp_path: Path) -> None:
    volume.commit({"prod": lines(1, 2)})
    volume.close()
    second = Volume(tmp_path / "data")
    second.open()
    second.commit({"prod": lines(3)})
    second.close()
    lanes = sorted((tmp_path / "data/prod/lanes").glob("*/*.zst"), key=lambda path: path.stat().st_mtime)
    lanes[0].write_bytes(lanes[0].read_bytes()[:-5])
    third = Volume(tmp_path / "data")
    third.open()
    assert list(third.recent_keys("prod")) == [b"standard:3"]
    damaged = next(lane for lane in third.lanes("prod") if lane.lane == lanes[0].parent.name)
    assert damaged.lines == 1  # readers ask for it, and fail
    with pytest.raises(StoreError, match="is damaged and cannot be decompressed"):
        third.read("prod", damaged.lane, 1, 0)
    third.close()


def test_the_reserve_is_kept_and_said_before_a_write_fails(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    volume.commit({"prod": lines(1)})
    assert volume.problem() is None
    free = volume.free_bytes()
    assert free
    assert free > 0
    monkeypatch.setattr(space, "RESERVE_BYTES", 1 << 60)
    monkeypatch.setattr(space, "RESERVE_SHARE", 1.0)
    monkeypatch.setattr(space, "_LOOK_SECONDS", 0.0)
    refused = volume.commit({"prod": lines(2), "eu": lines(3)})
    assert sorted(refused) == ["eu", "prod"]
    assert "is full" in str(refused["prod"])
    assert volume.problem() == str(refused["prod"])
    monkeypatch.undo()
    volume._space._looked = 0.0
    assert volume.commit({"prod": lines(2)}) == {}
    assert volume.problem() is None
    assert read_all(volume) == lines(1, 2)


def test_inodes_are_a_reserve_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "RESERVE_FILES", 1 << 60)
    monkeypatch.setattr(space, "RESERVE_SHARE", 1.0)
    monkeypatch.setattr(space, "RESERVE_BYTES", 0)
    full = Volume(tmp_path)
    full.open()
    assert "no room for more files" in (full.problem() or "")
    full.close()
