"""The base class of streams that are read over HTTP."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.http.client import Client
from source_kit.http.retry import RetryPolicy
from source_kit.stream import BatchStream


class BatchHttpStream(BatchStream, HttpStream):
    """A `BatchStream` and an `HttpStream` that holds a `Client`, which sends its requests."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client

    @property
    def url_base(self) -> str:
        return self.client.connection.base_url

    @abstractmethod
    def probe(self) -> None:
        """Sends the smallest request that shows whether the key may read the stream. Raises what `Client.call` does."""

    def probe_error(self, policy: RetryPolicy, seconds: float) -> AirbyteTracedException | None:
        """The error of a probe, None if it is answered. The client keeps the policy, and waits no longer than this."""
        self.client.retry_policy = policy
        self.client.read_timeout = min(self.client.read_timeout, seconds)
        try:
            self.probe()
        except AirbyteTracedException as error:
            return error
        return None

    def slices_failed(self, in_a_row: int) -> None:
        """Makes the client try less often while slices fail."""
        self.client.failed_in_a_row = in_a_row

    def close(self) -> None:
        """Closes the connections, which other streams may share."""
        self.client.close()

    def _not_used(self, *args: Any, **kwargs: Any) -> Any:
        """`HttpStream` requires these three methods. Here the client knows paths, pages and rows."""
        raise NotImplementedError

    path = next_page_token = parse_response = _not_used
