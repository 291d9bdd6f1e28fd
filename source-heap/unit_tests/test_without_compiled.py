"""Without the compiled decoder a sync says once that it is slow, why, and what to do; rows and states are the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from decoding import DECODERS
from heap_world import Heap, command, put_event
from source_heap.avro import native_decoder
from test_kit.messages import Output

SLOW = "Files are read slowly, by fastavro, since the connector's compiled decoder cannot be loaded"
TO_DO = "Install source-heap from a wheel for this system, or again where there is a C compiler."


def test_a_sync_without_the_compiled_decoder_says_so_once(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    put_event(heap, 1, range(5))
    monkeypatch.setattr(native_decoder, "MISSING", "no module\n named native " + "x" * 500)
    assert not heap.discover().logged(SLOW)
    [line] = heap.read().logged(SLOW)
    assert line.startswith(f"WARN: {SLOW} (no module named native xxx")
    assert line.endswith(TO_DO)
    assert len(line) < 500


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_command_says_which_way_is_slow(decoder: str, heap: Heap, tmp_path: Path) -> None:
    put_event(heap, 1, range(5))
    argv = command(heap, tmp_path, decoder, ["event"])
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    output = Output(done.returncode, done.stdout, "")
    assert [row["event_id"] for row in output.records["event"]] == list(range(5))
    lines = output.logged(SLOW)
    if decoder == "compiled" and native_decoder.MISSING is None:
        assert lines == []
    else:
        [line] = lines
        assert "native" in line
        assert line.endswith(TO_DO)


def test_rows_and_states_are_the_same_either_way(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    put_event(heap, 1, range(50))
    first = heap.read()
    monkeypatch.setattr(native_decoder, "MISSING", "not installed")
    second = heap.read()
    assert second.records == first.records
    assert second.states == first.states
