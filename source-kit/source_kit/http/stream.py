"""The base class of streams that are read over HTTP."""

from __future__ import annotations

from typing import Any

from airbyte_cdk.sources.streams.http import HttpStream

from source_kit.http.client import Client
from source_kit.stream import BatchStream


class BatchHttpStream(BatchStream, HttpStream):
    """A `BatchStream` and an `HttpStream` that holds a `Client`, which sends its requests."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client

    @property
    def url_base(self) -> str:
        """The vendor's address."""
        return self.client.connection.base_url

    @property
    def failed_in_a_row(self) -> int:
        """How many slices failed alone since one was last read: the client then tries less often."""
        return self.client.failed_in_a_row

    @failed_in_a_row.setter
    def failed_in_a_row(self, count: int) -> None:
        self.client.failed_in_a_row = count

    def close(self) -> None:
        """Closes the connections, also those of the streams that share them."""
        self.client.close()

    def _not_used(self, *args: Any, **kwargs: Any) -> Any:
        """`HttpStream` asks for these three; here a client knows paths, pages and rows."""
        raise NotImplementedError

    path = next_page_token = parse_response = _not_used
