"""The CDK's entry point with a read of its own. What it overrides and reaches into is no public interface."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER, is_platform_debug_log_enabled
from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog, ConnectorSpecification, Type
from airbyte_cdk.sources.utils.schema_helpers import split_config
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from source_kit.documents import read_document
from source_kit.errors import config_error
from source_kit.output import Writer, logs_in, open_stdout, writing
from source_kit.secrets import set_secrets
from source_kit.source import Source

#: The CDK looks at the memory every 5,000 messages; a message here is a batch of up to a few thousand records.
_MEMORY_CHECK_EVERY = 50
#: Parts of a specification that only guide forms
_FOR_FORMS = frozenset({"enum", "pattern"})


def print_line(line: str) -> None:
    """Prints a message where the CDK's logger prints its lines, so that both keep their order. Raises OutputLost."""
    with writing():
        PRINT_BUFFER.write(f"{line}\n")


def flush_lines() -> None:
    """Passes the lines so far, also those of the CDK's logger, to the reader of stdout. Raises OutputLost."""
    with writing():
        PRINT_BUFFER.flush()


class BatchEntrypoint(AirbyteEntrypoint):
    """The CDK's entry point with a read of its own, which writes batches and yields nothing."""

    def __init__(self, source: Source[Any]) -> None:
        super().__init__(source)
        self.batch_source = source
        self.failed: Sequence[str] = ()
        self._memory_monitor._check_interval = _MEMORY_CHECK_EVERY

    def run(self, parsed_args: argparse.Namespace) -> Iterable[str]:
        """As the CDK's, with two differences: each file is read once, and no temporary directory is made.

        So the files may be pipes, and `check` and `spec` need no disk. The configuration is never written to one: the
        CDK's copy of it would stay there when a signal ends the process.
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
        """The connector's own checks, with their sentences, then the specification's schema.

        Patterns and menus only guide forms: the connector itself decides whether a text such as `eu` for `EU` is
        accepted. No value is quoted: it may be a secret under a misspelled name.
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
        raise config_error(
            f"Option {option} {problem}. Correct it in the configuration.", f"{option}: {error.validator}"
        )

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
        flush_lines()
        writer = Writer(open_stdout())
        with logs_in(engine.channel), closing(engine.items()) as items:
            try:
                for item in items:
                    writer.write(item)
                    self._memory_monitor.check_memory_usage()
            except AirbyteTracedException:  # memory is short: what was read so far is still good
                writer.flush()
                raise
        writer.flush()
        return ()
