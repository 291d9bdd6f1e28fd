"""Errors of Avro files. Each text is a clause that follows the file's name, without data of the file."""

from __future__ import annotations


class BrokenFile(Exception):
    """The bytes are not a whole, valid Avro file."""


class HeaderCut(BrokenFile):
    """The bytes end within the header: expected for the first bytes of a file, an error for a whole file."""


class BeyondLimit(BrokenFile):
    """The file may be valid, but something in it is larger than `limits` allows."""
