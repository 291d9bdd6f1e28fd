"""Reads Avro's integers: zigzag, seven bits per byte."""

from __future__ import annotations

from source_heap.avro.faults import BrokenFile

#: Most bytes of an integer in the format
LONG_BYTES = 10
#: An integer has 64 bits at most, of which the last byte holds one
_TOO_LARGE = 2**64


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """The integer at a position, and the position after it. Raises IndexError at the end of the data, or BrokenFile."""
    value = shift = 0
    for position in range(at, at + LONG_BYTES):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < _TOO_LARGE:
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    raise BrokenFile("an integer is longer than the format allows")
