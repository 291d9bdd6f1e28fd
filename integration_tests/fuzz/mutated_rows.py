"""Has source-pendo's native module write damaged rows, and compares its lines with Python's.

    python mutated_rows.py --seconds 60 [--seed 1]

A row that the module writes must become the line that Python makes of it, with the same `record_id`. Rows that are not
UTF-8, which the connector never passes on, only must not break the memory. Stops at the first finding: prints it,
exits 1. The last line counts the lists.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import orjson
from fuzz.comparing import Finding, compare
from source_kit.json_text import dumps
from source_pendo import native_records
from source_pendo.aggregation import Row
from source_pendo.client import connect
from source_pendo.config import Config
from source_pendo.event_rows import decoded, is_json
from source_pendo.native_records import _identity_head
from source_pendo.streams.event_days import Reading
from source_pendo.streams.grouped_events import TrackEvents

READING = Reading("2026-03-01", "2026-03-20T00:00:00.000Z")
#: Its columns are those that the module knows
USUAL = (
    '{"visitorId":"ann\\u0026b","appId":-323232,"day":1772341200000,"hour":0,"firstTime":null,"latitude":40.7128,'
    '"userAgent":"Mozilla/5.0 \\"(X11)\\/","properties":{"z":{"y":[1,2.5,{}],"B":null},'
    '"b":[{"d":"]}","c":"\\\\"}],"ä":1},"parameters":{},"accountId":"","isFrustrated":false,"numEvents":10,"ä":"日本"}'
).encode()
SEEDS = (
    USUAL,
    b'{"day":253402300799999,"appId":0.0,"properties":[[[["x"]]],{"b":1,"a":{"d":0,"c":0}}],"latitude":1e5}',
    b'{"visitorId":"a","day":951782400000,"parameters":{"b":{"a":1},"a":0.001,"c":[true]},"numEvents":123456789012345678}',
    b'{"day":1,"properties":{%b}}' % b",".join(b'"%d":%d' % (number * 7 % 60, number) for number in range(60)),
)
#: Lists of one row, and of all
LISTS = (*(b"[%b]" % row for row in SEEDS), b"[%b]" % b",".join(SEEDS))


class Writers:
    """One stream's records, written by the module and by Python. The columns are those of `USUAL`."""

    def __init__(self) -> None:
        config = Config(api_key="any", api_url="https://example.com")
        self._stream = TrackEvents(config, connect(config))
        self._native = self._stream._native
        self._native._learn([decoded(USUAL)])
        self._tail = b'",%b}' % dumps({"read_day": READING.day, "read_at": READING.at})[1:-1]

    def natively(self, text: bytes) -> list[bytes] | None:
        """The records of a list of rows, empty ones of rows that are refused. None if the list is."""
        assert self._native._writer is not None
        read = self._native._writer.read(text, _identity_head(self._stream._hashed(READING.day)))
        if read is None or not all(map(is_json, read[1])):
            return None
        return [native_records.native.join([row], b"", b',"record_id":"', self._tail) or b"" for row in read[0]]

    def in_python(self, row: Row) -> bytes:
        """The record of a row."""
        return dumps(*self._stream.records([row], self._stream.ids([row], READING), READING))


def attempt(writers: Writers, text: bytes) -> str:
    """Writes a list of rows in both ways; returns what became of it. Raises Finding."""
    got = writers.natively(text)
    try:
        text.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    if not got or not any(got):
        return "refused"
    try:
        rows = orjson.loads(text)
    except ValueError as error:
        if not all(got):  # a refused row, with a number beyond the range of a double
            return "refused"
        raise Finding(f"a row was written that is not JSON ({error})") from None
    if len(got) != len(rows):
        raise Finding(f"{len(got)} rows instead of {len(rows)}")
    for record, row in zip(got, rows, strict=True):
        if record and record != (expected := writers.in_python(row)):
            raise Finding(f"lines differ: {record!r} instead of {expected!r}")
    return "written"


def main(arguments: Sequence[str]) -> int:
    assert native_records.MISSING is None, native_records.MISSING
    return compare(__doc__, "lists", arguments, LISTS, partial(attempt, Writers()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
