"""The names of the columns that this connector adds to every table."""

from __future__ import annotations

#: The cursor column: the dump that contained the row
CURSOR = "_heap_dump_id"
GENERATION = "_heap_generation"
FILE = "_heap_file"
#: Airbyte's column for deleted rows: destinations that deduplicate delete or mark a row in which it is set.
DELETED_AT = "_ab_cdc_deleted_at"
#: The columns that this connector adds to every table. A file's own column of the same name is dropped.
OWN_COLUMNS = frozenset({CURSOR, GENERATION, FILE, DELETED_AT})
