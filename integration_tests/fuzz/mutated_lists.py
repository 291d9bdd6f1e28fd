"""Has source-customerio's native module cut damaged lists of rows, and compares with Python.

    python mutated_lists.py --seconds 60 [--seed 1]

A list that passes must be the rows that orjson reads, with their values. Stops at the first finding: prints it,
exits 1. The last line counts the lists.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence

import orjson
from fuzz.mutated_rows import mutated
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


class Finding(Exception):
    """The module and Python disagree."""


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    assert raw_decoder.MISSING is None, raw_decoder.MISSING
    rng, decoder, counts = random.Random(given.seed), raw_decoder.RawRowDecoder(COLUMNS), Counter[str]()
    end = time.monotonic() + given.seconds
    while time.monotonic() < end:
        text = mutated(rng.choice(SEEDS), rng)
        try:
            counts[attempt(decoder, text)] += 1
        except Finding as error:
            print(f"{text!r}: {error}", flush=True)
            return 1
    print(f"{counts.total()} lists: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
