from collections.abc import Sequence
from typing import final

@final
class Row:
    digest: str | None
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Writer:
    def __init__(self, columns: tuple[tuple[bytes, bytes, bool, int], ...], required: int, identity: int) -> None: ...
    def read(self, text: bytes, identity_head: bytes) -> tuple[list[Row], list[Row]] | None: ...

def join(rows: Sequence[object], head: bytes, behind: bytes, tail: bytes) -> bytes | None: ...
