"""The JSON files of the command line, each read once, so it may be a pipe. What is wrong with them is a sentence."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from airbyte_cdk.models import (
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.errors import config_error

#: Levels of arrays and objects in a file. Catalogs have about twenty; what reads the files calls itself at each level.
_DEEPEST = 100


def read_document(name: str, path: str | None) -> Any:
    """The file `name` (config, catalog or state) as the CDK's model of it; None where there is no path.

    Raises a config_error for a file that is missing, unreadable, no JSON or misshapen.
    """
    if path is None:
        return None
    # in a sentence a name may hold any bytes, under any locale
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    content = _parsed(name, shown, _bytes(name, path, shown))
    try:
        return _SHAPES[name](content)
    except Exception as error:  # the models raise many kinds
        msg = f"The {name} file {shown} {_EXPECTED[name]}."
        detail = f"{type(error).__name__}: {error}"
        raise config_error(msg, msg if name == "config" else detail) from None  # a config holds secrets


def _bytes(name: str, path: str, shown: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        msg = f"The {name} file {shown} does not exist."
    except IsADirectoryError:
        msg = (
            f"The {name} file {shown} is a directory. Name the file itself; Docker makes a directory where it is to "
            "mount a file that does not exist."
        )
    except PermissionError as error:
        raise _forbidden(name, path, shown, error) from None
    except OSError as error:
        msg = f"The {name} file {shown} cannot be read ({error.strerror}). Check the path and what is mounted there."
    raise config_error(msg) from None


def _forbidden(name: str, path: str, shown: str, error: OSError) -> AirbyteTracedException:
    owner = ""
    with suppress(OSError):
        owner = f" of user {Path(path).stat().st_uid}"
    user = os.geteuid()
    return config_error(
        f"The {name} file {shown}{owner} may not be read by user {user}, who runs this connector. Let that user read "
        f"it (chown {user}, or chmod a+r), or start the container as the file's owner (--user).",
        f"{error.strerror}: the {name} file",
    )


def _parsed(name: str, path: str, content: bytes) -> Any:
    if not content.strip():
        raise config_error(
            f"The {name} file {path} is empty. Write one JSON document into it; a pipe can be read only once."
        )
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise config_error(
            f"The {name} file {path} cannot be read as JSON: write it as UTF-8 text with one JSON document.",
            f"{type(error).__name__} in the {name} file",
        ) from None
    except RecursionError:
        raise _too_deep(name, path) from None
    if _deeper_than(document, _DEEPEST):
        raise _too_deep(name, path)
    return document


def _too_deep(name: str, path: str) -> AirbyteTracedException:
    return config_error(f"The {name} file {path} is nested more than {_DEEPEST} levels deep. Check what wrote it.")


def _deeper_than(document: Any, levels: int) -> bool:
    row = [document]
    for _ in range(levels):
        row = [
            value
            for parent in row
            if isinstance(parent, dict | list)
            for value in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not row:
            return False
    return any(isinstance(value, dict | list) for value in row)


def _config(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise TypeError
    return content


def _catalog(content: Any) -> ConfiguredAirbyteCatalog:
    return ConfiguredAirbyteCatalogSerializer.load(content)


def _states(content: Any) -> list[AirbyteStateMessage]:
    if not content:
        return []  # the CDK takes `{}` and `null` for no state, too
    if not isinstance(content, list):
        raise TypeError
    states = [AirbyteStateMessageSerializer.load(state) for state in content]
    if not all(state.stream for state in states):
        raise ValueError
    return states


_SHAPES: Mapping[str, Callable[[Any], Any]] = {"config": _config, "catalog": _catalog, "state": _states}
_EXPECTED = {
    "config": "is not a JSON object of options",
    "catalog": "is not a configured catalog: an object with a list `streams`, each with `stream`, `sync_mode` and "
    "`destination_sync_mode`",
    "state": "is not a list of per-stream Airbyte state messages; pass the states that an earlier sync wrote, or none",
}


def require_once(catalog: ConfiguredAirbyteCatalog) -> None:
    """Raises a config_error for a catalog that names a stream twice, before anything is read.

    The records and states of the two could not be told apart. Streams have no namespace here, so two that differ only
    in it are the same.
    """
    times = Counter(configured.stream.name for configured in catalog.streams)
    twice = ", ".join(repr(name) for name, count in times.items() if count > 1)
    if twice:
        raise config_error(
            f"The catalog names {twice} more than once. Leave each stream in it once, and run the sync again."
        )


def unknown_stream(name: str, known: list[str]) -> AirbyteTracedException:
    """The error for a stream that the catalog names and the source does not have."""
    return config_error(
        f"The source has no stream named {name!r}. Refresh the schema of the connection, or remove the stream from it.",
        f"stream {name!r} is not among {', '.join(known)}",
    )
