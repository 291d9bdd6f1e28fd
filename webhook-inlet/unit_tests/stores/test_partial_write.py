"""The volume when the kernel takes a part of a line and refuses the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from store_reading import read_all
from webhook_inlet.stores.volume import Volume

#: A file may not grow over 1,500 bytes: the kernel takes a part of the line that crosses the limit.
LIMITED = """
import json, os, resource, sys
from pathlib import Path
from webhook_inlet.stores import volume as volumes
volume = volumes.Volume(Path(sys.argv[1]))
volume.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
stored, words = [], ""
for number in range(100):
    line = b'{"v":1,"key":"standard:%d","at":%d,"body":"%b"}' % (number, number, b"x" * (number % 80))
    refused = volume.commit({"prod": [line]})
    if refused:
        words = str(refused["prod"])
    else:
        stored.append(number)
    if number == 60:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps([stored, words]))
sys.stdout.flush()
if sys.argv[2] == "closes":
    volume.close()
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["closes", "dies"])
def test_a_file_that_takes_a_part_of_a_line_keeps_what_was_acknowledged_only(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path), end]
    stored, words = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert "refused a write (File too large)" in words
    assert 10 < len(stored) < 80
    assert stored[-1] == 99
    volume = Volume(tmp_path)
    volume.open()
    assert [int(line.split(b'"')[5][9:]) for line in read_all(volume)] == stored
    volume.close()
