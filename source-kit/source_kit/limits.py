"""What the kit holds in memory or on disk at most. What lies beyond is an error with a sentence that names the stream.

Each of these is far above what the vendors' documentation and the accounts we know lead to; none is an option.
"""

from __future__ import annotations

_MB = 1024 * 1024

#: JSON that is decoded in one go: one row, what stands around the rows, a document without rows. Bytes of text. The
#: destinations that we know take 10 to 20 MB a record.
JSON_BYTES = 16 * _MB
#: What such a text may need once it is decoded, as `json_text.decoded_bytes` estimates it.
DECODED_BYTES = 64 * _MB
#: Arrays and objects inside of each other that are surely read; orjson ends at 1,024, the array of rows included.
NESTING = 1000
#: One body, decompressed. It lies on disk beyond `transport.SPOOL_MEMORY_BYTES`.
BODY_BYTES = 2048 * _MB
#: A body beyond `BODY_TRUSTED_BYTES` that is this many times larger than what was received is a bomb: rows that differ
#: compress to a tenth or a fortieth.
BODY_EXPANSION = 200
BODY_TRUSTED_BYTES = 64 * _MB
#: Encoded messages that may wait for the writer; an item is let in whole as long as less than this waits.
IN_FLIGHT_BYTES = 8 * _MB
#: Slices that may be begun while an earlier one is not read to its end: their states have to wait for it.
SLICES_AHEAD = 1000
#: Names in a row, and characters of them, up to which renaming is compiled; characters of all names remembered for it.
COMPILED_NAMES = 1_000
COMPILED_NAME_CHARACTERS = 64 * 1024
REMEMBERED_NAME_CHARACTERS = 4 * _MB
#: A longer name is converted each time that it comes. Characters.
REMEMBERED_NAME = 200


class TooLarge(Exception):
    """Something lies beyond a limit; the text is a noun with its measure, e.g. `a row of more than 16 MB`."""


def megabytes(size: int) -> str:
    """A limit as it is shown: `16 MB`."""
    return f"{size // _MB:,} MB"
