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
from source_heap.avro.container import Block, BrokenFile, read_blocks
from source_heap.avro.decoder import Decoder
from source_heap.avro.values import RowRules


def serve(jobs: Iterable[bytes], sender: frames.Sender) -> None:
    """Answers jobs until there are no more, or nobody is there to listen."""
    for line in jobs:
        try:
            _answer(orjson.loads(line), sender)
        except BrokenFile as error:
            sender.tell(frames.BROKEN, str(error))
        except BrokenPipeError:
            return
        except Exception as error:  # the connector raises it where it is seen, and this process lives on
            sender.tell(frames.FAILED, f"{type(error).__name__}: {error}")


def _answer(job: dict[str, Any], sender: frames.Sender) -> None:
    """Decodes the groups of blocks that fell to this process, each followed by a frame that ends it."""
    decoder = Decoder(job["schema"], RowRules(**job["rules"]))
    with Path(job["path"]).open("rb") as file:
        for group in job["groups"]:
            blocks = [Block(*block) for block in group]
            for piece in decoder.pieces(read_blocks(file, job["codec"], blocks)):
                sender.rows(piece)
            sender.tell(frames.GROUP_END)


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles; the collector would walk over rows that live for a moment
    out = os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    serve(sys.stdin.buffer, frames.Sender(out, int(sys.argv[1]), int(sys.argv[2])))
