"""What the connector holds at most, in one table.

A read stays below 300 MB with two decoding processes, whatever a file holds. What is beyond a limit is no broken file:
its table fails with a sentence that names the file and the limit, and the other tables are read.
"""

from __future__ import annotations

# ------------------------------------------------------------------------------------------------ Avro files

_MIB = 1024 * 1024

#: A file's header, which is mostly its schema: 5,000 nullable columns with long names take half of it.
MAX_HEADER_BYTES = _MIB
#: A header beyond this is fetched and parsed while no other one is: JSON takes 25 times its size while it is parsed.
MAX_PARALLEL_HEADER_BYTES = _MIB // 4
#: A block, as it is in the file and decompressed. Heap's are 64,000 bytes, or one row (observed).
MAX_BLOCK_BYTES = 16 * _MIB
#: A row in a block. Decoding makes some five copies of a long one, in each process.
MAX_ROW_BYTES = 5 * _MIB
#: A row as JSON, where a control character or a byte that is no text takes six bytes
MAX_LINE_BYTES = 10 * _MIB
#: Values that a row may have by its schema, each array and map counted once: columns, fields of records, and theirs
MAX_SCHEMA_VALUES = 10_000
#: Types that a schema has, branches of unions too
MAX_SCHEMA_TYPES = 50_000
#: Types that lie within each other in a schema that is not recursive
MAX_SCHEMA_DEPTH = 650
#: Records, arrays and maps that lie within each other in a row. Airbyte's platform reads JSON of at most 1,000 levels,
#: and fastavro takes C stack for each.
MAX_ROW_DEPTH = 900
#: Values of a row, with all items of its arrays and maps: about 100 bytes each while it is decoded
MAX_ROW_VALUES = 250_000
#: Rows of a file whose schema gives them no bytes: their number alone says how many there are.
MAX_EMPTY_ROWS = 1_000_000
#: Columns of a table for which a function is generated (38 KB each while it is compiled). Wider rows are read by the
#: reference decoder, a third as fast.
MAX_GENERATED_COLUMNS = 500
#: Columns of all tables whose functions are kept (5 KB each)
MAX_KEPT_COLUMNS = 4_000
#: A decimal's bytes and its digits behind the point. One beyond is nulled alone, and recorded.
MAX_DECIMAL_BYTES = 1_000
MAX_DECIMAL_SCALE = 1_000
#: Memory that decompressing xz may take for its dictionary: 64 MiB with the strongest preset, of which a block's bytes
#: are touched.
MAX_XZ_BYTES = 80 * _MIB
#: Levels of records, arrays and maps that a discovered schema describes; what lies deeper is an object or array.
MAX_DECLARED_DEPTH = 32
