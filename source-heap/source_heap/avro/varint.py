"""Avro's integers: zigzag, seven bits a byte."""

from __future__ import annotations

from source_heap.avro.faults import BrokenFile

#: More than any count or length that the format allows
LONG_BYTES = 10


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """The integer at a position, and the position behind it. Raises IndexError, or BrokenFile."""
    value = shift = 0
    for position in range(at, at + LONG_BYTES):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    msg = "an integer is longer than the format allows"
    raise BrokenFile(msg)
