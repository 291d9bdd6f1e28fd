"""A writing process that is killed with SIGKILL: all it reported as committed is there, once, and no line is torn."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_reading import read_all
from webhook_inlet.stores.volume import Volume

#: Writes until it is killed, sealing often, and reports each commit with one write, which is whole or not there.
WRITER = """
import itertools, os, sys
from pathlib import Path
from webhook_inlet.stores import volume as volumes
volumes.SEAL_BYTES, volumes.SEAL_SECONDS = 3000, 0.01
volume = volumes.Volume(Path(sys.argv[1]))
volume.open()
numbers = itertools.count()
for turn in itertools.count():
    batch = [next(numbers) for _ in range(1 + turn % 7)]
    made = [(sys.argv[2].encode(), n, n, b"x" * (n % 200)) for n in batch]
    lines = [b'{"v":1,"key":"%b:%d","at":%d,"body":"%b"}' % parts for parts in made]
    assert volume.commit({"prod": lines}) == {}
    os.write(1, b"%d\\n" % (batch[-1] + 1))
    if turn % 5 == 0:
        volume.maintain()
"""


def kill_one(root: Path, name: str, seconds: float) -> int:
    """How many lines a writer reported before it was killed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, root, name], stdout=subprocess.PIPE) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        reported = (first + process.stdout.read()).splitlines()
    return int(reported[-1])


@pytest.mark.slow
def test_nothing_that_was_reported_is_lost_or_stored_twice(tmp_path: Path) -> None:
    reported = {f"{turn}": kill_one(tmp_path, f"{turn}", random.uniform(0, 0.3)) for turn in range(6)}
    volume = Volume(tmp_path)
    volume.open()
    assert len(volume.lanes("prod")) == len(reported)
    found: dict[str, list[int]] = {}
    for line in read_all(volume):
        assert line.endswith(b'"}')
        name, key = line.split(b'"')[5].decode().split(":")
        found.setdefault(name, []).append(int(key))
    for name, count in reported.items():
        assert found[name] == list(range(len(found[name])))
        assert count <= len(found[name]) <= count + 7
    volume.close()
    leftovers = [path.name for path in tmp_path.rglob("*") if path.suffix in (".tmp", ".ndjson")]
    assert leftovers == []
