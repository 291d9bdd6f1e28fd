"""The compiled module `native`: see `native/module.c`."""

from typing import final

from source_heap.avro.columns import Column

@final
class Decoder:
    def __init__(
        self,
        columns: tuple[Column, ...],
        head: bytes,
        tail: bytes,
        since: bytes,
        row_limit: int,
        line_limit: int,
        chunk: int,
        elements: tuple[str, ...] = ...,
        room: int = ...,
    ) -> None: ...
    def decode(self, block: bytes, at: int, rows: int, /) -> tuple[str, int, int, int]: ...
    def append(self, line: bytes, /) -> None: ...
    def take(self) -> tuple[bytes, int]: ...
    def count(self) -> int: ...
    def take_arrays(self) -> tuple[int, tuple[tuple[bytes, bytes, bytes] | None, ...]]: ...
