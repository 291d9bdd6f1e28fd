"""Reads a little with an installed connector that has a module in C: `try_compiled.py source-heap native`.

It fails if a row is wrong, or if the package reads the other way: `native` is its compiled module; `reference` is what
reads where the package was built without a C compiler. The release runs it with each wheel.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HEAP_SCHEMA = {
    "type": "record",
    "name": "topLevelRecord",
    "fields": [
        {"name": "user_id", "type": ["long", "null"]},
        {"name": "time", "type": ["string", "null"]},
        {"name": "title", "type": ["string", "null"]},
        {"name": "amount", "type": ["null", "double"]},
    ],
}
HEAP_ROWS = [
    {"user_id": 2**53 + 1, "time": "2026-03-01 04:00:00", "title": 'a "quoted" title', "amount": 1.5},
    {"user_id": None, "time": None, "title": "ä€𝄞", "amount": None},
]
HEAP_LINES = (
    '{"user_id":9007199254740993,"time":"2026-03-01T04:00:00.000000Z","title":"a \\"quoted\\" title","amount":1.5}\n'
    '{"user_id":null,"time":null,"title":"ä€𝄞","amount":null}\n'
)
PENDO_ROWS = (
    '[{"visitorId":"ann","accountId":"a","pageId":"p","day":1772341200000,"numEvents":10,"latitude":40.7128},'
    '{"visitorId":"ä€𝄞","accountId":null,"pageId":"p","day":1772341200000,"numEvents":1,"parameters":{"b":[1.5]}}]'
)
PENDO_LINES = (
    '{"visitor_id":"ann","account_id":"a","page_id":"p","day":"2026-03-01T05:00:00.000Z","num_events":10,'
    '"latitude":40.7128,"record_id":"24c74f883bf36ba32d0d76ec43540093","read_day":"2026-03-01","read_at":"2026-03-20"}\n'
    '{"visitor_id":"ä€𝄞","account_id":null,"page_id":"p","day":"2026-03-01T05:00:00.000Z","num_events":1,'
    '"parameters":{"b":[1.5]},"record_id":"be7cdb49b9e6fb119b8412d8806383ec","read_day":"2026-03-01","read_at":"2026-03-20"}\n'
)
CUSTOMERIO_LINES = (
    '{"id":"a1","created":1772341200,"subject":"ä€𝄞 \\n","metrics":{"sent":1772341201}}\n'
    '{"created":1772341202,"id":"a2","variants":[1.5,null]}\n'
)
CUSTOMERIO_ROWS = f"[{','.join(CUSTOMERIO_LINES.splitlines())}]"


def heap() -> tuple[str | None, str, str]:
    """Why the module is not loaded, the rows as source-heap writes them, and what they should be."""
    import fastavro
    from source_heap.avro.file import AvroFile
    from source_heap.avro.native_decoder import MISSING
    from source_heap.avro.values import Projection

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.avro"
        with path.open("wb") as file:
            fastavro.writer(file, HEAP_SCHEMA, HEAP_ROWS, codec="deflate")
        chunks = AvroFile.open(path).rows(Projection(None, {}, normalize_times=True))
        return MISSING, b"".join(chunk.lines for chunk in chunks).decode(), HEAP_LINES


def pendo() -> tuple[str | None, str, str]:
    """The same for source-pendo."""
    from source_kit.output import RecordEncoder
    from source_kit.stream import RecordLines
    from source_pendo.client import connect
    from source_pendo.config import Config
    from source_pendo.event_rows import cut
    from source_pendo.native_records import MISSING
    from source_pendo.streams.event_days import Reading
    from source_pendo.streams.grouped_events import PageEvents

    config = Config(api_key="any", api_url="https://example.com")
    items = PageEvents(config, connect(config)).items(cut(PENDO_ROWS.encode()), Reading("2026-03-01", "2026-03-20"))
    lines = items.data if isinstance(items, RecordLines) else RecordEncoder("page_events")(items).lines
    return MISSING, data_of(lines), PENDO_LINES


def customerio() -> tuple[str | None, str, str]:
    """The same for source-customerio."""
    from source_customerio.client import WorkspaceConnection
    from source_customerio.config import Config
    from source_customerio.raw_decoder import MISSING
    from source_customerio.streams.deliveries import Messages
    from source_kit.output import RecordEncoder

    stream = Messages(WorkspaceConnection(Config(app_api_key="any", api_url="https://example.com")))
    lines = RecordEncoder("messages")(stream.shaped(stream.decode(CUSTOMERIO_ROWS.encode()))).lines
    return MISSING, data_of(lines), CUSTOMERIO_LINES


def data_of(lines: bytes) -> str:
    """The data of RECORD lines, a line each."""
    return re.sub(r'^.*?"data":(.*)}}$', r"\1", lines.decode(), flags=re.MULTILINE)


PACKAGES: dict[str, Callable[[], tuple[str | None, str, str]]] = {
    "source-heap": heap,
    "source-pendo": pendo,
    "source-customerio": customerio,
}


def main(package: str, expected: str) -> int:
    """0 if all is well; else a line says what is wrong."""
    missing, written, right = PACKAGES[package]()
    way = "native" if missing is None else "reference"
    if way != expected:
        print(f"try_compiled: {package} reads in the {way} way, not in the {expected} one ({missing})")
    elif written != right:
        print(f"try_compiled: {package} in the {way} way wrote\n{written}instead of\n{right}", end="")
    else:
        print(f"try_compiled: {package} in the {way} way works")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
