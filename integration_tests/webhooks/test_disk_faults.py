"""Disks that fail, fill up, are restored or shared, and clocks that are set back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from simulators.webhooks.ledger import Entry, Ledger
from simulators.webhooks.sender import Habits, Sending
from webhooks.accounts import both
from webhooks.inlet_process import Inlet, MakeInlet, eventually, write_config
from webhooks.kept_log import Lanes, assert_kept, by_files, by_http, lines
from webhooks.small_disk import own_mounts

DAY = 86_400


def post(inlet: Inlet, count: int, *, seed: int = 1, seconds: float = 20, parallel: int = 1) -> Ledger:
    """Posts so many events of Customer.io, or as many as are answered in time."""
    ledger = Ledger()
    webhooks = both({"customerio": [inlet.path("customerio")]}, Habits(parallel=parallel), seed=seed, count=count)
    with Sending(webhooks, ledger) as sending:
        sending.wait(seconds)
    return ledger


def test_after_a_failed_fdatasync_nothing_more_is_acknowledged_and_the_process_ends(
    make_inlet: MakeInlet, volume: Path
) -> None:
    inlet = make_inlet(broken={"BROKEN_FDATASYNC_AFTER": "12"})
    ledger = post(inlet, 2_000, seconds=3, parallel=4)
    assert ledger.accepted > 0
    assert set(ledger.answers) <= {200, 503, "refused", "reset", "eof"}, ledger.summary()
    assert eventually(inlet.ended, 15)
    assert inlet.process.returncode != 0
    assert "sync" in inlet.output().lower()
    assert "Traceback" not in inlet.output()
    after = make_inlet()
    assert assert_kept(ledger.entries, by_http(after, "customerio")) == ledger.accepted
    more = post(after, 20, seed=2)
    assert more.accepted == 20


def test_a_disk_that_cannot_sync_from_the_start_acknowledges_nothing(make_inlet: MakeInlet) -> None:
    try:
        inlet = make_inlet(broken={"BROKEN_FDATASYNC_AFTER": "0"})
    except RuntimeError as error:
        assert "Traceback" not in str(error)  # noqa: PT017 - it may refuse to start, or answer 503
        return
    ledger = post(inlet, 5, seconds=2)
    assert ledger.accepted == 0
    assert eventually(inlet.ended, 15)
    assert inlet.process.returncode != 0


def test_a_full_disk_sheds_with_503_and_heals_when_there_is_room(make_inlet: MakeInlet, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=24m none {small} && head -c 20m /dev/zero > {small}/filler && exec "$@"'
    config = write_config(tmp_path, {"type": "volume", "path": str(small / "data")})
    inlet = make_inlet(config=config, before=[*own_mounts(), "sh", "-c", script, "sh"])
    inside = Path(f"/proc/{inlet.process.pid}/root{small}")
    ledger = Ledger()
    habits = Habits(parallel=4)
    with Sending(both({"customerio": [inlet.path("customerio")]}, habits), ledger):
        assert eventually(lambda: ledger.answers[503] > 0, 60), ledger.summary()
        assert set(ledger.answers) == {200, 503}, ledger.summary()
        assert eventually(lambda: inlet.get("/readyz", token=None)[0] == 503)
        assert not inlet.ended()
        assert len(lines(by_http(inlet, "customerio"))) >= ledger.accepted, "what was stored can be read"
        (inside / "filler").unlink()
        accepted = ledger.accepted
        assert eventually(lambda: ledger.accepted > accepted + 100, 30), ledger.summary()
        assert eventually(lambda: inlet.get("/readyz", token=None)[0] == 200)
    assert_kept(ledger.entries, by_http(inlet, "customerio"))
    assert inlet.terminate() == 0


def test_a_second_process_on_a_volume_does_not_start_and_the_first_goes_on(make_inlet: MakeInlet, volume: Path) -> None:
    first = make_inlet()
    with pytest.raises(RuntimeError) as refused:
        make_inlet()
    assert "Traceback" not in str(refused.value)
    assert str(volume) in str(refused.value) or "another" in str(refused.value)
    ledger = post(first, 50)
    assert ledger.accepted == 50
    assert_kept(ledger.entries, by_http(first, "customerio"))


def test_a_volume_restored_from_a_copy_uses_no_position_twice(
    make_inlet: MakeInlet, volume: Path, tmp_path: Path
) -> None:
    inlet = make_inlet()
    before = post(inlet, 100)
    copy = tmp_path / "copy"
    shutil.copytree(volume, copy)  # while the process runs, as a snapshot does
    lost = post(inlet, 100, seed=2)
    inlet.kill()
    lost_lanes = by_files(volume, "customerio")
    shutil.rmtree(volume)
    copy.rename(volume)
    restored = make_inlet()
    after = post(restored, 100, seed=3)
    lanes = by_http(restored, "customerio")
    assert assert_kept([*before.entries, *after.entries], lanes) == 200
    assert not positions(lost.entries, lost_lanes) & positions(after.entries, lanes), "a reader would miss them"


def positions(entries: Iterable[Entry], lanes: Lanes) -> set[tuple[str, int, int]]:
    """Lane, segment and line of what was acknowledged."""
    hashes = {digest for entry in entries for digest in entry.acknowledged}
    return {
        (lane, segment, number)
        for lane, segments in lanes.items()
        for segment, part in segments.items()
        for number, line in enumerate(part)
        if line.sha256 in hashes
    }


def test_a_clock_that_is_set_back_loses_nothing_and_repeats_no_position(make_inlet: MakeInlet, volume: Path) -> None:
    inlet = make_inlet(broken={"CLOCK_OFFSET": str(-DAY), "CLOCK_JUMP_AFTER": "1.5"})
    ledgers = [post(inlet, 50, seed=1)]
    time.sleep(1.5)
    ledgers.append(post(inlet, 50, seed=2))
    inlet.kill()
    behind = make_inlet(broken={"CLOCK_OFFSET": str(-5 * DAY)})
    ledgers.append(post(behind, 50, seed=3))
    assert behind.terminate() == 0, behind.output()
    now = make_inlet()
    ledgers.append(post(now, 50, seed=4))
    lanes = by_http(now, "customerio")
    entries = [entry for ledger in ledgers for entry in ledger.entries]
    assert assert_kept(entries, lanes) == 200
    assert len(lanes) == 3
    assert all(segments for segments in lanes.values()), "what is younger than retention_days is kept"


def test_a_torn_last_line_is_cut_off_at_the_start(make_inlet: MakeInlet, volume: Path) -> None:
    inlet = make_inlet()
    ledger = post(inlet, 30)
    inlet.kill()
    (open_segment,) = (volume / "customerio" / "lanes").glob("*/*.ndjson")
    with open_segment.open("ab") as file:
        file.write(b'{"v":1,"key":"customerio:01TORN","at":1')
    after = make_inlet()
    assert assert_kept(ledger.entries, by_http(after, "customerio")) == 30
    assert post(after, 10, seed=2).accepted == 10
