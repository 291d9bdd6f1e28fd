"""The entry point: Airbyte's verbs on the command line, messages on stdout."""

from __future__ import annotations

import argparse
import codecs
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout, suppress
from typing import IO, Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import init_uncaught_exception_handler
from airbyte_cdk.logger import PRINT_BUFFER, AirbyteLogFormatter, init_logger, is_platform_debug_log_enabled
from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog, ConnectorSpecification, Type
from airbyte_cdk.sources.utils.schema_helpers import split_config
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from source_kit.activity import Stopped
from source_kit.cli import rare_garbage_collection
from source_kit.documents import read_document
from source_kit.errors import config_error
from source_kit.memory import give_back_large_blocks
from source_kit.output import Batch, Channel, ChannelItem
from source_kit.secrets import set_secrets
from source_kit.source import Source

_WRITE_BYTES = 1024 * 1024
#: Of stdout's buffer: what is longer is written as it is, not copied into the buffer first.
_BUFFER_BYTES = 64 * 1024
#: The CDK looks at the memory every 5,000 messages; a message here is a batch of up to a few thousand records.
_MEMORY_CHECK_EVERY = 50


#: What of a specification is for forms alone
_FOR_FORMS = frozenset({"enum", "pattern"})


class OutputLost(Exception):
    """Stdout cannot be written any more. The cause is the system's error."""


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
        """Everything so far reaches the reader of stdout. Raises OutputLost."""
        with _writing():
            for lines in self._pending:
                self._out.write(lines)
            self._pending.clear()
            self._size = 0
            self._out.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputLost from error


def _stdout() -> IO[bytes]:
    """The process's own stdout, whatever has been put in front of it."""
    with _writing():
        return open(1, "wb", buffering=_BUFFER_BYTES, closefd=False)


def _flush_logs() -> None:
    """What the CDK's logger holds back reaches the reader of stdout. Raises OutputLost."""
    with _writing():
        PRINT_BUFFER.flush()


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

    def __init__(self, source: Source[Any]) -> None:
        super().__init__(source)
        self.batch_source = source
        self.failed: Sequence[str] = ()
        self._memory_monitor._check_interval = _MEMORY_CHECK_EVERY

    def run(self, parsed_args: argparse.Namespace) -> Iterable[str]:
        """As the CDK's, with two differences: each file is read once, and no temporary directory is made.

        So the files may be pipes, `check` and `spec` need no disk, and the configuration is never written to one: the
        CDK's copy of it stays behind where a process is ended by a signal.
        """
        debug = parsed_args.debug or is_platform_debug_log_enabled()
        for logger in (self.logger, logging.getLogger("airbyte")):
            logger.setLevel(logging.DEBUG if debug else logging.INFO)
        self.logger.debug("Debug logs enabled")
        files = {name: read_document(name, getattr(parsed_args, name, None)) for name in ("config", "catalog", "state")}
        spec = self.source.spec(self.logger)
        if parsed_args.command == "spec":
            yield self.airbyte_message_to_string(AirbyteMessage(type=Type.SPEC, spec=spec))
            return
        config = self.source.configure(files["config"], "")
        messages = {
            "check": lambda: self.check(spec, config),
            "discover": lambda: self.discover(spec, config),
            "read": lambda: self.read(spec, config, files["catalog"], files["state"] or []),
        }[parsed_args.command]()
        try:
            yield from map(self.airbyte_message_to_string, messages)
        finally:
            yield from map(self.airbyte_message_to_string, self._emit_queued_messages(self.source))

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """As the CDK's, and for the shapes in which a secret may come back: quoted, URL-encoded, base64, hex."""
        set_secrets(get_secrets(connection_specification, config))

    def validate_connection(  # type: ignore[override]  # the CDK calls it on the instance
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any]
    ) -> None:
        """The connector's own sentences come first; the schema's are about what a form would not have let pass.

        Patterns and menus guide forms: whether a text will do, such as `eu` for `EU`, the connector has decided. No
        value is repeated: it may be a secret under a name that is misspelled.
        """
        self.batch_source.parse(config)
        options, _ = split_config(config)
        errors = Draft7Validator(source_spec.connectionSpecification).iter_errors(options)
        error = best_match(error for error in errors if error.validator not in _FOR_FORMS)
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
        _flush_logs()
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


def launch(make_source: Callable[[], Source[Any]], args: Sequence[str]) -> int:
    """Runs one of Airbyte's verbs; returns the exit code.

    Files that cannot be read end with a sentence in a TRACE, as every other failure does. What a library prints goes
    to stderr, since stdout belongs to the protocol.
    """
    _use_utf8()
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
    except OutputLost as lost:
        # what was not read there, there is no state for; what is still buffered must not fail once more at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(lost.__cause__, BrokenPipeError):  # then somebody may still read stderr
            with suppress(OSError):
                sys.stderr.write(f"{_output_lost(lost)}\n")
        return 1


def _output_lost(lost: OutputLost) -> str:
    reason = getattr(lost.__cause__, "strerror", None) or lost.__cause__
    return (
        f"The messages cannot be written to stdout ({reason}), so the connector stopped. Give the file or device "
        "behind stdout more room, and run it again."
    )


def _use_utf8() -> None:
    """Messages are UTF-8 whatever the locale says, also where the process was started with stdout closed."""
    if sys.__stdout__ is None or codecs.lookup(sys.__stdout__.encoding).name != "utf-8":
        with suppress(OSError):
            # not `reconfigure`, which seeks where stdout was a file before it became a pipe
            sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]


def _run(entrypoint: BatchEntrypoint, parsed: argparse.Namespace, logger: logging.Logger) -> int:
    try:
        for message in entrypoint.run(parsed):
            with _writing():
                PRINT_BUFFER.write(f"{message}\n")
    except AirbyteTracedException as error:
        logger.error(error.message)
        line = AirbyteEntrypoint.airbyte_message_to_string(error.as_sanitized_airbyte_message())
        with _writing():
            PRINT_BUFFER.write(f"{line}\n")
        return 1
    finally:
        _flush_logs()
    return 1 if entrypoint.failed else 0
