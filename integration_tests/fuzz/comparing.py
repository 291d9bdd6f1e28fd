"""What the comparisons with Python share: mistakes in text, and the loop that makes them until time is up."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

#: What is put into a text
TOKENS = (
    *(bytes((byte,)) for byte in b'"\\{}[],:0-.e\n '),
    *(b"\\u0041", b"\\u005c", b"\\u", b"\\n", b"null", b"true", b"false", b'"day":', b'"z":', b'"a":1,', b'"b":{},'),
    *(b"1772341200000", b"253402300800000", b"9" * 20, b"0.00001", b"0.1", b"1.50", b"-0.0", b"9007199254740993"),
    *(
        b"[" * 40,
        b'{"a":' * 40,
        b"\x00",
        b"\x7f",
        b"\xff",
        "ä".encode(),
        "\u2028".encode(),
        b"\xed\xa0\x80",
        b"x" * 70_000,
    ),
)


class Finding(Exception):
    """The module and Python disagree."""


def mutated(text: bytes, rng: random.Random) -> bytes:
    """The text with up to five mistakes: other, lost, repeated and inserted bytes."""
    changed = bytearray(text)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(8):
            case 0:
                changed[at : at + 1] = rng.randbytes(1)
            case 1 | 2:
                del changed[at : at + rng.choice((1, 2, 8))]
            case 3:
                changed[at:at] = changed[at : at + rng.choice((1, 8, 40))]
            case 4 | 5 | 6:
                changed[at:at] = rng.choice(TOKENS)
            case 7 if rng.random() < 0.3:
                del changed[at:]
            case _:
                digits = [place for place, byte in enumerate(changed) if chr(byte).isdigit()]
                if digits:
                    changed[rng.choice(digits)] = rng.choice(b"0123456789.-")
    return bytes(changed)


def compare(
    description: str | None,
    what: str,
    arguments: Sequence[str],
    seeds: Sequence[bytes],
    attempt: Callable[[bytes], str],
) -> int:
    """Has `attempt` read one mutated seed after the other, and counts what it returns. The exit code.

    Prints the first finding, or a summary that names the inputs as `what`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    rng, counts = random.Random(given.seed), Counter[str]()
    end = time.monotonic() + given.seconds
    while time.monotonic() < end:
        text = mutated(rng.choice(seeds), rng)
        try:
            counts[attempt(text)] += 1
        except Finding as error:
            print(f"{text!r}: {error}", flush=True)
            return 1
    print(summary(counts, what))
    return 0


def summary(counts: Mapping[str, int], what: str) -> str:
    """`12 files: 7 decoded, 5 broken`"""
    return f"{sum(counts.values())} {what}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
