"""The entry point: Airbyte's verbs on the command line, messages on stdout."""

from __future__ import annotations

import argparse
import base64
import html
import json
import logging
import os
import re
import sys
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout, suppress
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
from airbyte_cdk.sources.utils.schema_helpers import split_config
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets, update_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from source_kit.channel import Batch, Channel, ChannelItem
from source_kit.command import rare_garbage_collection
from source_kit.errors import config_error
from source_kit.memory import give_back_large_blocks
from source_kit.source import BatchSource
from source_kit.waiting import Stopped

_WRITE_BYTES = 1024 * 1024
#: Of stdout's buffer: what is longer is written as it is, not copied into the buffer first.
_BUFFER_BYTES = 64 * 1024
#: The CDK looks at the memory every 5,000 messages; a message here is a batch of up to a few thousand records.
_MEMORY_CHECK_EVERY = 50
#: Shorter pieces of base64 are no secret but chance
_BASE64_MASKED_FROM = 6


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
    return open(1, "wb", buffering=_BUFFER_BYTES, closefd=False)


class _ChannelLog(logging.Handler):
    """Sends log lines through the writer's thread: while a sync runs, nobody else writes to stdout."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self.setFormatter(AirbyteLogFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._channel.put(self.format(record))
        except Stopped:
            pass
        except Exception:  # as every handler of logging: a line that cannot be formatted must not end a stream
            self.handleError(record)


class BatchEntrypoint(AirbyteEntrypoint):
    """The CDK's entry point with a read of its own, which writes batches and yields nothing."""

    def __init__(self, source: BatchSource) -> None:
        super().__init__(source)
        self.batch_source = source
        self.failed: Sequence[str] = ()
        self._memory_monitor._check_interval = _MEMORY_CHECK_EVERY

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """As the CDK's, and for the shapes in which a secret may come back: quoted, URL-encoded, base64."""
        secrets = [secret for secret in get_secrets(connection_specification, config) if secret is not None]
        shapes = {shape for secret in secrets for shape in secret_shapes(secret)}
        update_secrets(sorted(shapes, key=len, reverse=True))

    def validate_connection(  # type: ignore[override]  # the CDK calls it on the instance
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any]
    ) -> None:
        """The connector's own sentences come first; the schema's are about what a form would not have let pass.

        No value is repeated: it may be a secret under a name that is misspelled.
        """
        self.batch_source.require_valid(config)
        options, _ = split_config(config)
        error = best_match(Draft7Validator(source_spec.connectionSpecification).iter_errors(options))
        if error is None:
            return
        missing = (
            [name for name in error.validator_value if name not in error.instance]
            if error.validator == "required"
            else []
        )
        option = ".".join(map(str, [*error.absolute_path, *missing[:1]]))
        problem = "is missing" if missing else "does not have the form that the specification asks for"
        message = f"Option {option} {problem}. Correct it in the configuration."
        raise config_error(message, f"{option}: {error.validator}")

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
        engine = self.batch_source.engine(self.logger, config, catalog, state)
        self.failed = engine.failed
        PRINT_BUFFER.flush()
        give_back_large_blocks()
        writer = Writer(_stdout())
        with logs_in(engine.channel), rare_garbage_collection(), closing(engine.items()) as items:
            try:
                for item in items:
                    writer.write(item)
                    self._memory_monitor.check_memory_usage()
            except AirbyteTracedException:  # memory is short: what was read so far is still good
                writer.flush()
                raise
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
    """A secret as it is, quoted for JSON, Python, HTML and URLs, and in base64; longest first, without repetition."""
    text = str(secret)
    quoted = {text, text.strip(), repr(text)[1:-1], html.escape(text)}
    for _ in range(2):  # an answer that is JSON may hold JSON as text
        quoted |= {json.dumps(shape)[1:-1] for shape in quoted}
    for encoded in (urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text), urllib.parse.quote(text)):
        quoted |= {encoded, re.sub("%..", lambda found: found[0].lower(), encoded)}
    shapes = quoted | _base64_shapes(text.encode("utf-8", "surrogatepass"))
    return sorted((shape for shape in shapes if shape), key=len, reverse=True)


def _base64_shapes(raw: bytes) -> set[str]:
    """Base64 of a secret, alone and amid other text (`user:secret`), where it may begin at any of three offsets."""
    shapes = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    for before in range(3):
        first, end = (0, 2, 3)[before], (before + len(raw)) * 8 // 6  # characters that the secret alone decides
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            shape = encode(b"\0" * before + raw)[first:end]
            if len(shape) >= _BASE64_MASKED_FROM:
                shapes.add(shape)
    return {shape.decode() for shape in shapes}


def launch(make_source: Callable[[], BatchSource], args: Sequence[str]) -> int:
    """Runs one of Airbyte's verbs; returns the exit code.

    Files that cannot be read end with a sentence in a TRACE, as every other failure does. What a library prints goes
    to stderr, since stdout belongs to the protocol.
    """
    logging.raiseExceptions = False  # a log line that nobody reads any more is no reason for a stack trace
    logger = init_logger("airbyte")
    init_uncaught_exception_handler(logger)
    entrypoint = BatchEntrypoint(make_source())
    parsed = AirbyteEntrypoint.parse_args(list(args))
    if not parsed.command:
        with redirect_stdout(sys.stderr), suppress(SystemExit):
            AirbyteEntrypoint.parse_args(["--help"])
        return 2  # as argparse answers any other wrong command line
    try:
        with redirect_stdout(sys.stderr):
            return _run(entrypoint, parsed, logger)
    except BrokenPipeError:
        # whoever read stdout is gone; what it did not read, it does not have a state for
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _run(entrypoint: BatchEntrypoint, parsed: argparse.Namespace, logger: logging.Logger) -> int:
    try:
        for name in ("config", "catalog", "state"):
            require_json(name, getattr(parsed, name, None))
        for message in entrypoint.run(parsed):
            PRINT_BUFFER.write(f"{message}\n")
    except AirbyteTracedException as error:
        logger.error(error.message)
        PRINT_BUFFER.write(AirbyteEntrypoint.airbyte_message_to_string(error.as_sanitized_airbyte_message()) + "\n")
        return 1
    finally:
        PRINT_BUFFER.flush()
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
        detail = f"{type(error).__name__}: {error}"
        raise config_error(msg, msg if name == "config" else detail) from None  # a config holds secrets


def _object(content: Any) -> None:
    if not isinstance(content, dict):
        raise TypeError


def _states(content: Any) -> None:
    if not content:
        return  # the CDK takes `{}` and `null` for no state, too
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
