"""A decoding process: reads jobs from stdin, one JSON document a line, and sends decoded rows back.

`pool` starts it as `python -m source_heap.avro.worker <memory> <acknowledgements>`, with two file descriptors that
`frames` explains. It imports neither the CDK nor boto3. It ends when stdin does, so it never outlives the connector.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from source_heap.avro import frames
from source_heap.avro.container import Span, read_blocks
from source_heap.avro.declared import declared, parsed
from source_heap.avro.decoder import Decoder
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.values import Projection


def serve(jobs: Iterable[bytes], sender: frames.Sender) -> None:
    """Answers jobs until stdin ends or the connector is gone."""
    for line in jobs:
        try:
            _answer(orjson.loads(line), sender)
        except BrokenFile as error:
            sender.send(frames.BEYOND_LIMIT if isinstance(error, BeyondLimit) else frames.BROKEN, str(error))
        except BrokenPipeError:
            return
        except Exception as error:  # the connector raises it; this process goes on
            sender.send(frames.FAILED, f"{type(error).__name__}: {error}")


def _answer(job: dict[str, Any], sender: frames.Sender) -> None:
    schema = declared(parsed(job["schema"].encode("latin-1")))
    decoder = Decoder(schema, Projection(**job["projection"]))
    with Path(job["path"]).open("rb") as file:
        for span in job["spans"]:
            for chunk in decoder.chunks(read_blocks(file, job["codec"], [Span(*span)])):
                sender.rows(chunk)
            sender.send(frames.SPAN_END)


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles, and the collector would scan short-lived rows
    out = os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    serve(sys.stdin.buffer, frames.Sender(out, int(sys.argv[1]), int(sys.argv[2])))
