"""Errors of Avro files. Each text is a clause that follows the file's name, without data of the file."""

from __future__ import annotations


class BrokenFile(Exception):
    """The bytes are not a whole, valid Avro file."""


class OtherFormat(BrokenFile):
    """The first bytes are those of another format. `name` has an article."""

    def __init__(self, name: str) -> None:
        super().__init__(f"it is {name}")
        self.name = name


class HeaderCut(BrokenFile):
    """The bytes end within the header: expected for the first bytes of a file, an error for a whole file."""


class BeyondLimit(BrokenFile):
    """The file may be valid, but something in it is larger than `limits` allows."""
