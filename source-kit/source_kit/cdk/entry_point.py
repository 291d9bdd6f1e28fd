"""The CDK's entry point with a read of its own. The methods that it overrides are not a public interface."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER, is_platform_debug_log_enabled
from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog, ConnectorSpecification, Type
from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from source_kit.documents import read_document
from source_kit.errors import config_error
from source_kit.output import Writer, logs_held, logs_in, open_stdout, writing
from source_kit.secrets import set_secrets
from source_kit.source import Source

#: The CDK looks at the memory every 5,000 messages; a message here is a batch of up to a few thousand records.
_MEMORY_CHECK_EVERY = 50
#: Parts of a specification that only help forms
_FOR_FORMS = frozenset({"enum", "pattern"})


class BatchEntrypoint(AirbyteEntrypoint):
    """The CDK's entry point. Its read writes batches itself and yields nothing."""

    def __init__(self, source: Source[Any]) -> None:
        before = logging.root.manager.disable
        logging.disable(logging.INFO)  # the CDK's memory monitor logs its limits, of which no user knows what to do
        super().__init__(source)
        logging.disable(before)
        self.batch_source = source
        self.failed: Sequence[str] = ()
        self._memory_monitor._check_interval = _MEMORY_CHECK_EVERY

    def launch(self, parsed_args: argparse.Namespace) -> int:
        """Runs a command, prints its messages, and returns the exit code. Raises OutputLost.

        Messages go into the buffer of the CDK's logger, so that they and its lines keep their order.
        """
        try:
            for message in self.run(parsed_args):
                with writing():
                    PRINT_BUFFER.write(f"{message}\n")
        except AirbyteTracedException as error:
            self.logger.error(error.message)
            with writing():
                PRINT_BUFFER.write(f"{self.airbyte_message_to_string(error.as_sanitized_airbyte_message())}\n")
            return 1
        finally:
            with writing():
                PRINT_BUFFER.flush()
        return 1 if self.failed else 0

    def run(self, parsed_args: argparse.Namespace) -> Iterable[str]:
        """As the CDK's, but it reads each file once and makes no temporary directory.

        So the files may be pipes, and `check` and `spec` need no disk. The CDK writes a copy of the configuration to
        disk, which would stay there when a signal ends the process.
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
        """As the CDK's, but it also masks encoded secrets: quoted, URL-encoded, base64, hex."""
        set_secrets(get_secrets(connection_specification, config))

    def validate_connection(  # type: ignore[override]  # the CDK calls it on the instance
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any]
    ) -> None:
        """Checks the options with the connector's own sentences, then with the specification's schema.

        Patterns and enums only help forms: the connector decides whether it accepts `eu` for `EU`. The error quotes no
        value, which may be a secret under a misspelled name.
        """
        self.batch_source.options.parse(config)
        # The CDK's `split_config` does the same, but needs pydantic, for which a command has a stand-in.
        options = {name: value for name, value in config.items() if name not in InternalConfig.KEYWORDS}
        errors = Draft7Validator(source_spec.connectionSpecification).iter_errors(options)
        error = best_match(error for error in errors if error.validator not in _FOR_FORMS)
        if error is None:
            return
        path, problem = [*error.absolute_path], "does not have the form that the specification asks for"
        if error.validator == "required":
            path.append(next(name for name in error.validator_value if name not in error.instance))
            problem = "is missing"
        option = ".".join(map(str, path))
        raise config_error(
            f"Option {option} {problem}. Correct it in the configuration.", f"{option}: {error.validator}"
        )

    def check(self, source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> Iterable[AirbyteMessage]:
        """As the CDK's, but the status is the first line, and warnings follow it. With `--debug` lines are not held."""
        with nullcontext() if self.logger.isEnabledFor(logging.DEBUG) else logs_held("Still checking"):
            yield from list(super().check(source_spec, config))

    def read(
        self,
        source_spec: ConnectorSpecification,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[Any],
    ) -> Iterable[AirbyteMessage]:
        """Reads and writes the whole sync. Afterwards `failed` has the streams that failed."""
        self.set_up_secret_filter(config, source_spec.connectionSpecification)
        self.validate_connection(source_spec, config)
        engine = self.batch_source.engine(self.logger, config, catalog, state)
        self.failed = engine.failed
        with writing():
            PRINT_BUFFER.flush()
            stdout = open_stdout()
        writer = Writer(stdout)
        with logs_in(engine.channel), closing(engine.items()) as items:
            try:
                for item in items:
                    writer.write(item)
                    self._memory_monitor.check_memory_usage()
            except AirbyteTracedException:  # too little memory left: what was read so far is still good
                writer.flush()
                raise
        writer.flush()
        return ()
