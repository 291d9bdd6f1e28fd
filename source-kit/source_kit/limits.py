"""The most that the kit holds in memory or on disk. What is beyond is an error that names the stream.

Each limit is far above what the vendors document and what we have seen in accounts. None is an option.
"""

from __future__ import annotations

_MB = 1024 * 1024

#: JSON that is decoded at once: one row, all that is around the rows, or a document without rows. Bytes of text. The
#: destinations that we know accept 10 to 20 MB a record.
JSON_BYTES = 16 * _MB
#: The memory of such a text after decoding, as `json_text.decoded_bytes` estimates it
DECODED_BYTES = 64 * _MB
#: Depth of nested arrays and objects. orjson ends at 1,024, with the array of rows.
NESTING = 1000
#: One body, decompressed. Beyond `http.body.SPOOL_MEMORY_BYTES` it is on disk.
BODY_BYTES = 2048 * _MB
#: A body beyond `BODY_TRUSTED_BYTES` that is this many times larger than what was received is a decompression bomb:
#: rows that differ compress to between a tenth and a fortieth.
BODY_EXPANSION = 200
BODY_TRUSTED_BYTES = 64 * _MB
#: The lines of one segment of the webhook log. It is closed at 8 MB, behind a line that may have 64 MB in base64.
SEGMENT_BYTES = 128 * _MB
#: Encoded messages that may wait for the writer. While less than this waits, an item of any size is added.
IN_FLIGHT_BYTES = 8 * _MB
#: Slices that may start while an earlier one is still read: their checkpoints wait for it in memory.
SLICES_AHEAD = 1000
#: Our names are kept for rows with up to this many characters in their names. Then the characters of all names that are
#: kept.
REMEMBERED_ROW_CHARACTERS = 64 * 1024
REMEMBERED_NAME_CHARACTERS = 4 * _MB
#: The result for a longer name is not kept. Characters.
REMEMBERED_NAME = 200


class TooLarge(Exception):
    """Something is beyond a limit. The text is a noun with a measure: `a row of more than 16 MB`."""


def megabytes(size: int) -> str:
    """A number of bytes as text: `16 MB`."""
    return f"{size // _MB:,} MB"
