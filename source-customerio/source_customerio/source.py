"""The source: which streams exist, and whether a configuration works."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from airbyte_cdk.models import ConfiguredAirbyteCatalog, FailureType
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.http.retry import RetryPolicy
from source_kit.network import warn_of_plain_http
from source_kit.source import BatchSource

from source_customerio.client import WorkspaceConnection
from source_customerio.config import Config
from source_customerio.errors import Forbidden, Unauthorized, wrong_region
from source_customerio.streams import STREAMS
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.lists import Campaigns, IpAddresses, Segments, Workspaces
from source_customerio.streams.people import Customers


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
        connection = WorkspaceConnection(Config.parse(config))
        return [stream(connection) for stream in STREAMS]

    def catalog_streams(self, config: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """All streams, at the beginning of a read."""
        warn_of_plain_http(logging.getLogger("airbyte"), Config.parse(config).base_url)
        return self.streams(config)

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """A cheap request for each permission that a stream needs.

        The key is accepted if any of them is answered. Then the check succeeds, since the streams may be chosen
        accordingly, and the log names those that will fail, whatever the reason: what one part of the server refuses,
        or cannot answer now, is no reason to sync nothing. If the first few are not answered, the rest is not tried.
        """
        parsed = Config.parse(config)
        warn_of_plain_http(logger, parsed.base_url)
        connection = WorkspaceConnection(parsed)
        first = [_failure(_FIRST_PROBES[0](connection))]
        if not _is_decisive(first[0]):
            first += _failures([stream(connection) for stream in _FIRST_PROBES[1:]], len(_FIRST_PROBES))
        verdict = _verdict(parsed, first)
        if verdict is not None:
            return False, verdict
        probed = dict(zip((stream.permission for stream in _FIRST_PROBES), first, strict=False))
        others = [stream for stream in _one_of_each_permission(connection) if stream.permission not in probed]
        found = _failures(others, parsed.num_workers)
        probed |= dict(zip((stream.permission for stream in others), found, strict=True))
        if all(isinstance(error, Forbidden) for error in probed.values()):
            return False, (
                "Customer.io denied the key access to everything (status 403). Use an App API key whose scope includes "
                "what is to be synced, and if it has an IP allowlist, add the address that this connector runs from."
            )
        errors = {permission: error for permission, error in probed.items() if error is not None}
        if len(errors) == len(probed):
            return False, str(next(iter(errors.values())).message)
        for permission, error in errors.items():
            logger.warning(f"Check: {permission} cannot be read: {error.message}")
        return True, None


#: Probed first: the key may open no more than one of them
_FIRST_PROBES: tuple[type[CustomerIoStream], ...] = (Campaigns, Segments, Customers, Workspaces)
#: For `check`: an answer now is worth more than one that waited, but a busy workspace is no failure.
CHECK_RETRY_POLICY = RetryPolicy(tries=2, throttled_seconds=5.0)
#: Seconds; a probe asks for one row.
_PROBE_TIMEOUT = 20.0


def _failure(stream: CustomerIoStream) -> AirbyteTracedException | None:
    """Why a stream cannot be read now; None where it can."""
    stream.client.retry_policy = CHECK_RETRY_POLICY
    stream.client.read_timeout = _PROBE_TIMEOUT
    try:
        stream.probe()
    except AirbyteTracedException as error:
        return error
    return None


def _failures(streams: Sequence[CustomerIoStream], workers: int) -> list[AirbyteTracedException | None]:
    """`_failure` of each stream."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(_failure, streams))


def _is_decisive(error: AirbyteTracedException | None) -> bool:
    """Whether one probe shows how the others will end: it was answered, or the configuration must be corrected.

    A 401 does not: what a key gets outside its scope is not documented, and 401 is declared on more paths than 403.
    """
    return error is None or (
        error.failure_type is FailureType.config_error and not isinstance(error, Unauthorized | Forbidden)
    )


def _verdict(config: Config, first: Sequence[AirbyteTracedException | None]) -> str | None:
    """What is wrong with the key or the way to the server, judged by the first probes; None where nothing is.

    A denied access (403) says nothing against the key. All else does where every probe ended so.
    """
    if any(error is None or isinstance(error, Forbidden) for error in first):
        return None
    error = next((error for error in first if error is not None and _is_decisive(error)), first[0])
    assert error is not None  # noqa: S101 - else there were no verdict
    return _with_other_region(config, error) if isinstance(error, Unauthorized) else str(error.message)


def _one_of_each_permission(connection: WorkspaceConnection) -> list[CustomerIoStream]:
    """A stream for each permission. The list of IP addresses needs no key and proves nothing."""
    of_permission = {stream.permission: stream for stream in reversed(STREAMS) if stream is not IpAddresses}
    return [stream(connection) for stream in reversed(of_permission.values())]


def _with_other_region(config: Config, error: Unauthorized) -> str:
    """The error's sentence, or the answer itself where the key opens the other region.

    The vendor answers a key of the other region like a wrong one, and has no way to ask for the region of an App API
    key (certain: vendor documentation).
    """
    other = config.other_region
    if other is not None and _opens(replace(config, region=other)):
        return wrong_region(config)
    return str(error.message)


def _opens(config: Config) -> bool:
    error = _failure(Campaigns(WorkspaceConnection(config)))
    return error is None or isinstance(error, Forbidden)
