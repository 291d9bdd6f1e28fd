"""A source with typed options, whose read goes through the engine."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Generic, TypeVar

import orjson
from airbyte_cdk.models import (
    AirbyteCatalog,
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
from source_kit.options import Options
from source_kit.output import Batch, Channel
from source_kit.saved_state import SavedStates, usable_state, warn_of_future
from source_kit.stream import BatchStream

Config = TypeVar("Config", bound=Options)


class Source(AbstractSource, Generic[Config]):
    """A source of `BatchStream`s. Its hooks get the options parsed; the CDK's methods, which get them raw, are here."""

    options: type[Config]

    @abstractmethod
    def all_streams(self, config: Config) -> list[Stream]:
        """Every stream that there is."""

    @abstractmethod
    def probe(self, logger: logging.Logger, config: Config) -> str | None:
        """Asks the server for as little as shows whether the options work. Raises an error where they do not.

        Returns what the user should know of a check that succeeds all the same.
        """

    def discovered_streams(self, logger: logging.Logger, config: Config) -> list[Stream]:
        """The streams that `discover` offers."""
        return self.all_streams(config)

    def catalog_streams(self, config: Config, catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """The streams that a read needs; a source that must ask the server for them may build the chosen ones only."""
        return self.all_streams(config)

    def workers(self, config: Config) -> int:
        """How many slices are read at the same time."""
        return 4

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The raw options without blanks. The CDK's own writes them to `temp_dir`: here secrets stay off the disk."""
        return self.options.filled_in(config)

    def parse(self, raw: Mapping[str, Any]) -> Config:
        """The typed options. Raises a config_error for one that is wrong; the sentence names it and the fix."""
        return self.options.parse(raw)

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """All streams, for the CDK and for tools."""
        return self.all_streams(self.parse(config))

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        """The catalog of the streams that are offered."""
        streams = self.discovered_streams(logger, self.parse(config))
        return AirbyteCatalog(streams=[stream.as_airbyte_stream() for stream in streams])

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """As `probe`, in the CDK's form."""
        return True, self.probe(logger, self.parse(config))

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """The status of a connection; a failure of any kind is FAILED with a plain sentence, not a repr or a crash."""
        try:
            status, message = Status.SUCCEEDED, self.probe(logger, self.parse(config))
        except AirbyteTracedException as traced:
            logger.info(f"Check failed: {traced.internal_message}")
            status, message = Status.FAILED, str(traced.message)
        except Exception as unexpected:
            logger.error("Check hit an unexpected error", exc_info=unexpected)
            status, message = Status.FAILED, f"{self.name} hit an unexpected error ({unexpected!r}). See the log."
        return AirbyteConnectionStatus(status=status, message=filter_secrets(message) if message else None)

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
        options = self.parse(config)
        channel = Channel()
        unknown = []
        streams = {stream.name: stream for stream in self.catalog_streams(options, catalog)}
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
            assert isinstance(stream, BatchStream)  # noqa: S101 - a Source has no others
            usable = usable_state(states.of(name, configured.stream.namespace), configured.sync_mode)
            warn_of_future(logger, name, stream.reached(usable), now)
            runs.append(StreamRun(stream, configured, usable))
        engine = Engine(runs, self.workers(options), now, logger, channel)
        engine.failed += unknown
        return engine
