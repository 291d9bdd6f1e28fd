"""Airbyte's messages: records in batches, the others one by one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
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
from source_kit.json_text import dumps

#: What ends the line of a record
RECORD_TAIL = b"}}\n"


def record_head(stream: str, namespace: str | None = None) -> bytes:
    """What a RECORD line of the stream begins with, in ASCII, up to the record's data; emitted now."""
    return b'%b"emitted_at":%d,"data":' % (_record_begin(stream, namespace), time.time_ns() // 1_000_000)


def _record_begin(stream: str, namespace: str | None) -> bytes:
    begin = b'{"type":"RECORD","record":{"stream":%b,' % json.dumps(stream).encode()
    return begin if namespace is None else b'%b"namespace":%b,' % (begin, json.dumps(namespace).encode())


class RecordEncoder:
    """Turns the records of one stream into lines; what all lines share is built once a batch."""

    def __init__(self, stream: str, namespace: str | None = None) -> None:
        self._stream = stream
        self._namespace = namespace

    def __call__(self, item: list[Record] | Ndjson | RecordLines | RecordMeta) -> Batch:
        """The item, which holds at least one record, as RECORD lines."""
        if isinstance(item, RecordLines):
            return Batch(self._stream, self._with_namespace(item.data), item.count)
        head = record_head(self._stream, self._namespace)
        if isinstance(item, Ndjson):
            lines = head + item.data.removesuffix(b"\n").replace(b"\n", RECORD_TAIL + head) + RECORD_TAIL
            return Batch(self._stream, lines, item.count)
        if isinstance(item, RecordMeta):
            meta = orjson.dumps({"changes": item.changes})
            return Batch(self._stream, b'%b%b,"meta":%b}}\n' % (head, dumps(item.data), meta), 1)
        try:
            rows = list(map(orjson.dumps, item))
        except TypeError:
            rows = list(map(dumps, item))
        count = len(rows)
        parts = [RECORD_TAIL + head] * (2 * count + 1)
        parts[0], parts[-1] = head, RECORD_TAIL
        parts[1::2] = rows
        return Batch(self._stream, b"".join(parts), count)  # one copy

    def _with_namespace(self, lines: bytes) -> bytes:
        """Lines that the stream finished itself; it does not know the catalog's namespace, which is a rare thing."""
        if self._namespace is None:
            return lines
        before, after = _record_begin(self._stream, None), _record_begin(self._stream, self._namespace)
        return (b"\n" + lines).replace(b"\n" + before, b"\n" + after)[1:]


def state_message(stream: StreamDescriptor, state: Mapping[str, Any]) -> AirbyteMessage:
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
                stream_descriptor=stream,
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
