"""Limits of what the connector holds in memory.

They keep a read of two tables at a time below 300 MB for any input. A table whose file exceeds a limit fails with a
sentence that names the file and the limit; the other tables are read.
"""

from __future__ import annotations

_MIB = 1024 * 1024

# ---------------------------------------------------------------------------------------------- S3 and manifests
#: Bytes of one manifest, and of all that are parsed at a time: about 80,000 files, of which up to 12,000 were observed.
#: Parsing takes up to eight times as much memory, and twice that while two threads take turns (measured).
MANIFEST_BYTES = 8 * _MIB
#: Manifests of a bucket: one per hour for twenty years
LISTED_MANIFESTS = 200_000
#: Bytes of keys that are compared in memory at a time to find deleted rows
COMPARED_KEY_BYTES = 2 * _MIB

# ------------------------------------------------------------------------------------------------ Avro files

#: Bytes of a file's header, mostly its schema: 5,000 nullable columns with long names take half of it.
HEADER_BYTES = _MIB
#: A longer header is fetched and parsed alone, because parsing JSON takes 25 times its size in memory.
PARALLEL_HEADER_BYTES = _MIB // 4
#: Bytes of a block, in the file and decompressed. Heap's blocks have 64,000 bytes, or one row (observed).
BLOCK_BYTES = 16 * _MIB
#: Bytes of a row in a block. The reference decoder makes about five copies of a long row.
ROW_BYTES = 5 * _MIB
#: Bytes of a row as JSON, in which a control character or a byte that is not UTF-8 takes six bytes
LINE_BYTES = 10 * _MIB
#: Values of a row by its schema: columns and the fields of nested records; an array or map counts once
SCHEMA_VALUES = 10_000
#: Types of a schema, including branches of unions
SCHEMA_TYPES = 50_000
#: Nesting depth of the types of a schema
SCHEMA_DEPTH = 650
#: Nesting depth of records, arrays and maps in a row. Jackson, Airbyte's JSON parser, accepts 1,000 levels by default
#: (its documentation), and fastavro uses C stack for each level.
ROW_DEPTH = 900
#: Values of a row with all items of its arrays and maps: about 100 bytes each while the row is decoded
ROW_VALUES = 250_000
#: Rows of a file whose rows have no bytes by the schema, so that only a number says how many there are
EMPTY_ROWS = 1_000_000
#: Bytes of a decimal, and its digits after the point. A larger one becomes null, and the record lists the change.
DECIMAL_BYTES = 1_000
DECIMAL_SCALE = 1_000
#: Bytes of xz's dictionary: 64 MiB with the strongest preset, of which only a block's size is really used.
XZ_BYTES = 80 * _MIB
#: Levels of records, arrays and maps in a discovered schema; deeper ones are a plain object or array.
DECLARED_DEPTH = 32
