"""Has source-customerio's native module cut damaged lists of rows, and compares with Python.

    python mutated_lists.py --seconds 60 [--seed 1]

A list that passes must be the rows that orjson reads, with their values. Stops at the first finding: prints it,
exits 1. The last line counts the lists.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import orjson
from fuzz.comparing import Finding, compare
from source_customerio import raw_decoder
from source_kit.raw_rows import RawRows

COLUMNS = {"id": str, "created": int}
SEEDS = (
    (
        '[{"id":"3dC4GMife60=","subject":"\\u0026 \\"日本\\"","metrics":{"sent":1789995608,"a":[1.5,-2e5,{}]},'
        '"created":1789995581,"failure":null,"forgotten":false},{"created":-1,"id":"","v":[[],[true],"\\\\"]}]'
    ).encode(),
    b'[{"id":"a","created":0},{"id":"b","created":999999999999999999,"n":{"a":0.001,"b":12345678901234567}}]',
)


def attempt(decoder: raw_decoder.RawRowDecoder, text: bytes) -> str:
    """Reads one list in both ways; returns what became of it. Raises Finding."""
    try:
        got = decoder(text)
    except ValueError:
        return "not JSON"
    if not isinstance(got, RawRows):
        return "decoded"
    try:
        expected = orjson.loads(text)
    except ValueError as error:
        raise Finding(f"a list passed that is not JSON ({error})") from None
    if got.decoded() != expected or b"[%b]" % b",".join(got.texts) != text:
        raise Finding(f"rows differ: {got.texts} instead of {expected}")
    for name, kind in COLUMNS.items():
        values = [row[name] for row in expected]
        if got.columns[name] != values or {type(value) for value in values} != {kind}:
            raise Finding(f"values differ: {got.columns[name]} instead of {values}")
    return "passed"


def main(arguments: Sequence[str]) -> int:
    assert raw_decoder.MISSING is None, raw_decoder.MISSING
    return compare(__doc__, "lists", arguments, SEEDS, partial(attempt, raw_decoder.RawRowDecoder(COLUMNS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
