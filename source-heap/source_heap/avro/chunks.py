"""What decoders return."""

from __future__ import annotations

from dataclasses import dataclass

from source_heap.limits import LINE_BYTES

#: About the bytes of a chunk, so that it stays in the processor's cache and the reader waits briefly. Only a single row
#: may be longer.
CHUNK_BYTES = 480 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """`count` rows, one a line."""

    lines: bytes
    count: int


#: The fault of a block that does not end with the last of its rows
OTHER_SIZE = "a block has more or fewer bytes than its rows"
#: The fault of a row that is too long as JSON
LONG_LINE = f"a row is longer than {LINE_BYTES // 1024**2} MiB as JSON"
