"""Airbyte source for Heap's Avro dumps on S3.

`SourceHeap` is imported on first use: the decoding processes (`source_heap.avro.worker`) import this package too, and
without the CDK each of them takes 20 MB instead of 110.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_heap.source import SourceHeap

__all__ = ["SourceHeap"]


def __getattr__(name: str) -> object:
    if name == "SourceHeap":
        from source_heap.source import SourceHeap

        return SourceHeap
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
