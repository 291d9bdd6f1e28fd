"""The source: which streams exist, and whether a configuration works."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from airbyte_cdk.models import ConfiguredAirbyteCatalog, FailureType
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.compiled import warn_of_slow_reading
from source_kit.errors import config_error
from source_kit.http.retry import RetryPolicy
from source_kit.network import warn_of_plain_http
from source_kit.source import Source

from source_customerio import raw_decoder
from source_customerio.budget import WINDOW_SECONDS
from source_customerio.client import WorkspaceConnection
from source_customerio.config import Config
from source_customerio.errors import WRONG_KEY, Forbidden, Unauthorized, closed_to_the_key, wrong_region
from source_customerio.streams import STREAMS, webhook_streams
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.deliveries import Messages
from source_customerio.streams.lists import Campaigns, ChangingList, FullList, IpAddresses, Segments, Workspaces
from source_customerio.streams.people import Customers


class SourceCustomerio(Source[Config]):
    """Customer.io's App API: one workspace, the one that the key belongs to."""

    options = Config
    quiet_seconds = WINDOW_SECONDS

    def workers(self, config: Config) -> int:
        return config.num_workers

    def single_column_keys(self, config: Config) -> bool:
        return config.single_column_keys

    def divided(self, config: Config, readers: int) -> Config:
        """Each reader gets its part of the requests a second."""
        if readers > config.requests_per_second:
            raise config_error(
                f"Option concurrency must not be larger than requests_per_second, which is "
                f"{config.requests_per_second}: each reader needs one request a second. Lower concurrency."
            )
        return replace(config, requests_per_second=config.requests_per_second // readers)

    def all_streams(self, config: Config) -> list[Stream]:
        """All streams, whatever the key may read: one that it may not fails when it is read, with a sentence."""
        return self._streams(config, ())

    def _streams(self, config: Config, chosen: Collection[str]) -> list[Stream]:
        connection = WorkspaceConnection(config, chosen)
        return [*(stream(connection) for stream in STREAMS), *webhook_streams(config)]

    def catalog_streams(self, config: Config, catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """All streams, at the beginning of a read."""
        logger = logging.getLogger("airbyte")
        warn_of_plain_http(logger, config.base_url)
        chosen = {configured.stream.name for configured in catalog.streams}
        streams = self._streams(config, chosen)
        if any(isinstance(stream, _LISTS) and stream.keeps_rows and stream.name in chosen for stream in streams):
            warn_of_slow_reading("Lists", "Python", "source-customerio", raw_decoder.MISSING)
        return streams

    def probe(self, logger: logging.Logger, config: Config) -> str | None:
        """A cheap request for each permission that a stream needs, and a look at the log of a webhook-inlet.

        The check succeeds if any of the requests is answered, and the log names those that failed, whatever the reason:
        the other streams can be read. If the first few are not answered, the rest is not tried, unless the key was
        refused: it may open the rest.
        """
        warn_of_plain_http(logger, config.base_url)
        connection = WorkspaceConnection(config)
        found = _failures(_FIRST_PROBES[:1], connection, 1)
        if not any(map(_is_decisive, found.values())):
            found |= _failures(_FIRST_PROBES[1:], connection, len(_FIRST_PROBES))
        _raise_if_all_fail(list(found.values()))
        # the list of IP addresses needs no key and proves nothing
        others = {
            one.permission: one for one in STREAMS[::-1] if one.permission not in found and one is not IpAddresses
        }
        found |= _failures(list(reversed(others.values())), connection, config.num_workers)
        errors = {permission: error for permission, error in found.items() if error is not None}
        if len(errors) == len(found):
            refused = all(isinstance(error, Unauthorized | Forbidden) for error in errors.values())
            if not refused or not _opens_another_list((*_FIRST_PROBES, *others.values()), connection):
                raise _verdict(config, list(errors.values()))
        for permission, error in errors.items():
            why = closed_to_the_key(permission) if isinstance(error, Unauthorized) else error.message
            logger.warning(f"Check: {permission} cannot be read: {why}")
        return " ".join(stream.examine(logger) for stream in webhook_streams(config)) or None


#: Streams whose rows are passed on as they came where nothing in them is changed
_LISTS = (FullList, ChangingList, Messages)
#: Probed first: the key may open no more than one of them
_FIRST_PROBES: tuple[type[CustomerIoStream], ...] = (Campaigns, Segments, Customers, Workspaces)
#: For `check`: an answer now is worth more than one that waited, but a busy workspace is no failure.
CHECK_RETRY_POLICY = RetryPolicy(tries=2, throttled_seconds=5.0)
#: Seconds; a probe reads one row.
_PROBE_TIMEOUT = 20.0


def _failures(
    streams: Sequence[type[CustomerIoStream]], connection: WorkspaceConnection, workers: int
) -> dict[str, AirbyteTracedException | None]:
    """As `_probe_errors`, by the permission that each stream needs."""
    errors = _probe_errors(streams, connection, workers)
    return dict(zip((stream.permission for stream in streams), errors, strict=True))


def _probe_errors(
    streams: Iterable[type[CustomerIoStream]], connection: WorkspaceConnection, workers: int
) -> list[AirbyteTracedException | None]:
    """Why each stream cannot be read now, None where it can."""
    with ThreadPoolExecutor(workers) as pool:
        return list(
            pool.map(lambda stream: stream(connection).probe_error(CHECK_RETRY_POLICY, _PROBE_TIMEOUT), streams)
        )


def _is_decisive(error: AirbyteTracedException | None) -> bool:
    """Whether one probe shows how the others will end: it was answered, or the configuration must be corrected.

    A 401 does not: what a key gets outside its scope is not documented, and 401 is declared on more paths than 403.
    """
    return error is None or (
        error.failure_type is FailureType.config_error and not isinstance(error, Unauthorized | Forbidden)
    )


def _raise_if_all_fail(first: Sequence[AirbyteTracedException | None]) -> None:
    """Raises an error of the first probes where it shows that the others would fail as well.

    A refusal of the key (401, 403) shows nothing about what else it opens.
    """
    errors = [error for error in first if error is not None]
    if len(errors) < len(first):
        return
    decisive = next(filter(_is_decisive, errors), None)
    if decisive or not any(isinstance(error, Unauthorized | Forbidden) for error in errors):
        raise decisive or errors[0]


def _opens_another_list(probed: Sequence[type[CustomerIoStream]], connection: WorkspaceConnection) -> bool:
    """Whether a key that was refused opens one of the lists that were not probed.

    One list stands for all of a permission, as this connector names them; the vendor's scopes are not documented.
    """
    known = {IpAddresses.endpoint, *(one.endpoint for one in probed)}
    lists = {one.endpoint: one for one in STREAMS if one.parent is None and one.endpoint not in known}
    return not all(_probe_errors(lists.values(), connection, connection.config.num_workers))


def _verdict(config: Config, errors: Sequence[AirbyteTracedException]) -> AirbyteTracedException:
    """What is wrong with a key that opens nothing, judged by the error of every probe.

    The vendor answers a key of the other region like a wrong one, and has no way to ask for the region of an App API
    key (certain: vendor documentation).
    """
    if all(isinstance(error, Forbidden) for error in errors):
        return config_error(
            "Customer.io denied the key access to everything (status 403). Use an App API key whose scope includes "
            "what is to be synced, and if it has an IP allowlist, add the address that this connector runs from.",
            errors[0].internal_message,
        )
    unauthorized = next((error for error in errors if isinstance(error, Unauthorized)), None)
    if unauthorized is None:
        return errors[0]
    belongs_there = config.other_region is not None and _opens_anything(replace(config, region=config.other_region))
    return config_error(wrong_region(config) if belongs_there else WRONG_KEY, unauthorized.internal_message)


def _opens_anything(config: Config) -> bool:
    """Whether the key is known in a region: something is answered, or denied."""
    found = _failures(_FIRST_PROBES, WorkspaceConnection(config), len(_FIRST_PROBES))
    return any(error is None or isinstance(error, Forbidden) for error in found.values())
