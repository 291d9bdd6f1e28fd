"""A connector that is killed at any moment resumes from its last state, and no record is missing."""

from __future__ import annotations

import random

import orjson
import pytest
from kit_toys import CommandLine, IndependentStream, ParallelStream, ToySource, ToyStream
from test_kit.catalogs import stream_state
from test_kit.messages import Message

KINDS = (ToyStream, ParallelStream, IndependentStream)


def read_until_killed(toy: CommandLine, source: ToySource, known: dict[str, Message], lines: int) -> list[Message]:
    """The messages of a read that is killed after this many lines, with all that is in the pipe by then."""
    states = [stream_state(name, state) for name, state in known.items()]
    child = toy.start_read(source, states=states)
    output = b""
    while more := child.stdout.read(4096):
        output += more
        if output.count(b"\n") >= lines:
            child.kill()
            lines = 1 << 60
    child.wait()
    return [orjson.loads(line) for line in output.split(b"\n")[:-1]]


def commit(messages: list[Message], warehouse: set[str], known: dict[str, Message]) -> None:
    """Like a destination that keeps only the records that are followed by a state."""
    loose: dict[str, set[str]] = {}
    for message in messages:
        if message["type"] == "RECORD":
            loose.setdefault(message["record"]["stream"], set()).add(message["record"]["data"]["id"])
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            known[name] = message["state"]["stream"]["stream_state"]
            warehouse |= loose.pop(name, set())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_sync_that_is_killed_several_times_delivers_every_record(toy: CommandLine, seed: int) -> None:
    chance = random.Random(seed)
    streams = [kind(kind.__name__, slices=10, rows=8, batch=2, jitter=0.003) for kind in KINDS]
    warehouse: set[str] = set()
    known: dict[str, Message] = {}
    for _ in range(8):
        messages = read_until_killed(toy, ToySource(*streams, workers=8), known, chance.randrange(5, 70))
        commit(messages, warehouse, known)
    code, messages = toy.read(ToySource(*streams), states=[stream_state(name, state) for name, state in known.items()])
    commit(messages, warehouse, known)
    assert code == 0
    assert warehouse == set().union(*(stream.truth for stream in streams))


def test_a_resumed_sync_reads_only_what_is_missing(toy: CommandLine) -> None:
    stream = ToyStream("s", slices=5, rows=10)
    code, messages = toy.read(ToySource(stream), states=[stream_state("s", {"slice": 3, "row": 5})])
    assert code == 0
    read = [message["record"]["data"]["id"] for message in messages if message["type"] == "RECORD"]
    assert read == [f"s/3/{n}" for n in range(5, 10)] + [f"s/4/{n}" for n in range(10)]
