"""What can be wrong with a file. The texts are clauses that go on after its name, without any data."""

from __future__ import annotations


class BrokenFile(Exception):
    """The bytes are not a whole, valid Avro file."""


class HeaderCut(BrokenFile):
    """The bytes end within the header: right for the first bytes of a file, wrong for a whole one."""


class BeyondLimit(BrokenFile):
    """The file may be valid, and holds something larger than `limits` allows."""
