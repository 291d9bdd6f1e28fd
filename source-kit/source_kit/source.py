"""A source with typed options, which reads through the engine."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, ClassVar, Generic, TypeVar

import orjson
from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStateMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    ConnectorSpecification,
    ConnectorSpecificationSerializer,
    Status,
    StreamDescriptor,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message as status_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit import single_key
from source_kit.convert import utc_now
from source_kit.documents import require_once
from source_kit.engine import Engine, StreamRun
from source_kit.errors import config_error
from source_kit.options import Options
from source_kit.output import Batch, Channel
from source_kit.saved_state import SavedStates, warn_of_future
from source_kit.secrets import mask
from source_kit.specification import read_specification
from source_kit.stream import BatchStream

Config = TypeVar("Config", bound=Options)


class Source(AbstractSource, Generic[Config]):
    """A source of `BatchStream`s. Subclasses get the typed options; the CDK's methods here get the raw ones."""

    options: type[Config]
    #: Seconds after the last request of one reader until the first one of the next: the vendor counts them together
    quiet_seconds: ClassVar[float] = 0.0

    @abstractmethod
    def all_streams(self, config: Config) -> list[Stream]:
        """All streams of the source."""

    @abstractmethod
    def probe(self, logger: logging.Logger, config: Config) -> str | None:
        """Sends the fewest requests that show whether the options work. Raises an error if they do not.

        Returns what the user should know although the check succeeds.
        """

    def discovered_streams(self, logger: logging.Logger, config: Config) -> list[Stream]:
        """The streams that `discover` offers."""
        return self.all_streams(config)

    def catalog_streams(self, config: Config, catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """The streams for a read. A source that must ask the server for each may build only those in the catalog."""
        return self.all_streams(config)

    def workers(self, config: Config) -> int:
        """How many slices are read at the same time."""
        return 4

    def single_column_keys(self, config: Config) -> bool:
        """Whether streams with a key of several columns have the column `_key` as their key."""
        return False

    def keyed(self, config: Config, streams: Iterable[Stream]) -> list[Stream]:
        """Streams with the keys that the options ask for."""
        found = list(streams)
        for stream in found:
            if isinstance(stream, BatchStream):
                stream.joins_key = self.single_column_keys(config)
        return found

    def divided(self, config: Config, readers: int) -> Config:
        """The options of each of several readers that work at the same time, in processes of their own.

        Each sends one request at a time. Raises a config_error for more readers than the vendor's limits allow.
        """
        return config

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The raw options without blanks. Unlike the CDK's method, it does not write secrets to `temp_dir`."""
        return self.options.filled_in(config)

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:
        """The specification of the connector's package: its `spec.yaml`."""
        return ConnectorSpecificationSerializer.load(read_specification(type(self).__module__.partition(".")[0]))

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """All streams, for the CDK and for tools."""
        options = self.options.parse(config)
        return self.keyed(options, self.all_streams(options))

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        options = self.options.parse(config)
        streams = self.keyed(options, self.discovered_streams(logger, options))
        return AirbyteCatalog(streams=[stream.as_airbyte_stream() for stream in streams])

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        return True, self.probe(logger, self.options.parse(config))

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """The status of a connection. Any failure is FAILED with a sentence, never a crash."""
        try:
            status, message = Status.SUCCEEDED, self.probe(logger, self.options.parse(config))
        except AirbyteTracedException as traced:
            logger.error(f"Check failed: {traced.internal_message}")
            status, message = Status.FAILED, str(traced.message)
        except Exception as unexpected:
            logger.error("Check hit an unexpected error", exc_info=unexpected)
            status, message = Status.FAILED, f"{self.name} hit an unexpected error ({unexpected!r}). See the log."
        return AirbyteConnectionStatus(status=status, message=mask(message) if message else None)

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """The read as single messages, for callers without the entry point, such as Airbyte's test kits.

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
            raise config_error(f"These streams did not sync successfully: {', '.join(engine.failed)}.")

    def engine(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None,
    ) -> Engine:
        """The read, ready to run. May ask the server for its streams. Streams unfit for the catalog have failed."""
        require_once(catalog)
        options = self.options.parse(config)
        channel, now = Channel(), utc_now()
        streams = {stream.name: stream for stream in self.keyed(options, self.catalog_streams(options, catalog))}
        states = SavedStates(state, logger)
        runs, unfit = [], []
        for configured in catalog.streams:
            name = configured.stream.name
            stream = streams.get(name)
            error = _misfit(configured, streams)
            if error is not None:
                unfit.append(name)
                descriptor = StreamDescriptor(name=name, namespace=configured.stream.namespace)
                channel.put(error.as_sanitized_airbyte_message(descriptor))
                channel.put(status_message(configured.stream, AirbyteStreamStatus.INCOMPLETE))
                continue
            assert isinstance(stream, BatchStream)  # noqa: S101 - a Source has no others
            start = states.start_of(configured)
            warn_of_future(logger, name, stream.reached(start), now)
            runs.append(StreamRun(stream, configured, start))
        engine = Engine(runs, self.workers(options), now, logger, channel)
        engine.failed += unfit
        return engine


def _misfit(configured: ConfiguredAirbyteStream, streams: Mapping[str, Stream]) -> AirbyteTracedException | None:
    """Why a stream of a catalog cannot be read; None if it can."""
    name = configured.stream.name
    if name not in streams:
        return config_error(
            f"The source has no stream named {name!r}. Refresh the schema of the connection, or remove the stream from "
            "it.",
            f"stream {name!r} is not among {', '.join(sorted(streams))}",
        )
    own = [[single_key.COLUMN]]
    is_single = own in (configured.primary_key, configured.stream.source_defined_primary_key)
    stream = streams[name]
    if is_single and isinstance(stream, BatchStream) and not stream.joined_columns:
        return config_error(
            f"The catalog has the column _key as the key of {name}, which the options do not ask for now: without it a "
            "destination could keep a single record. Refresh the schema of the connection, or set single_column_keys "
            "as it was."
        )
    return None
