"""Heap's Avro dumps on S3 as an Airbyte source.

`SourceHeap` is imported on first use, because the command prepares the import of the CDK.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_heap.source import SourceHeap

__all__ = ["SourceHeap"]


def __getattr__(name: str) -> object:
    if name != "SourceHeap":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from source_heap.source import SourceHeap

    return SourceHeap
