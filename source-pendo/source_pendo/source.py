"""The source: which streams there are, whether the key may read them, what they look like."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

from airbyte_cdk.models import AirbyteCatalog, AirbyteConnectionStatus, ConfiguredAirbyteCatalog, Status
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import Throttled, config_error
from source_kit.http.retry import CHECK_RETRY_POLICY, RetryPolicy
from source_kit.network import warn_of_plain_http
from source_kit.source import BatchSource

from source_pendo.client import (
    WRONG_KEY,
    WRONG_REGION,
    BadRequest,
    Forbidden,
    NotOffered,
    QueryTooBig,
    connect,
)
from source_pendo.config import Config
from source_pendo.streams import STREAMS
from source_pendo.streams.base import PendoStream

#: A check does not wait longer for one answer, because a person waits for the check. Seconds.
_PROBE_TIMEOUT: Final = 20.0
_PROBES_AT_A_TIME: Final = 6
#: Pendo may throttle a check because of its many probes, or of a sync that uses the same key: that passes in seconds.
_PROBING: Final = RetryPolicy(tries=2, base_seconds=0.5, throttled_seconds=15.0)
#: A discovery without the metadata fields would take their columns away, so it is a little more patient about them.
_DISCOVERING: Final = RetryPolicy(tries=5, base_seconds=0.5, throttled_seconds=30.0)

Findings = dict[str, AirbyteTracedException | None]


class SourcePendo(BatchSource):
    """Pendo as an Airbyte source."""

    def require_valid(self, config: Mapping[str, Any]) -> None:
        """See the base."""
        Config.parse(config)

    def workers(self, config: Mapping[str, Any]) -> int:
        """Requests at a time."""
        return Config.parse(config).num_workers

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """All streams; asks Pendo nothing."""
        return list(self._pendo_streams(Config.parse(config)))

    def catalog_streams(self, config: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """All streams: a name that the catalog has and the source has not must be told from one that it has."""
        warn_of_plain_http(logging.getLogger("airbyte"), Config.parse(config).base_url)
        return self.streams(config)

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """As of any source; a check that succeeded still names the streams that are refused or failed."""
        self._warnings: list[str] = []
        status = super().check(logger, config)
        if status.status is Status.SUCCEEDED and self._warnings:
            return AirbyteConnectionStatus(status=Status.SUCCEEDED, message=" ".join(self._warnings))
        return status

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """Ask every endpoint and every event source for the least it can give, at the same time.

        Fails where no stream answers: the key, the region or the way to Pendo is wrong, or Pendo fails. It passes when
        some streams answer; those that are refused to the key, not offered to the subscription or failed are named.
        """
        parsed = Config.parse(config)
        _warn_about_region(logger, parsed)
        warn_of_plain_http(logger, parsed.base_url)
        findings = _probe_all(self._pendo_streams(parsed), parsed.num_workers)
        self._warnings = _judge(logger, findings)
        return True, None

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        """The streams that the key may read, with the subscription's own metadata in their schemas.

        A stream is left out only where Pendo refuses it (403): an endpoint that fails today may work tomorrow.
        """
        parsed = Config.parse(config)
        streams = self._pendo_streams(parsed)
        findings = _probe_all(streams, parsed.num_workers)
        refused = _refused(findings)
        if all(findings.values()):
            _raise_about_all(findings)
        if refused:
            logger.warning(_refused_sentence(refused))
        for stream in streams:
            stream.client.retry_policy = _DISCOVERING
        return AirbyteCatalog(streams=[stream.as_airbyte_stream() for stream in streams if stream.name not in refused])

    def _pendo_streams(self, config: Config) -> list[PendoStream]:
        connection = connect(config)
        return [stream(config, connection) for stream in STREAMS]


def _probe_all(streams: list[PendoStream], num_workers: int) -> Findings:
    throttled = threading.Event()
    with ThreadPoolExecutor(min(_PROBES_AT_A_TIME, num_workers)) as pool:
        found = pool.map(lambda stream: _probe(stream, throttled), streams)
        return dict(zip((stream.name for stream in streams), found, strict=True))


def _probe(stream: PendoStream, throttled: threading.Event) -> AirbyteTracedException | None:
    """What is wrong with a stream, or None. Once one was `throttled` for too long, the others do not wait."""
    client = stream.client
    client.retry_policy = CHECK_RETRY_POLICY if throttled.is_set() else _PROBING
    timeout, client.read_timeout = client.read_timeout, min(client.read_timeout, _PROBE_TIMEOUT)
    try:
        stream.probe()
    except AirbyteTracedException as error:
        if isinstance(error, Throttled):
            throttled.set()
        return error
    finally:
        client.read_timeout = timeout
    return None


def _judge(logger: logging.Logger, findings: Findings) -> list[str]:
    """Raises where no stream answered; returns the sentences about those that are refused or failed.

    One stream that answers proves the key, the region and the way; what another one says is about that one. A question
    that is too big for Pendo is no failure: it is split when it is read.
    """
    if all(findings.values()):
        _raise_about_all(findings)
    refused = [name for name, error in findings.items() if isinstance(error, Forbidden | NotOffered)]
    failed = {
        name: error
        for name, error in findings.items()
        if error is not None and not isinstance(error, Forbidden | NotOffered | QueryTooBig)
    }
    warnings = [_refused_sentence(refused)] if refused else []
    for name, error in failed.items():
        logger.warning(f"Stream {name} failed in the connection test ({error.internal_message})")
    if failed:
        warnings.append(
            f"Pendo did not answer as it should for {', '.join(failed)}, everything else can be read: the log has what "
            "it answered. Deselect these streams if their syncs fail, too."
        )
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _raise_about_all(findings: Findings) -> NoReturn:
    """No stream answered: what all of them say is about the connection, else the first error is as good as any."""
    errors = [error for error in findings.values() if error is not None]
    detail = str(errors[0].internal_message)
    if all(isinstance(error, Forbidden) for error in errors):
        raise config_error(WRONG_KEY, detail)
    if all(isinstance(error, BadRequest) for error in errors):
        raise config_error(WRONG_REGION, detail)
    raise next((error for error in errors if not isinstance(error, Forbidden)), errors[0])


def _refused(findings: Findings) -> list[str]:
    return [name for name, error in findings.items() if isinstance(error, Forbidden)]


def _refused_sentence(names: list[str]) -> str:
    return (
        f"Pendo refuses {', '.join(names)} to this integration key, everything else can be read: make a new key with "
        "that right in Pendo's Settings > Integrations > Integration Keys, or deselect these streams."
    )


def _warn_about_region(logger: logging.Logger, config: Config) -> None:
    """Keys of two regions are known to end in the region's name; about the others nothing is known, so only warn."""
    suffix = config.api_key.rpartition(".")[2].lower()
    if suffix in ("us", "eu") and not config.region.lower().startswith(suffix):
        logger.warning(f"The integration key ends in .{suffix}, the region is {config.region}: check the region")
