"""A bucket of years: what its manifests cost in requests, memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from heap_world import EVENT, Heap
from simulators.heap.avro_files import encode
from simulators.heap.layout import StoredObject
from test_kit.catalogs import configured_stream, stream_states
from test_kit.command import arguments
from test_kit.messages import Output

TABLES = ["event", *(f"table_{number}" for number in range(11))]
COLUMNS = [column.name for column in EVENT] + [f"property_{number}" for number in range(12)]
#: Peak memory of a command with any number of manifests
MEGABYTES = 150
#: Starts the command in a process of its own: Linux counts the memory of the process that starts it as its peak
_MEASURED = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
)


def dumps_of_years(count: int) -> Iterator[StoredObject]:
    """Hourly dumps of twelve tables, with a file of `event` every day; all full in the first and at nine tenths."""
    data = encode(EVENT, [{"event_id": 1, "user_id": 1, "time": "2026-01-01 00:00:00"}])
    full = (1_000, 1_000 + count // 10 * 9)
    for dump_id in range(1_000, 1_000 + count):
        tables = []
        for name in TABLES:
            has_file = dump_id in full or (name == "event" and dump_id % 24 == 0)
            files = [f"sync_{dump_id}/{name}/part-0.avro"] if has_file else []
            yield from (StoredObject(key, data) for key in files)
            tables.append({"name": name, "incremental": dump_id not in full, "columns": COLUMNS, "files": files})
        yield StoredObject(
            f"manifests/sync_{dump_id}.json", json.dumps({"dump_id": dump_id, "tables": tables}).encode()
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "count", [1_001, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])], ids=["short", "long"]
)
def test_manifests_cost_one_request_each_once_and_nothing_new_costs_the_lists(
    count: int, heap: Heap, tmp_path: Path
) -> None:
    heap.server.put(dumps_of_years(count))
    lists = -(-count // 1_000)

    def run(verb: str, **files: Any) -> tuple[Output, Counter[str]]:
        heap.server.requests.clear()
        argv = [str(Path(sys.executable).parent / "source-heap"), *arguments(tmp_path, verb, (), files)]
        done = subprocess.run([sys.executable, "-c", _MEASURED, *argv], capture_output=True, check=True)
        assert int(done.stderr.split()[-1]) < MEGABYTES * 1024
        kinds = Counter("list" if "list-type" in one.query else one.path[-4:] for one in heap.server.requests)
        return Output(0, done.stdout), kinds

    output, requests = run("discover", config=heap.config())
    assert requests["list"] == lists
    assert requests["json"] == count
    catalog = {"streams": [configured_stream(stream) for stream in output.streams]}
    output, requests = run("read", config=heap.config(), catalog=catalog)
    assert requests["list"] == lists
    assert requests["json"] == count
    assert len(output.records["_heap_dumps"]) == count * len(TABLES)
    state = stream_states(output.last_states())
    output, requests = run("read", config=heap.config(), catalog=catalog, state=state)
    assert not output.records
    assert requests == {"list": lists}
