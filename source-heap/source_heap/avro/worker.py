"""A decoding process: reads jobs from stdin, one JSON document a line, and writes frames of decoded rows to stdout.

Started by `pool` as `python -m source_heap.avro.worker`. It imports neither the CDK nor boto3, and ends when stdin
does, so it never outlives the connector. Frames are described in `frames`.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from source_heap.avro import frames
from source_heap.avro.container import Block, BrokenFile, read_blocks
from source_heap.avro.decoder import Decoder
from source_heap.avro.values import RowRules


def serve(jobs: BinaryIO, out: BinaryIO) -> None:
    """Answers jobs until there are no more."""
    for line in jobs:
        try:
            _answer(orjson.loads(line), out)
        except BrokenFile as error:
            frames.write(out, frames.BROKEN, str(error).encode())
        except BrokenPipeError:
            return
        except Exception as error:  # the connector names the file, raises it and lives on
            frames.write(out, frames.FAILED, f"{type(error).__name__}: {error}".encode())


def _answer(job: dict[str, Any], out: BinaryIO) -> None:
    """Decodes the groups of blocks that fell to this process, each followed by a frame that ends it."""
    decoder = Decoder(job["schema"], RowRules(**job["rules"]))
    with Path(job["path"]).open("rb") as file:
        for group in job["groups"]:
            blocks = [Block(*block) for block in group]
            for piece in decoder.pieces(read_blocks(file, job["codec"], blocks)):
                frames.write_piece(out, piece)
            frames.write(out, frames.GROUP_END)


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles; the collector would walk over lines that live for a moment
    serve(sys.stdin.buffer, os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False))
