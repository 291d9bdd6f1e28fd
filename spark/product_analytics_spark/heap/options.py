"""The options of the format `heap`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from source_heap.config import HeapConfig
from source_kit.errors import config_error

from product_analytics_spark.options import load_options, names_of

#: Access keys: options of their own, because Spark hides options with such names where it prints any
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_OWN = (*_KEYS, "columns", "files_per_partition", "maxFilesPerTrigger")
_REFUSED = {
    "resync_mode": "Option resync_mode is not for Spark: a batch read has the rows of the present generation only, and "
    "a stream says in _heap_generation which rows a full export replaces. Remove the option."
}


@dataclass(frozen=True, slots=True)
class HeapLoad:
    """What a load of the format `heap` asks for. `columns` is empty for all; `max_files` None for no limit."""

    table: str
    config: HeapConfig
    columns: tuple[str, ...]
    files_per_partition: int
    max_files: int | None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> HeapLoad:
        """From the options that Spark hands on. Raises a config_error that names an option and what to do."""
        options = load_options(given, HeapConfig.declared(), _OWN, _REFUSED)
        own, connector = options.own, dict(options.connector)
        if keys := {name: own[name] for name in _KEYS if name in own}:
            if "credentials" in connector:
                raise config_error(f"Option {next(iter(keys))} and credentials within config: remove one of them.")
            connector["credentials"] = {"auth_type": "keys", **keys}
        try:
            columns = names_of(own.get("columns", ""))
        except ValueError:
            raise config_error("Option columns must be names with commas between them, or a JSON array.") from None
        return cls(
            options.table,
            HeapConfig.parse(connector),
            columns,
            _count(own, "files_per_partition") or 1,
            _count(own, "maxFilesPerTrigger"),
        )


def _count(own: Mapping[str, str], name: str) -> int | None:
    if name not in own:
        return None
    if not own[name].strip().isdecimal() or int(own[name]) == 0:
        raise config_error(f"Option {name} must be a whole number of 1 or more.")
    return int(own[name])
