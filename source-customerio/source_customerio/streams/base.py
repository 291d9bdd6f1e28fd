"""What every stream of Customer.io has in common: its list, its key, and how its rows become records."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson
from source_kit.http.rows import Decode
from source_kit.http.stream import BatchHttpStream
from source_kit.raw_rows import RawRows
from source_kit.stream import Record, Rows

from source_customerio import raw_decoder
from source_customerio.client import CustomerIoClient, WorkspaceConnection
from source_customerio.listed import ListedObject


class CustomerIoStream(BatchHttpStream, ABC):
    """A stream of the App API. Its name is the class name in snake case, its schema the file of that name."""

    key: ClassVar[tuple[str, ...]] = ("id",)
    cursor_in_seconds = True
    #: Path of the list, below `/v1/`
    endpoint: ClassVar[str]
    #: The member of an answer that holds the rows
    envelope: ClassVar[str]
    #: What the key must be allowed to read; the error of a refusal names it, and `check` probes each one once.
    permission: ClassVar[str]
    #: An empty page ends the list too; where not, only an empty, null or absent `next` does (see `PageTokens`)
    empty_page_ends: ClassVar[bool] = False
    #: Most rows of an answer, a parameter of the request; None where the list has no such parameter
    page_size: int | None = None
    #: Further query parameters of the list
    params: ClassVar[Mapping[str, str]] = {}
    #: Specified by the vendor and never seen live; the documentation marks such streams.
    documented_only: ClassVar[bool] = False
    #: The stream of the objects below which this one's lists lie; None for a list of its own
    parent: ClassVar[type[CustomerIoStream] | None] = None
    #: Column of the id of these objects in the rows of the lists below them; only where there are such lists, for which
    #: every list of these objects is noted
    id_in_children: ClassVar[str] = ""
    #: Column of the time at which these objects were created; noted for the lists below
    created_field: ClassVar[str] = "created"
    #: The parameters of each list of these objects; together they have all
    lists: ClassVar[tuple[Mapping[str, str], ...]] = ({},)

    client: CustomerIoClient

    def __init__(self, connection: WorkspaceConnection) -> None:
        super().__init__(CustomerIoClient(self.name, self.permission, connection))
        self.config = connection.config

    def slices(self) -> Iterator[Any]:
        yield self.endpoint

    def pages(self, path: str, params: Mapping[str, str] | None = None, **more: Any) -> Iterator[list[Record]]:
        """The rows of a list by this stream's facts. `more` is for the client's `pages`."""
        query = {**self.params, **(params or {})}
        pages = self.client.pages(
            path, self.envelope, empty_page_ends=self.empty_page_ends, page_size=self.page_size, params=query, **more
        )
        if not self.id_in_children:
            return pages
        return self.client.connection.listed.noting(name_of(path, params), pages, self.created_field)

    def objects(self, path: str, looked_since: float | None = None) -> list[ListedObject]:
        """What the lists at a path hold, noted or read; see `Listed.objects`."""
        listed = self.client.connection.listed
        return [
            found
            for params in self.lists
            for found in listed.objects(name_of(path, params), partial(self.pages, path, params), looked_since)
        ]

    def raw_pages(self, path: str, params: Mapping[str, str] | None = None, **more: Any) -> Iterator[Rows]:
        """As `pages`, with rows as they came where this stream changes nothing in them."""
        return self.pages(path, params, decode=self.decode, **more)

    @property
    def keeps_rows(self) -> bool:
        """Whether this stream changes nothing in its rows."""
        return type(self).transform is CustomerIoStream.transform

    @cached_property
    def decode(self) -> Decode:
        """How `raw_pages` reads a list of rows."""
        if not self.keeps_rows or raw_decoder.MISSING is not None:
            return orjson.loads
        times = [*filter(None, [self.cursor_field]), *([self.created_field] if self.id_in_children else [])]
        return raw_decoder.RawRowDecoder({**self.key_types, **dict.fromkeys(times, int)})

    def probe(self) -> None:
        """The cheapest request that needs this stream's permission. Raises what a sync would raise on its answer."""
        self.client.probe(self.endpoint, self.envelope, params=self.params)

    @cached_property
    def key_types(self) -> Mapping[str, type]:
        """Columns of the primary key with the one type that the schema gives them, besides null."""
        columns = self.get_json_schema()["properties"]
        return {name: int if "integer" in columns[name]["type"] else str for name in self.key}

    def transform(self, row: Record) -> Record:
        """What a stream makes of a row before it is emitted; it may change the row itself."""
        return row

    def shaped(self, rows: Rows) -> Rows:
        """As `shape`, also for rows as they came, whose keys have that type."""
        return rows if isinstance(rows, RawRows) else self.shape(rows)

    def shape(self, rows: list[Record]) -> list[Record]:
        """Rows as they are emitted: transformed, and with keys of their column's type, so that they can be joined."""
        rows = list(map(self.transform, rows))
        for column, kind in self.key_types.items():
            for row in rows:
                value = row.get(column)
                if value.__class__ is not kind and value is not None:
                    row[column] = integer_or_same(value) if kind is int else str(value)
        return rows


def name_of(path: str, params: Mapping[str, str] | None) -> str:
    """The name under which a list is noted."""
    return f"{path}?{urlencode(params)}" if params else path


def integer_or_same(value: Any) -> Any:
    """Digits as a number; anything else, null included, as it is."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
