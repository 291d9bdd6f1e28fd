"""A source whose read goes through the engine; everything else is the CDK's."""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import orjson
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStateMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
    StreamDescriptor,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message as status_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.convert import utc_now
from source_kit.documents import require_once, unknown_stream
from source_kit.engine import Engine, StreamRun
from source_kit.output import Batch, Channel
from source_kit.saved_state import SavedStates, usable_state, warn_of_future
from source_kit.stream import BatchStream


class BatchSource(AbstractSource, ABC):
    """An `AbstractSource` of `BatchStream`s."""

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The options that were filled in: forms send one that was left empty as absent, null or blank.

        The CDK's own writes them to `temp_dir`, which nobody reads: secrets stay off the disk.
        """
        return _filled_in(config)

    def require_valid(self, config: Mapping[str, Any]) -> None:
        """Raises a config_error for options that are wrong, with a sentence that names the option and the fix."""

    def workers(self, config: Mapping[str, Any]) -> int:
        """How many slices are read at the same time."""
        return 4

    def catalog_streams(self, config: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """The streams that a read needs; a source that must ask the server for them may build the chosen ones only."""
        return self.streams(config)

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """As the CDK's, but a failure of any kind is a FAILED status with a plain sentence, not a repr or a crash."""
        try:
            succeeded, error = self.check_connection(logger, config)
        except AirbyteTracedException as traced:
            logger.info(f"Check failed: {traced.internal_message}")
            succeeded, error = False, traced.message
        except Exception as unexpected:
            logger.error("Check hit an unexpected error", exc_info=unexpected)
            succeeded, error = False, f"{self.name} hit an unexpected error ({unexpected!r}). See the log."
        if succeeded:
            return AirbyteConnectionStatus(status=Status.SUCCEEDED)
        return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(str(error)))

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """The read as single messages, for callers that drive a source without its entry point (the test kits do).

        Raises after the last message when a stream failed, as the CDK does.
        """
        engine = self.engine(logger, config, catalog, state)
        with closing(engine.items()) as items:
            for item in items:
                match item:
                    case Batch(lines=lines):
                        for line in lines.removesuffix(b"\n").split(b"\n"):
                            yield AirbyteMessageSerializer.load(orjson.loads(line))
                    case AirbyteMessage():
                        yield item
        if engine.failed:
            raise AirbyteTracedException(
                message=f"These streams did not sync successfully: {', '.join(engine.failed)}.",
                failure_type=FailureType.config_error,
            )

    def engine(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None,
    ) -> Engine:
        """The read, ready to run. May ask the server which streams there are; one that is not there has failed."""
        require_once(catalog)
        channel = Channel()
        unknown = []
        streams = {stream.name: stream for stream in self.catalog_streams(config, catalog)}
        states = SavedStates(state, logger)
        now = utc_now()
        runs = []
        for configured in catalog.streams:
            name = configured.stream.name
            stream = streams.get(name)
            if stream is None:
                unknown.append(name)
                error = unknown_stream(name, sorted(streams))
                descriptor = StreamDescriptor(name=name, namespace=configured.stream.namespace)
                channel.put(error.as_sanitized_airbyte_message(descriptor))
                channel.put(status_message(configured.stream, AirbyteStreamStatus.INCOMPLETE))
                continue
            assert isinstance(stream, BatchStream)  # noqa: S101 - a BatchSource has no others
            usable = usable_state(states.of(name, configured.stream.namespace), configured.sync_mode)
            warn_of_future(logger, name, stream.reached(usable), now)
            runs.append(StreamRun(stream, configured, usable))
        engine = Engine(runs, self.workers(config), now, logger, channel)
        engine.failed += unknown
        return engine


def _filled_in(options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: _filled_in(value) if isinstance(value, Mapping) else value for name, value in options.items()}
    return {
        name: value
        for name, value in given.items()
        if value not in (None, {}) and not (isinstance(value, str) and not value.strip())
    }
