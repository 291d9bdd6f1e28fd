"""A decoding process: reads jobs from stdin, one JSON document a line, and sends decoded rows back.

Started by `pool` as `python -m source_heap.avro.worker <memory> <acknowledgements>`, two descriptors that `frames`
explains. It imports neither the CDK nor boto3, and ends when stdin does, so it never outlives the connector.
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
from source_heap.avro.values import RowRules


def serve(jobs: Iterable[bytes], sender: frames.Sender) -> None:
    """Answers jobs until there are no more, or nobody is there to listen."""
    for line in jobs:
        try:
            _answer(orjson.loads(line), sender)
        except BeyondLimit as error:
            sender.tell(frames.BEYOND_LIMIT, str(error))
        except BrokenFile as error:
            sender.tell(frames.BROKEN, str(error))
        except BrokenPipeError:
            return
        except Exception as error:  # the connector raises it where it is seen, and this process lives on
            sender.tell(frames.FAILED, f"{type(error).__name__}: {error}")


def _answer(job: dict[str, Any], sender: frames.Sender) -> None:
    """Decodes the spans of blocks that fell to this process, each followed by a frame that ends it."""
    schema = declared(parsed(job["schema"].encode("latin-1")))
    decoder = Decoder(schema, RowRules(**job["rules"]))
    with Path(job["path"]).open("rb") as file:
        for span in job["spans"]:
            for piece in decoder.pieces(read_blocks(file, job["codec"], [Span(*span)])):
                sender.rows(piece)
            sender.tell(frames.SPAN_END)


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles; the collector would walk over rows that live for a moment
    out = os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    serve(sys.stdin.buffer, frames.Sender(out, int(sys.argv[1]), int(sys.argv[2])))
