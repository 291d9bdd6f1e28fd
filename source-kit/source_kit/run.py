"""The entry point: Airbyte's verbs on the command line, messages on stdout."""

from __future__ import annotations

import base64
import json
import logging
import os
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import init_uncaught_exception_handler
from airbyte_cdk.logger import PRINT_BUFFER, AirbyteLogFormatter, init_logger
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    ConnectorSpecification,
    Type,
)
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets, update_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.channel import Batch, Channel, ChannelItem
from source_kit.errors import config_error
from source_kit.source import BatchSource
from source_kit.waiting import Stopped

_WRITE_BYTES = 1024 * 1024


class Writer:
    """Writes lines to stdout, flushing behind every STATE and before every wait."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._pending: list[bytes] = []
        self._size = 0

    def write(self, item: ChannelItem | None) -> None:
        """Writes one item; None flushes."""
        match item:
            case None:
                self.flush()
            case Batch(stream=stream, lines=lines, count=count):
                self._counts[stream] += count
                self._add(lines)
            case str():
                self._add(item.encode() + b"\n")
            case _:
                self._message(item)

    def _message(self, message: AirbyteMessage) -> None:
        if message.type is Type.STATE and message.state and message.state.stream and message.state.sourceStats:
            name = message.state.stream.stream_descriptor.name
            message.state.sourceStats.recordCount = float(self._counts.pop(name, 0))
        self._add(AirbyteEntrypoint.airbyte_message_to_string(message).encode() + b"\n")
        if message.type is Type.STATE:
            self.flush()

    def _add(self, lines: bytes) -> None:
        self._pending.append(lines)
        self._size += len(lines)
        if self._size >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Everything so far reaches the reader of stdout."""
        for lines in self._pending:
            self._out.write(lines)
        self._pending.clear()
        self._size = 0
        self._out.flush()


def _stdout() -> IO[bytes]:
    """The process's own stdout, whatever has been put in front of it."""
    return open(1, "wb", buffering=_WRITE_BYTES, closefd=False)


class _ChannelLog(logging.Handler):
    """Sends log lines through the writer's thread: while a sync runs, nobody else writes to stdout."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self.setFormatter(AirbyteLogFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Stopped):
            self._channel.put(self.format(record))


class BatchEntrypoint(AirbyteEntrypoint):
    """The CDK's entry point with a read of its own, which writes batches and yields nothing."""

    def __init__(self, source: BatchSource) -> None:
        super().__init__(source)
        self.batch_source = source
        self.failed: list[str] = []

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """As the CDK's, and for the shapes in which a secret may come back: quoted, URL-encoded, base64."""
        secrets = get_secrets(connection_specification, config)
        update_secrets([shape for secret in secrets for shape in secret_shapes(secret)])

    def read(
        self,
        source_spec: ConnectorSpecification,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[Any],
    ) -> Iterable[AirbyteMessage]:
        """Reads and writes the sync; the caller looks at `failed` afterwards."""
        self.set_up_secret_filter(config, source_spec.connectionSpecification)
        self.validate_connection(source_spec, config)
        PRINT_BUFFER.flush()
        writer = Writer(_stdout())
        channel = Channel()
        with logs_in(channel):
            for item in self.batch_source.read_items(self.logger, config, catalog, state, self.failed, channel):
                writer.write(item)
                self._memory_monitor.check_memory_usage()
        writer.flush()
        return ()


@contextmanager
def logs_in(channel: Channel) -> Iterator[None]:
    """While the block runs, log lines of every thread go through the channel instead of to stdout."""
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [_ChannelLog(channel)]
    try:
        yield
    finally:
        root.handlers[:] = before


def secret_shapes(secret: Any) -> list[str]:
    """A secret as it is, JSON-escaped, URL-encoded and in base64, longest first and without repetition."""
    text = str(secret)
    raw = text.encode()
    shapes = {
        text,
        text.strip(),
        json.dumps(text)[1:-1],
        urllib.parse.quote(text, safe=""),
        urllib.parse.quote_plus(text),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    return sorted((shape for shape in shapes if shape), key=len, reverse=True)


def launch(make_source: Callable[[], BatchSource], args: Sequence[str]) -> int:
    """Runs one of Airbyte's verbs; returns the exit code.

    Files that cannot be read end with a sentence in a TRACE, as every other failure does.
    """
    logger = init_logger("airbyte")
    init_uncaught_exception_handler(logger)
    source = make_source()
    entrypoint = BatchEntrypoint(source)
    parsed = AirbyteEntrypoint.parse_args(list(args))
    if not parsed.command:
        AirbyteEntrypoint.parse_args(["--help"])
    try:
        for name in ("config", "catalog", "state"):
            require_json(name, getattr(parsed, name, None))
        with PRINT_BUFFER:
            for message in entrypoint.run(parsed):
                PRINT_BUFFER.write(f"{message}\n")
    except AirbyteTracedException as error:
        PRINT_BUFFER.flush()
        logger.error(error.message)
        PRINT_BUFFER.write(AirbyteEntrypoint.airbyte_message_to_string(error.as_sanitized_airbyte_message()) + "\n")
        PRINT_BUFFER.flush()
        return 1
    except BrokenPipeError:
        # whoever read stdout is gone; what it did not read, it does not have a state for
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return 1 if entrypoint.failed else 0


def require_json(name: str, path: str | None) -> None:
    """Raises a config_error with a sentence where a file of the command line is missing, no JSON or misshapen."""
    if path is None:
        return
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"The {name} file {path} does not exist."
        raise config_error(msg) from None
    except (OSError, ValueError) as error:
        msg = f"The {name} file {path} cannot be read as JSON: write it as UTF-8 text with one JSON document."
        raise config_error(msg, f"{type(error).__name__} in the {name} file") from None
    try:
        _SHAPES[name](content)
    except Exception as error:  # the models raise many kinds
        msg = f"The {name} file {path} {_EXPECTED[name]}."
        raise config_error(msg, f"{type(error).__name__}: {error}" if name != "config" else msg) from None


def _object(content: Any) -> None:
    if not isinstance(content, dict):
        raise TypeError


def _states(content: Any) -> None:
    if not isinstance(content, list):
        raise TypeError
    for state in content:
        if not AirbyteStateMessageSerializer.load(state).stream:
            raise ValueError


_SHAPES: Mapping[str, Callable[[Any], Any]] = {
    "config": _object,
    "catalog": ConfiguredAirbyteCatalogSerializer.load,
    "state": _states,
}
_EXPECTED = {
    "config": "is not a JSON object of options",
    "catalog": "is not a configured catalog: an object with a list `streams`, each with `stream`, `sync_mode` and "
    "`destination_sync_mode`",
    "state": "is not a list of per-stream Airbyte state messages; pass the states that an earlier sync wrote, or none",
}
