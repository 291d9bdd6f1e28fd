"""The metadata fields of accounts and visitors, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

from source_kit.errors import shorten, transient_error
from source_kit.stream import SliceItem

from source_pendo.metadata_schema import Groups, usable_groups
from source_pendo.streams.base import PendoStream
from source_pendo.values import document_mapper


class MetadataFields(PendoStream):
    """One row for each field: its group, its name, its type and flags.

    Field names are values here, so `userID` and `userId` stay two rows. Pendo answers one object of objects. Other
    connectors emit it as a single record, which has no key and another schema in every subscription.
    """

    kind: ClassVar[str]
    key = ("group", "field")
    docs = replace(
        PendoStream.docs,
        late_rows="at once (inferred)",
        read_again="everything",
        deletes="a deleted field stays with `is_deleted`, or is missing after the next full refresh",
        requests="one request",
    )

    def slices(self) -> Iterable[str]:
        return (self.kind,)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        mapper = document_mapper(self.get_json_schema())
        for group, fields in self._groups().items():
            records = mapper([dict(field) for field in fields.values()])
            yield [record | {"group": group, "field": name} for record, name in zip(records, fields, strict=True)]

    def probe(self) -> None:
        self._groups()

    def _groups(self) -> Groups:
        """The groups of the answer, which may all be empty.

        An answer without any field that is not an object of empty groups is an error: it must not look like a
        subscription without fields.
        """
        path = f"/metadata/schema/{self.kind}"
        answer = self.client.call(path).json()
        groups = usable_groups(answer)
        if any(groups.values()) or (isinstance(answer, dict) and not any(answer.values())):
            return groups
        raise transient_error(self.client.error_table.misshapen, f"GET {path}: {shorten(str(answer))}")


class MetadataAccounts(MetadataFields):
    """Metadata fields of accounts."""

    kind = "account"


class MetadataVisitors(MetadataFields):
    """Metadata fields of visitors."""

    kind = "visitor"
