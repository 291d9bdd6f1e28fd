"""The source: which streams exist, and whether a configuration works. Requests are the streams' business."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from airbyte_cdk.models import ConfiguredAirbyteCatalog
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.network import warn_of_plain_http
from source_kit.source import BatchSource

from source_customerio.client import IMPATIENCE, Client, Forbidden, Unauthorized
from source_customerio.config import Config
from source_customerio.streams import STREAMS
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.lists import IpAddresses


class SourceCustomerio(BatchSource):
    """Customer.io's App API: one workspace, the one that the key belongs to."""

    def require_valid(self, config: Mapping[str, Any]) -> None:
        """See the base."""
        Config.parse(config)

    def workers(self, config: Mapping[str, Any]) -> int:
        """As configured."""
        return Config.parse(config).num_workers

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """All streams, whatever the key may read: one that it may not fails when it is read, with a sentence."""
        client = Client.of(Config.parse(config))
        return [stream(client) for stream in STREAMS]

    def catalog_streams(self, config: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """All streams, at the beginning of a read."""
        warn_of_plain_http(logging.getLogger("airbyte"), Config.parse(config).base_url)
        return self.streams(config)

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """One cheap request for each permission that a stream needs.

        The key is wrong if it opens nothing. If it opens some, the check succeeds, since the streams may be chosen
        accordingly, and the log names those that will fail. Once the key was accepted, other refusals count like a
        denied access: a family that the workspace does not have is no reason to sync nothing.
        """
        parsed = Config.parse(config)
        warn_of_plain_http(logger, parsed.base_url)
        client = Client.of(parsed)
        try:
            _probe(STREAMS[0](client))
        except Unauthorized as error:
            return False, _with_other_region(parsed, error)
        except Forbidden:
            logger.debug("Check: the key opens no campaigns; trying the rest")
        families = _one_of_each_permission(client)
        with ThreadPoolExecutor(parsed.num_workers) as pool:
            refusals = [refusal for refusal in pool.map(_refused, families) if refusal]
        if len(refusals) == len(families):
            return False, (
                "Customer.io denied the key access to everything (status 403). Use an App API key whose scope includes "
                "what is to be synced, and if it has an IP allowlist, add the address that this connector runs from."
            )
        for refusal in refusals:
            logger.warning(f"Check: {refusal}")
        return True, None


def _probe(stream: CustomerIoStream) -> None:
    stream.retry_policy = IMPATIENCE
    stream.probe()


def _refused(stream: CustomerIoStream) -> str | None:
    """What cannot be read and what the server said, where it refused; any other error is raised."""
    try:
        _probe(stream)
    except stream.refusals as error:
        return f"{stream.permission} cannot be read: {error.message}"
    return None


def _one_of_each_permission(client: Client) -> list[CustomerIoStream]:
    """A stream for each permission. The list of IP addresses needs no key and proves nothing."""
    of_permission = {stream.permission: stream for stream in reversed(STREAMS) if stream is not IpAddresses}
    return [stream(client) for stream in reversed(of_permission.values())]


def _with_other_region(config: Config, error: Unauthorized) -> str:
    """The error's sentence, or the answer itself where the key opens the other region.

    The vendor answers a key of the other region like a wrong one, and has no way to ask for the region of an App API
    key (certain: vendor documentation).
    """
    other = config.other_region
    if other is not None and _opens(replace(config, region=other)):
        return (
            f"The key belongs to an account in the region {other}, not {config.region}. Choose {other} as the region."
        )
    return str(error.message)


def _opens(config: Config) -> bool:
    try:
        _probe(STREAMS[0](Client.of(config)))
    except Forbidden:
        return True
    except AirbyteTracedException:
        return False
    return True
