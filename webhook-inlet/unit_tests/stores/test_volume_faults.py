"""The volume when the disk fails it: refused and cut writes, failed syncs, torn lines, readers beside a writer."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from store_reading import read_all
from webhook_inlet.store import StoreError, StoreFailed
from webhook_inlet.stores import volume as volumes
from webhook_inlet.stores import volume_files
from webhook_inlet.stores.volume import Volume

LINES = [b'{"v":1,"key":"standard:%d","at":%d,"body":"%b"}' % (number, number, b"x" * number) for number in range(60)]


def reopened(volume: Volume) -> Volume:
    """The next process, after this one died without a word."""
    volume._unlock()
    volume._failed = "died"  # so that the end of the test writes nothing
    volume._sealer.shutdown()  # its thread must not go on beside the next process
    following = Volume(volume._root)
    following.open()
    return following


def failing(number: int, taken: int, times: int = 1) -> Callable[[int, memoryview], int]:
    """`os.write` of a disk that takes `taken` bytes and then fails `times` times."""
    real, rest = os.write, [taken, times]

    def write(file: int, data: memoryview) -> int:
        if rest[0]:
            part = min(rest[0], len(data))
            rest[0] -= part
            return real(file, data[:part])
        if rest[1]:
            rest[1] -= 1
            raise OSError(number, os.strerror(number))
        return real(file, data)

    return write


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("taken", [0, 1, 40, 100])
@pytest.mark.parametrize("before", [0, 2])
def test_a_refused_write_leaves_what_was_durable_and_the_next_one_goes_on(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, number: int, taken: int, before: int
) -> None:
    if before:
        volume.commit({"prod": LINES[:before]})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(number, taken))
        refused = volume.commit({"prod": LINES[10:13], "eu": LINES[:1]})
    assert list(refused) == ["prod"]
    assert type(refused["prod"]) is StoreError
    assert volume.problem() == str(refused["prod"])
    assert os.strerror(number) in str(refused["prod"])
    assert volume.commit({"prod": LINES[20:22]}) == {}
    expected = LINES[:before] + LINES[20:22]
    assert read_all(volume) == expected
    following = reopened(volume)
    assert read_all(following) == expected
    following.close()


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("taken", [1, 100])
def test_a_refused_write_that_cannot_be_cut_off_never_stands_before_an_acknowledged_line(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, before: int, taken: int
) -> None:
    def refuse(file: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    if before:
        volume.commit({"prod": LINES[:before]})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(errno.ENOSPC, taken))
        patch.setattr(os, "ftruncate", refuse)
        assert list(volume.commit({"prod": LINES[10:13]})) == ["prod"]
    assert volume.commit({"prod": LINES[20:22]}) == {}
    assert read_all(volume) == LINES[:before] + LINES[20:22]
    assert len(list((volume._root / "prod/lanes").iterdir())) == (1 if before else 2)  # no number is skipped
    following = reopened(volume)
    found = read_all(following)
    assert [line for line in found if line not in LINES[10:13]] == LINES[:before] + LINES[20:22]
    for lane in following.lanes("prod"):
        assert lane.first == 1
    following.close()


def test_a_failed_fdatasync_ends_the_use_of_the_volume_without_another_try(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fail(file: int) -> None:
        synced.append(file)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    volume.commit({"prod": LINES[:2]})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreFailed, match=r"must not be used any more: fdatasync failed \(Input/output error\)"):
            volume.commit({"prod": LINES[2:4]})
        assert len(synced) == 1
        with pytest.raises(StoreFailed):
            volume.commit({"prod": LINES[2:4]})
        volume.maintain()
        assert len(synced) == 1
    assert "must not be used" in (volume.problem() or "")
    assert read_all(volume) == LINES[:2]  # readers get what was acknowledged
    (lane,) = volume.lanes("prod")
    folder = volume._root / "prod/lanes" / lane.lane
    volume.close()
    assert [path.name for path in folder.iterdir()] == ["000000000001.ndjson"]


@pytest.mark.parametrize("turn", [1, 2, 3, 4])
def test_a_folder_that_cannot_be_synced_ends_the_use_of_the_volume(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    real, turns = os.fsync, [turn]

    def fail(file: int) -> None:
        turns[0] -= 1
        if not turns[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreFailed, match=r"fsync of a folder failed \(Input/output error\)"):
            volume.commit({"prod": LINES[:1]})
    assert turns == [0]
    assert volume.lanes("prod") == []
    with pytest.raises(StoreFailed):
        volume.commit({"prod": LINES[1:2]})
    following = reopened(volume)
    assert following.lanes("prod") == []
    assert following.commit({"prod": LINES[1:2]}) == {}
    assert read_all(following) == LINES[1:2]
    following.close()


def test_a_folder_that_cannot_be_made_refuses_its_lines_and_the_next_ones_go_on(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        assert list(volume.commit({"prod": LINES[:1]})) == ["prod"]
    assert volume.commit({"prod": LINES[1:2]}) == {}
    assert read_all(volume) == LINES[1:2]


@pytest.mark.slow
def test_a_line_torn_at_any_byte_is_cut_off_and_all_before_it_stays(tmp_path: Path) -> None:
    whole = b"".join(line + b"\n" for line in LINES[:3])
    for cut in range(len(LINES[2]) + 2):
        folder = tmp_path / str(cut) / "prod/lanes/20261126T220100Z-aaaaaa"
        folder.mkdir(parents=True)
        (folder / "000000000001.ndjson").write_bytes(whole[: len(whole) - cut])
        volume = Volume(tmp_path / str(cut))
        volume.open()
        assert read_all(volume) == LINES[: 3 if cut == 0 else 2]
        assert [path.name for path in folder.iterdir()] == ["000000000001.ndjson.zst"]
        volume.close()


def test_zeros_that_a_power_cut_left_behind_the_last_line_are_cut_off(tmp_path: Path) -> None:
    folder = tmp_path / "prod/lanes/20261126T220100Z-aaaaaa"
    folder.mkdir(parents=True)
    (folder / "000000000001.ndjson").write_bytes(LINES[0] + b"\n" + LINES[1][:9] + bytes(4000) + b"\n")
    volume = Volume(tmp_path)
    volume.open()
    assert read_all(volume) == LINES[:1]
    volume.close()


def test_every_leftover_of_a_killed_process_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "prod/lanes/20261126T220100Z-aaaaaa"
    folder.mkdir(parents=True)
    (tmp_path / "prod/lanes/20261126T220100Z-cccccc").mkdir()  # its first segment was not made yet
    volume_files_of = {
        "000000000001.ndjson": LINES[0] + b"\n",  # sealed, but not removed yet
        "000000000002.ndjson": LINES[1] + b"\n",  # not sealed yet
        "000000000002.ndjson.zst.tmp": b"half",
        "000000000003.ndjson": LINES[2] + b"\n" + LINES[3][:5],
        "closed.tmp": b"",
    }
    for name, data in volume_files_of.items():
        (folder / name).write_bytes(data)
    volume_files.seal(folder, 1, len(LINES[0]) + 1)
    (folder / "000000000004.ndjson").write_bytes(b"")  # made, but nothing was written
    volume = Volume(tmp_path)
    volume.open()
    assert read_all(volume) == LINES[:3]
    assert sorted(path.name for path in folder.iterdir()) == [f"00000000000{number}.ndjson.zst" for number in (1, 2, 3)]
    assert [lane.lane for lane in volume.lanes("prod")] == [folder.name]
    volume.close()


def test_a_segment_that_cannot_be_sealed_stays_readable_and_is_sealed_later(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, number: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(volumes, "SEAL_BYTES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(volume_files, "seal", full)
        volume.commit({"prod": LINES[:1]})
        volume.commit({"prod": LINES[1:2]})
        volume._sealer.submit(lambda: None).result()
        assert read_all(volume) == LINES[:2]
    (lane,) = volume.lanes("prod")
    folder = volume._root / "prod/lanes" / lane.lane
    assert sorted(path.suffix for path in folder.iterdir()) == [".ndjson", ".ndjson"]
    assert volume.read("prod", lane.lane, 1, 0).sealed
    volume._seal_again = 0.0
    volume.maintain()
    volume._sealer.submit(lambda: None).result()
    assert sorted(path.suffix for path in folder.iterdir()) == [".zst", ".zst"]
    assert read_all(volume) == LINES[:2]


def test_a_start_on_a_full_disk_leaves_segments_plain_and_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, number: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "prod/lanes/20261126T220100Z-aaaaaa"
    folder.mkdir(parents=True)
    (folder / "000000000001.ndjson").write_bytes(LINES[0] + b"\n" + LINES[1][:5])
    with monkeypatch.context() as patch:
        patch.setattr(volume_files, "seal", full)
        volume = Volume(tmp_path)
        volume.open()
    assert read_all(volume) == LINES[:1]
    assert volume.read("prod", folder.name, 1, 0).sealed
    volume.maintain()
    volume.close()
    assert [path.name for path in folder.iterdir()] == ["000000000001.ndjson.zst"]


@pytest.mark.slow
def test_every_read_beside_a_writer_is_a_prefix_of_whole_durable_lines(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "SEAL_BYTES", 400)
    committed, faults = [0], []
    done = threading.Event()
    all_lines = [b'{"v":1,"key":"standard:%d","at":%d,"body":"%d"}' % (n, n, n) for n in range(1500)]

    def reader() -> None:
        position: tuple[int, int] = (1, 0)
        got: list[bytes] = []
        while not (done.is_set() and len(got) == len(all_lines)):
            durable = committed[0]
            for lane in volume.lanes("prod"):
                while position[0] <= lane.last:
                    found = volume.read("prod", lane.lane, *position)
                    fresh = found.data.splitlines()
                    if found.data and not found.data.endswith(b"\n"):
                        faults.append(f"torn: {found.data[-40:]!r}")
                    got += fresh
                    if not found.sealed:
                        position = (position[0], position[1] + len(fresh))
                        break
                    position = (position[0] + 1, 0)
            if got != all_lines[: len(got)]:
                faults.append("not a prefix")
            if len(got) < durable:
                faults.append(f"{len(got)} of {durable}")
            if faults:
                return

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for begin in range(0, len(all_lines), 6):
        volume.commit({"prod": all_lines[begin : begin + 6]})
        committed[0] = begin + 6
    done.set()
    for thread in threads:
        thread.join(20)
    assert faults == []
    assert not any(thread.is_alive() for thread in threads)
    assert read_all(volume) == all_lines


@pytest.mark.parametrize(
    ("removed", "open_segment"),
    [("file", True), *((what, grows) for what in ("lane", "inlet", "root", "renamed") for grows in (True, False))],
)
def test_nothing_is_stored_in_a_file_that_was_removed_below_the_process(
    volume: Volume, removed: str, open_segment: bool
) -> None:
    assert volume.commit({"prod": LINES[:2]}) == {}
    (file,) = volume._root.rglob("*.ndjson")
    if not open_segment:
        volume._end_segment(volume._live["prod"])
        volume._sealer.submit(bool).result()
    lane = file.parent
    match removed:
        case "file":
            file.unlink()
        case "renamed":
            lane.rename(lane.with_name("elsewhere"))
        case _:
            shutil.rmtree({"lane": lane, "inlet": lane.parent.parent, "root": volume._root}[removed])
    with pytest.raises(StoreFailed, match=r"was removed or renamed.*then start the inlet again"):
        volume.commit({"prod": LINES[2:4]})
    assert volume.problem()


def test_segments_are_not_for_everybody_to_read_and_every_new_folder_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = volume_files.sync_folder
    monkeypatch.setattr(volume_files, "sync_folder", lambda folder: (synced.append(folder), real(folder)))
    volume = Volume(tmp_path / "a" / "b" / "data")
    volume.open()
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(synced)
    volume.commit({"prod": LINES[:2]})
    (plain,) = volume._root.rglob("*.ndjson")
    assert plain.stat().st_mode & 0o007 == 0
    volume.close()
    (sealed,) = volume._root.rglob("*.ndjson.zst")
    assert sealed.stat().st_mode & 0o007 == 0
