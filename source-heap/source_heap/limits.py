"""What the connector holds at most, in one table.

A read stays below 300 MB with two decoding processes, whatever a file holds. What is beyond a limit is no broken file:
its table fails with a sentence that names the file and the limit, and the other tables are read.
"""

from __future__ import annotations

_MIB = 1024 * 1024

# ---------------------------------------------------------------------------------------------- S3 and manifests
#: Bytes of one manifest: some eighty thousand files, of which twelve thousand in a dump were seen. Parsing takes up to
#: eight times as much memory, and twice that may be held where two threads take turns (measured).
MANIFEST_BYTES = 8 * _MIB
#: Bytes of manifests that are parsed or waiting for it at a time
MANIFEST_BYTES_AT_A_TIME = MANIFEST_BYTES
#: Manifests of a bucket: one for each hour of twenty years
LISTED_MANIFESTS = 200_000
#: Pages of a list: ten million objects below the prefix, as S3 pages them
LIST_PAGES = 10_000
#: How often one object is begun anew, because its parts did not fit together
RESTARTS = 5
#: Bytes of keys that are compared in memory at a time, to find deleted rows
COMPARED_KEY_BYTES = 2 * _MIB

# ------------------------------------------------------------------------------------------------ Avro files

#: A file's header, which is mostly its schema: 5,000 nullable columns with long names take half of it.
HEADER_BYTES = _MIB
#: A header beyond this is fetched and parsed while no other one is: JSON takes 25 times its size while it is parsed.
PARALLEL_HEADER_BYTES = _MIB // 4
#: A block, as it is in the file and decompressed. Heap's are 64,000 bytes, or one row (observed).
BLOCK_BYTES = 16 * _MIB
#: A row in a block. Decoding makes some five copies of a long one, in each process.
ROW_BYTES = 5 * _MIB
#: A row as JSON, where a control character or a byte that is no text takes six bytes
LINE_BYTES = 10 * _MIB
#: Values that a row may have by its schema, each array and map counted once: columns, fields of records, and theirs
SCHEMA_VALUES = 10_000
#: Types that a schema has, branches of unions too
SCHEMA_TYPES = 50_000
#: Types that lie within each other in a schema that is not recursive
SCHEMA_DEPTH = 650
#: Records, arrays and maps that lie within each other in a row. Jackson, with which Airbyte's platform reads JSON,
#: takes 1,000 levels unless told otherwise (its documentation), and fastavro takes C stack for each.
ROW_DEPTH = 900
#: Values of a row, with all items of its arrays and maps: about 100 bytes each while it is decoded
ROW_VALUES = 250_000
#: Rows of a file whose schema gives them no bytes: their number alone says how many there are.
EMPTY_ROWS = 1_000_000
#: Columns of a table for which a function is generated (38 KB each while it is compiled). Wider rows are read by the
#: reference decoder, a third as fast.
GENERATED_COLUMNS = 500
#: Columns of all tables whose functions are kept (5 KB each)
KEPT_COLUMNS = 4_000
#: A decimal's bytes and its digits behind the point. One beyond is nulled alone, and recorded.
DECIMAL_BYTES = 1_000
DECIMAL_SCALE = 1_000
#: Memory that decompressing xz may take for its dictionary: 64 MiB with the strongest preset, of which a block's bytes
#: are touched.
XZ_BYTES = 80 * _MIB
#: Levels of records, arrays and maps that a discovered schema describes; what lies deeper is an object or array.
DECLARED_DEPTH = 32
