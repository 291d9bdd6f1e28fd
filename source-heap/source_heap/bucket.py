"""The bucket that Heap writes to, in Heap's words. A policy may allow to list the prefix `manifests/` only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from source_kit.errors import config_error
from source_kit.s3.bucket import Bucket
from source_kit.s3.retrying import ATTEMPTS
from source_kit.s3.rules import Wording

from source_heap.config import HeapConfig
from source_heap.limits import LISTED_MANIFESTS
from source_heap.manifest import PREFIX, ManifestObject, dump_id_of

READER = "airbyte-source-heap"
WORDING = Wording(
    objects="manifests",
    prefix=PREFIX,
    writer="Heap",
    lost=", though a manifest names it. A lifecycle rule or a person has deleted it; ask Heap to send the table again "
    "(an event: turn it off and on in Heap; users, sessions, pageviews: ask its support for a full sync), or set "
    "on_missing_file to skip to read on without it.",
)


class HeapBucket(Bucket):
    """Heap's bucket."""

    def __init__(self, config: HeapConfig, attempts: int = ATTEMPTS) -> None:
        super().__init__(config, READER, WORDING, attempts)

    def manifests(self) -> list[ManifestObject]:
        """Every manifest, ordered by dump id. Other objects with the prefix are ignored."""
        found: dict[int, ManifestObject] = {}
        for entries in self.pages(PREFIX):
            if len(found) > LISTED_MANIFESTS:
                raise config_error(
                    f"The bucket {self.name} holds more than {LISTED_MANIFESTS} manifests, more than this connector "
                    "keeps in memory. Move the oldest dumps that a later full export has replaced, with their "
                    "manifests, out of the bucket."
                )
            found.update(self._manifests_of(entries))
        return [found[dump_id] for dump_id in sorted(found)]

    def _manifests_of(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, ManifestObject]]:
        for entry in entries:
            dump_id = dump_id_of(entry["Key"])
            if dump_id is None:
                continue
            if not entry.get("ETag"):  # only the ETag shows for certain that a dump was delivered again
                raise self.bad_list("has an entry without ETag")
            yield (
                dump_id,
                ManifestObject(dump_id, entry["Key"], entry["ETag"], entry.get("LastModified"), entry.get("Size")),
            )
