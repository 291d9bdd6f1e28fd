"""The columns that this connector adds to every table. A file's own column of such a name is left out."""

from __future__ import annotations

from source_heap.plan import CURSOR

GENERATION = "_heap_generation"
FILE = "_heap_file"
#: Airbyte's column for deleted rows; destinations that deduplicate drop or mark rows in which it is set.
DELETED_AT = "_ab_cdc_deleted_at"

OWN_COLUMNS = frozenset({CURSOR, GENERATION, FILE, DELETED_AT})
