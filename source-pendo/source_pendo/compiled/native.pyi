from collections.abc import Sequence

class Writer:
    def __init__(self, columns: tuple[tuple[bytes, bytes, bool, int], ...], required: int, identity: int) -> None: ...
    def write(
        self, rows: Sequence[object], head: bytes, behind: bytes, tail: bytes, identity_head: bytes
    ) -> tuple[list[bytes], list[str]]: ...
