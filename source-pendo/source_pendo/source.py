"""The source: which streams there are, whether the key may read them, what they look like."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from airbyte_cdk.models import ConfiguredAirbyteCatalog
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.compiled import warn_of_slow_reading
from source_kit.errors import Throttled, config_error
from source_kit.http.client import Connection
from source_kit.http.retry import CHECK_RETRY_POLICY, RetryPolicy
from source_kit.network import warn_of_plain_http
from source_kit.source import Source

from source_pendo import native_records
from source_pendo.client import (
    MAY_WRITE,
    WRONG_KEY,
    WRONG_REGION,
    BadRequest,
    Forbidden,
    NotOffered,
    QueryTooBig,
    connect,
    verify_key,
)
from source_pendo.config import Config
from source_pendo.streams import STREAMS, chosen_streams, webhook_streams
from source_pendo.streams.base import PendoStream
from source_pendo.streams.chosen_objects import ChosenObjects
from source_pendo.streams.grouped_events import GroupedEvents

#: A check does not wait longer for one answer, because a person waits for the check. Seconds.
_PROBE_TIMEOUT: Final = 20.0
#: The key's own check proves nothing if it takes longer. Seconds.
_VERIFY_TIMEOUT: Final = 5.0
_PROBES_AT_A_TIME: Final = 6
#: Pendo may throttle a check because of its many probes, or of a sync that uses the same key: that passes in seconds.
_PROBING: Final = RetryPolicy(tries=2, base_seconds=0.5, throttled_seconds=15.0)
#: A discovery without the metadata fields would remove their columns, so it waits longer for them.
_DISCOVERING: Final = RetryPolicy(tries=5, base_seconds=0.5, throttled_seconds=30.0)


class SourcePendo(Source[Config]):
    """Pendo as an Airbyte source."""

    options = Config

    def workers(self, config: Config) -> int:
        return config.num_workers

    def single_column_keys(self, config: Config) -> bool:
        return config.single_column_keys

    def all_streams(self, config: Config) -> list[Stream]:
        return [*_streams(config, connect(config)), *webhook_streams(config)]

    def catalog_streams(self, config: Config, catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        logger = logging.getLogger("airbyte")
        warn_of_plain_http(logger, config.base_url)
        streams = self.all_streams(config)
        chosen = {configured.stream.name for configured in catalog.streams}
        if any(isinstance(stream, GroupedEvents) and stream.name in chosen for stream in streams):
            warn_of_slow_reading("Events", "Python", "source-pendo", native_records.MISSING)
        return streams

    def probe(self, logger: logging.Logger, config: Config) -> str | None:
        """Asks whether the key is valid, then every endpoint and source for the least it can give, at the same time.

        Every subscription has the streams that are not `documented_only`. If all of these fail, the check fails: the
        key or the region is wrong, or the network or Pendo fails. Otherwise it passes, and names the streams that the
        key may not read, that the subscription does not offer, or that failed.
        """
        # Keys of two regions are known to end in the region's name; about the others nothing is known, so only warn.
        suffix = config.api_key.rpartition(".")[2].lower()
        if suffix in ("us", "eu") and not config.region.lower().startswith(suffix):
            logger.warning(f"The integration key ends in .{suffix}, the region is {config.region}: check the region")
        warn_of_plain_http(logger, config.base_url)
        refused: list[str] = []
        lacking: list[PendoStream] = []
        failed: list[str] = []
        connection = connect(config)
        warnings = [MAY_WRITE] if verify_key(connection, _VERIFY_TIMEOUT) else []
        for stream, error in _probe_all(config, connection):
            if stream.documented_only and stream.is_lacking(error):
                lacking.append(stream)
            elif isinstance(error, Forbidden | NotOffered):
                refused.append(stream.name)
            elif not isinstance(error, QueryTooBig):  # such a query is split when the stream is read
                failed.append(stream.name)
                logger.warning(f"Stream {stream.name} failed in the connection test ({error.internal_message})")
        if refused:
            warnings.append(_refused_sentence(refused))
        if failed:
            warnings.append(
                f"Pendo did not answer as it should for {', '.join(failed)}, everything else can be read: the log has "
                "what it answered. Deselect these streams if their syncs fail, too."
            )
        if lacking:
            warnings.append(_lacking_sentence(lacking))
        for warning in warnings:
            logger.warning(warning)
        return " ".join(warnings + [stream.examine(logger) for stream in webhook_streams(config)]) or None

    def discovered_streams(self, logger: logging.Logger, config: Config) -> list[Stream]:
        """The streams that the key may read, with the subscription's own metadata in their schemas.

        A stream is missing only where Pendo refuses it (`is_lacking`): an endpoint that fails today may work tomorrow.
        """
        connection = connect(config)
        errors = _probe_all(config, connection)
        missing = [stream for stream, error in errors if stream.is_lacking(error)]
        if refused := [stream.name for stream in missing if not stream.documented_only]:
            logger.warning(_refused_sentence(refused))
        if lacking := [stream for stream in missing if stream.documented_only]:
            logger.info(_lacking_sentence(lacking))
        names = {stream.name for stream in missing}
        streams = [stream for stream in _streams(config, connection) if stream.name not in names]
        for stream in streams:
            stream.client.retry_policy = _DISCOVERING
        return [*streams, *webhook_streams(config)]


def _streams(config: Config, connection: Connection) -> list[PendoStream]:
    return [stream(config, connection) for stream in (*STREAMS, *chosen_streams(config))]


def _probe_all(config: Config, connection: Connection) -> list[tuple[PendoStream, AirbyteTracedException]]:
    """The streams that do not answer, with their errors.

    Raises if all streams fail that every subscription has. One that answers proves the key, the region and the network;
    the error of another stream is about that stream alone.
    """
    streams = _streams(config, connection)
    throttled = threading.Event()
    with ThreadPoolExecutor(min(_PROBES_AT_A_TIME, config.num_workers)) as pool:
        found = pool.map(lambda stream: _probe(stream, throttled), streams)
        errors = [(stream, error) for stream, error in zip(streams, found, strict=True) if error is not None]
    of_all_subscriptions = [error for stream, error in errors if not stream.documented_only]
    if len(of_all_subscriptions) == sum(not stream.documented_only for stream in streams):
        raise _common_error(of_all_subscriptions)
    return errors


def _probe(stream: PendoStream, throttled: threading.Event) -> AirbyteTracedException | None:
    """What is wrong with a stream, or None. Once one was `throttled` for too long, the others do not wait."""
    error = stream.probe_error(CHECK_RETRY_POLICY if throttled.is_set() else _PROBING, _PROBE_TIMEOUT)
    if isinstance(error, Throttled):
        throttled.set()
    return error


def _common_error(errors: list[AirbyteTracedException]) -> AirbyteTracedException:
    """What the errors of all streams have in common, or else the first that is not a refusal."""
    if all(isinstance(error, Forbidden) for error in errors):
        return config_error(WRONG_KEY, errors[0].internal_message)
    if all(isinstance(error, BadRequest) for error in errors):
        return config_error(WRONG_REGION, errors[0].internal_message)
    return next(error for error in errors if not isinstance(error, Forbidden))


def _refused_sentence(names: list[str]) -> str:
    return (
        f"Pendo refuses {', '.join(names)} to this integration key, everything else can be read: make a new key with "
        "that right in Pendo's Settings > Integrations > Integration Keys, or deselect these streams."
    )


def _lacking_sentence(streams: list[PendoStream]) -> str:
    names = ", ".join(stream.name for stream in streams)
    sentences = [
        f"Pendo refuses {names}, which not every subscription has, so the catalog goes without them; everything else "
        "can be read."
    ]
    if options := " and ".join(stream.option for stream in streams if isinstance(stream, ChosenObjects)):
        sentences.append(f"None of the ids in {options} can be read: check them.")
    return " ".join(sentences)
