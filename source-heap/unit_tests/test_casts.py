"""Texts that a whole table may have where numbers are asked for: the compiled decoder reads the usual ones itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decoding import HEAD, compiled, decoder_of, lines_of, schema_of
from simulators.heap.avro_files import long_bytes
from source_heap.avro import native_decoder
from source_heap.avro.native_decoder import NativeDecoder
from source_heap.avro.values import Projection

#: Not the target's: null, with an entry in `meta.changes`
LOST = "lost"

INTEGERS: list[tuple[str, Any]] = [
    *[("0", 0), ("7", 7), ("-5", -5), ("+7", 7), ("-0", 0), ("007", 7), ("9" * 18, 10**18 - 1)],
    *[("-" + "9" * 18, 1 - 10**18), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63)), ("0" * 30 + "4", 4)],
    *[(text, LOST) for text in ("", "-", "+", "--5", "+-5", "1.0", "1e3", " 5", "5 ", "5\n", "5x", "1_000", "0x10")],
    *[(text, LOST) for text in ("\u0665", "\x005", "5\x00", str(2**63), "9" * 100, "9" * 101)],
]
TIMES: list[tuple[str, Any]] = [
    *[("0", None), ("00", None), ("-0", None), ("+0", None), ("0.0", None)],
    *[("1714566896", "2024-05-01T12:34:56.000000Z"), ("+1714566896789", "2024-05-01T12:34:56.789000Z")],
    *[("-1", "1969-12-31T23:59:59.000000Z"), ("-1714566896789012", "1915-09-02T11:25:03.210988Z")],
    *[("1714566896.5", "2024-05-01T12:34:56.500000Z"), ("2024", "1970-01-01T00:33:44.000000Z")],
    *[("9" * 18, "2001-09-09T01:46:39.999999Z"), ("9" * 19, "2286-11-20T17:46:39.999999Z")],
    *[(text, LOST) for text in ("", "-", "+", "--1", "1 ", "2024-05-01", "2024-05-01 12:34:56 UTC")],
]


def block_of(texts: list[str]) -> bytes:
    """Rows with one text each."""
    return b"".join(long_bytes(len(data := text.encode())) + data for text in texts)


@pytest.mark.parametrize("kind", ["string", "bytes"])
@pytest.mark.parametrize(("target", "cases"), [("integer", INTEGERS), ("time", TIMES)])
def test_both_decoders_cast_a_text_alike(kind: str, target: str, cases: list[tuple[str, Any]], decoder: str) -> None:
    read = decoder_of(schema_of({"time": kind}), Projection({"time": target}, {}, head=HEAD), decoder)
    lines = lines_of(read.chunks([(len(cases), block_of([text for text, _ in cases]))]))
    found = [
        (text, LOST if changes else json.loads(row)["time"])
        for (text, _), (row, changes) in zip(cases, lines, strict=True)
    ]
    assert found == cases


@pytest.mark.skipif(native_decoder.MISSING is not None, reason="the compiled decoder is missing")
@pytest.mark.parametrize(
    ("target", "texts"),
    [
        ("integer", ["0", "-5", "+7", "007", "9" * 18]),
        ("time", ["0", "-0", "1714566896", "-1714566896789", "2024-05-01 12:34:56.789", "2024-05-01T12:34:56+02:00"]),
    ],
)
def test_usual_texts_do_not_take_the_slow_way(target: str, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[bytes] = []
    monkeypatch.setattr(NativeDecoder, "_append_unusual", lambda _, row: slow.append(row))
    read = compiled(
        schema_of({"time": "string"}), Projection({"time": target}, {}, "1900-01-01T00:00:00.000000Z", head=HEAD)
    )
    assert len(lines_of(read.chunks([(len(texts), block_of(texts))]))) == len(texts)
    assert slow == []
