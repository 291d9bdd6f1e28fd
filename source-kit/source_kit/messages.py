"""Airbyte's messages: records in batches, the others one by one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateStats,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteTraceMessage,
    EstimateType,
    StreamDescriptor,
    TraceType,
    Type,
)

from source_kit.channel import Batch
from source_kit.items import Estimate, Ndjson, Record, RecordLines, RecordMeta
from source_kit.rows import to_utf8

#: What ends the line of a record
RECORD_TAIL = b"}}\n"


def record_head(stream: str) -> bytes:
    """What a RECORD line of the stream begins with, in ASCII, up to the record's data; emitted now."""
    name = json.dumps(stream).encode()
    return b'{"type":"RECORD","record":{"stream":%b,"emitted_at":%d,"data":' % (name, time.time_ns() // 1_000_000)


class RecordEncoder:
    """Turns the records of one stream into lines; what all lines share is built once a batch."""

    def __init__(self, stream: str) -> None:
        self._stream = stream

    def __call__(self, item: list[Record] | Ndjson | RecordLines | RecordMeta) -> Batch:
        """The item, which holds at least one record, as RECORD lines."""
        if isinstance(item, RecordLines):
            return Batch(self._stream, item.data, item.count)
        head = record_head(self._stream)
        if isinstance(item, Ndjson):
            lines = head + item.data.removesuffix(b"\n").replace(b"\n", RECORD_TAIL + head) + RECORD_TAIL
            return Batch(self._stream, lines, item.count)
        if isinstance(item, RecordMeta):
            meta = orjson.dumps({"changes": item.changes})
            return Batch(self._stream, b'%b%b,"meta":%b}}\n' % (head, encode(item.data), meta), 1)
        try:
            rows = list(map(orjson.dumps, item))
        except TypeError:
            rows = list(map(encode, item))
        return Batch(self._stream, head + (RECORD_TAIL + head).join(rows) + RECORD_TAIL, len(rows))


def encode(record: Record, default: Callable[[Any], Any] = str) -> bytes:
    """A record as JSON, also one that orjson refuses (an integer beyond 64 bits, a lone surrogate)."""
    try:
        return orjson.dumps(record, default=default)
    except TypeError:
        text = json.dumps(_writable(record), default=default, ensure_ascii=False, separators=(",", ":"))
        return to_utf8(text)


def _writable(value: Any) -> Any:
    """The value without NaN and infinities, which the standard library writes and no reader of JSON accepts."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _writable(item) for key, item in value.items()}
        case list() | tuple():
            return [_writable(item) for item in value]
        case _:
            return value


def state_message(stream: str, state: Mapping[str, Any]) -> AirbyteMessage:
    """A per-stream STATE of this moment; the writer fills in how many records it covers.

    The state is copied whole: a message waits in the channel while the stream goes on changing what it gave. Raises
    TypeError for a state that is not JSON.
    """
    copied = json.loads(json.dumps(state))
    return AirbyteMessage(
        type=Type.STATE,
        state=AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(
                stream_descriptor=StreamDescriptor(name=stream),
                stream_state=AirbyteStateBlob(copied),
            ),
            sourceStats=AirbyteStateStats(recordCount=0.0),
        ),
    )


def estimate_message(stream: str, estimate: Estimate) -> AirbyteMessage:
    """An ESTIMATE trace for a stream."""
    return AirbyteMessage(
        type=Type.TRACE,
        trace=AirbyteTraceMessage(
            type=TraceType.ESTIMATE,
            emitted_at=time.time_ns() // 1_000_000,
            estimate=AirbyteEstimateTraceMessage(
                name=stream,
                type=EstimateType.STREAM,
                row_estimate=estimate.rows,
                byte_estimate=estimate.size_bytes,
            ),
        ),
    )
