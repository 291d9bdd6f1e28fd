"""Has source-pendo's native module write damaged rows, and compares its lines with Python's.

    python mutated_rows.py --seconds 60 [--seed 1]

A row that the module writes must become the line that Python makes of it, with the same `record_id`. Rows that are not
UTF-8, which the connector never passes on, only must not break the memory. Stops at the first finding: prints it,
exits 1. The last line counts the rows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import orjson
from fuzz.comparing import Finding, compare
from source_kit.json_text import dumps
from source_pendo import native_records
from source_pendo.client import connect
from source_pendo.config import Config
from source_pendo.event_rows import decoded
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


class Writers:
    """One stream's records, written by the module and by Python. The columns are those of `USUAL`."""

    def __init__(self) -> None:
        config = Config(api_key="any", api_url="https://example.com")
        self._stream = TrackEvents(config, connect(config))
        self._native = self._stream._native
        self._native._learn([decoded(USUAL)])
        self._tail = b'",%b}' % dumps({"read_day": READING.day, "read_at": READING.at})[1:-1]

    def natively(self, text: bytes) -> bytes:
        """The record; empty if the row is refused."""
        [line], _ = self._native._written([text], b"", self._tail, self._stream._hashed(READING))
        return line

    def in_python(self, text: bytes) -> bytes:
        """The record. Raises ValueError for text that is not JSON."""
        rows = [orjson.loads(text)]
        return dumps(self._stream.records(rows, self._stream.ids(rows, READING), READING)[0])


def attempt(writers: Writers, text: bytes) -> str:
    """Writes one row in both ways; returns what became of it. Raises Finding."""
    got = writers.natively(text)
    try:
        text.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    if not got:
        return "refused"
    try:
        expected = writers.in_python(text)
    except ValueError as error:
        raise Finding(f"a row was written that is not JSON ({error})") from None
    if got != expected:
        raise Finding(f"lines differ: {got!r} instead of {expected!r}")
    return "written"


def main(arguments: Sequence[str]) -> int:
    assert native_records.MISSING is None, native_records.MISSING
    return compare(__doc__, "rows", arguments, SEEDS, partial(attempt, Writers()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
