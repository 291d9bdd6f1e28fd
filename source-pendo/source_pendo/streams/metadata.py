"""The metadata fields of accounts and visitors, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import shorten
from source_kit.stream import SliceItem

from source_pendo.client import PendoStream
from source_pendo.metadata_schema import usable_groups
from source_pendo.values import document_converter


class MetadataFields(PendoStream):
    """One row for each field: its group, its name, its type and flags.

    Field names are values here, so `userID` and `userId` stay two rows. Pendo answers one object of objects; as a
    single record, which is how other connectors emit it, it would have no key and a schema of its own in every
    subscription.
    """

    kind: ClassVar[str]
    key = ("group", "field")
    reread = "everything"
    settle = "at once (inferred)"
    deletes = "a deleted field stays with `is_deleted`, or is missing after the next full refresh"
    cost = "one request"

    def slices(self) -> Iterable[str]:
        """One slice: the answer."""
        return (self.kind,)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """Every field of every group."""
        convert = document_converter(self.get_json_schema())
        yield [
            {**convert(field), "group": group, "field": name}
            for group, fields in self._groups().items()
            for name, field in fields.items()
        ]

    def probe(self) -> None:
        """Ask for all of it: it is small."""
        self._groups()

    def _misshapen(self, answer: Any) -> AirbyteTracedException:
        """An answer in which no field can be found must not pass for a subscription without fields."""
        return AirbyteTracedException(
            message=self.error_table.misshapen,
            internal_message=f"GET /metadata/schema/{self.kind}: {shorten(str(answer))}",
            failure_type=FailureType.transient_error,
        )

    def _groups(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The groups of the answer, which may all be empty; anything that is no object of objects is an error."""
        answer = self.call(f"/metadata/schema/{self.kind}").json()
        groups = usable_groups(answer)
        if not any(groups.values()) and (not isinstance(answer, dict) or any(answer.values())):
            raise self._misshapen(answer)
        return groups


class MetadataAccounts(MetadataFields):
    """Metadata fields of accounts."""

    kind = "account"


class MetadataVisitors(MetadataFields):
    """Metadata fields of visitors."""

    kind = "visitor"
