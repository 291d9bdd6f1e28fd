"""Finds the secrets of a load, and masks them in what its process logs and raises."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from source_kit.secrets import mask, set_secrets

#: Options of the connectors that are secrets, in `config` too. A test compares them with what the connectors declare.
SECRET_OPTIONS = frozenset(
    {"api_key", "app_api_key", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "token"}
)
#: Options of Spark come without upper case
_BY_LOWER_NAME = frozenset(name.lower() for name in SECRET_OPTIONS)
_masked: set[str] = set()
#: Options that Spark shows as they are: where it prints a plan (web interface, event log) it hides those whose names
#: have *secret*, *password*, *token* or *accesskey* only (tried with 4.3.0)
_SHOWN_BY_SPARK = "(?i)^(api_key|app_api_key|aws_access_key_id|config)$"
_HIDDEN_OPTIONS = "spark.sql.redaction.options.regex"


def hide_options(session: Any) -> None:
    """Adds the options that may hold secrets to those that Spark hides in this session."""
    hidden = session.conf.get(_HIDDEN_OPTIONS) or ""  # a default of ours would replace that of Spark
    if _SHOWN_BY_SPARK not in hidden:
        session.conf.set(_HIDDEN_OPTIONS, f"{hidden}|{_SHOWN_BY_SPARK}" if hidden else _SHOWN_BY_SPARK)


def mask_secrets(*values: object) -> None:
    """Masks the secrets of configurations and options, as `secrets_in` finds them, in all that this process says.

    A worker of Spark serves several loads one after the other, so what was masked stays masked.
    """
    _mask_logs()
    found = {secret for value in values for secret in secrets_in(value)}
    if not found <= _masked:
        _masked.update(found)
        set_secrets(_masked)


def secrets_in(value: object) -> Iterator[str]:
    """The secrets in options as Spark or `config` has them, in a parsed configuration, or in a dataclass with such."""
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            secret = "option" in one.metadata and one.metadata["option"].spec.get("airbyte_secret")
            yield from (
                _texts([getattr(value, one.name, None)]) if secret else secrets_in(getattr(value, one.name, None))
            )
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if str(name).lower() in _BY_LOWER_NAME:
                yield from _texts([inner])
            else:
                yield from secrets_in(_parsed(inner) if str(name).lower() == "config" else inner)


def _texts(values: Iterable[object]) -> Iterator[str]:
    yield from (value.strip() for value in values if isinstance(value, str) and value.strip())


def _parsed(config: object) -> Any:
    try:
        return json.loads(config) if isinstance(config, str) else config
    except ValueError:
        return None  # the option is refused without its value


class _Masked(logging.StreamHandler[Any]):
    """Masks a record before other handlers get it. Writes it only where there are none.

    It writes to the standard error output, which Spark keeps as the log of an executor.
    """

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = mask(record.getMessage()), None
        if record.exc_info:
            record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        if not logging.getLogger().handlers:
            super().emit(record)


def _mask_logs() -> None:
    """Gives the connectors' logger a handler of its own: Python's last resort would write its lines as they are."""
    logger = logging.getLogger("airbyte")
    if not any(isinstance(handler, _Masked) for handler in logger.handlers):
        handler = _Masked()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
