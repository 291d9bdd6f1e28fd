"""The volume of webhook-inlet on a disk that is really full: a small tmpfs that only its process sees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from webhooks.small_disk import own_mounts

#: Fills the volume, reports what was stored and refused, then frees space and goes on, then reads all of it again.
PROGRAM = """
import json, os, random, sys
from pathlib import Path
from webhook_inlet.stores import space
from webhook_inlet.stores import volume as volumes

root, reserve, end = Path(sys.argv[1]), sys.argv[2] == "reserve", sys.argv[3]
space._LOOK_SECONDS = 0.0
if not reserve:
    space.RESERVE_SHARE = space.RESERVE_FILES = 0
volumes.SEAL_BYTES = 100_000
chance = random.Random(5)
ballast = root / "ballast"
ballast.write_bytes(bytes(600_000))
volume = volumes.Volume(root)
volume.open()
stored, words, refused = [], [], 0

def post(number):
    global refused
    line = b'{"v":1,"key":"standard:%d","at":%d,"body":"%b"}' % (number, number, chance.randbytes(1000).hex().encode())
    if answer := volume.commit({"prod": [line]}):
        refused += 1
        words.append(str(answer["prod"]))
    else:
        stored.append(number)

number = 0
while refused < 50:
    post(number)
    number += 1
before, problem = len(stored), volume.problem()
ballast.unlink()
volume._space._refused = None
for number in range(number, number + 100):
    post(number)
if end == "dies":
    volume._failed = "died"
volume.close()
again = volumes.Volume(root)
again.open()
found = []
for lane in again.lanes("prod"):
    for segment in range(lane.first, lane.last + 1):
        for line in again.read("prod", lane.lane, segment, 0).data.splitlines():
            found.append(int(line.split(b'"')[5][9:]))
again.close()
left = [path.name for path in root.rglob("*") if path.suffix in (".tmp", ".ndjson")]
print(json.dumps({"stored": stored, "found": found, "words": sorted(set(words)), "before": before, "problem": problem,
                  "after": again.problem(), "left": left}))
"""


def run(tmp_path: Path, mode: str, end: str) -> Any:
    folder = tmp_path / "disk"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4" "$5"'
    command = [*own_mounts(), "sh", "-c", script, "sh", str(folder), sys.executable, PROGRAM, mode, end]
    ended = subprocess.run(command, capture_output=True, timeout=120)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    return json.loads(ended.stdout)


@pytest.mark.parametrize("end", ["closes", "dies"])
def test_a_full_disk_loses_and_tears_nothing_and_the_volume_goes_on_when_there_is_room(
    tmp_path: Path, end: str
) -> None:
    result = run(tmp_path, "none", end)
    assert result["found"] == result["stored"]
    assert len(result["words"]) == 1
    assert "is full (No space left on device)" in result["words"][0]
    assert result["problem"] == result["words"][0]
    assert len(result["stored"]) == result["before"] + 100
    assert result["left"] == []


def test_the_reserve_refuses_before_the_disk_does(tmp_path: Path) -> None:
    result = run(tmp_path, "reserve", "closes")
    assert result["found"] == result["stored"]
    assert all("MiB free" in words for words in result["words"])
    assert result["after"] is None
    assert len(result["stored"]) == result["before"] + 100
