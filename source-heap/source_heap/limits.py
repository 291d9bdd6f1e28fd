"""The bounds of what is held in memory or followed, in one place. What lies beyond one ends with a sentence."""

from __future__ import annotations

# ---------------------------------------------------------------------------------------------- S3 and manifests
#: Bytes of one manifest: some eighty thousand files, of which twelve thousand in a dump were seen. Parsing takes up to
#: eight times as much memory, and twice that may be held where two threads take turns (measured).
MANIFEST_BYTES = 8 * 1024 * 1024
#: Bytes of manifests that are parsed or waiting for it at a time
MANIFEST_BYTES_AT_A_TIME = MANIFEST_BYTES
#: Manifests of a bucket: one for each hour of twenty years
LISTED_MANIFESTS = 200_000
#: Pages of a list: ten million objects below the prefix, as S3 pages them
LIST_PAGES = 10_000
#: Bytes of a file's header that discovery and the connection test look at
SAMPLED_HEADER_BYTES = 16 * 1024 * 1024
#: How often one object is begun anew, because its parts did not fit together
RESTARTS = 5
#: Bytes of keys that are compared in memory at a time, to find deleted rows
COMPARED_KEY_BYTES = 2 * 1024 * 1024
