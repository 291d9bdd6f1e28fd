"""The JSON files of the command line. Each is read once, so it may be a pipe, and each fault has a sentence."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from airbyte_cdk.models import (
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
)

from source_kit.errors import config_error
from source_kit.json_text import is_deeper

#: Levels of arrays and objects in a file. Catalogs have about twenty; the CDK's models recurse at each.
_DEEPEST = 100
_EXPECTED = {
    "config": "is not a JSON object of options",
    "catalog": "is not a configured catalog: an object with a list `streams`, each with `stream`, `sync_mode` and "
    "`destination_sync_mode`",
    "state": "is not a list of per-stream Airbyte state messages; pass the states that an earlier sync wrote, or none",
}


def read_document(name: str, path: str | None) -> Any:
    """The file `name` (config, catalog or state) as the CDK's model of it; None without a path.

    Raises a config_error for a file that is missing, unreadable, not JSON or of another shape.
    """
    if path is None:
        return None
    # the file's name may hold any bytes, under any locale
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    content = _bytes(name, path, shown)
    if not content.strip():
        raise config_error(
            f"The {name} file {shown} is empty. Write one JSON document into it; a pipe can be read only once."
        )
    if is_deeper(content, _DEEPEST):
        raise config_error(f"The {name} file {shown} is nested more than {_DEEPEST} levels deep. Check what wrote it.")
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise config_error(
            f"The {name} file {shown} cannot be read as JSON: write it as UTF-8 text with one JSON document.",
            f"{type(error).__name__} in the {name} file",
        ) from None
    try:
        return _model(name, document)
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
        owner = ""
        with suppress(OSError):
            owner = f" of user {Path(path).stat().st_uid}"
        user = os.geteuid()
        raise config_error(
            f"The {name} file {shown}{owner} may not be read by user {user}, who runs this connector. Let that user "
            f"read it (chown {user}, or chmod a+r), or start the container as the file's owner (--user).",
            f"{error.strerror}: the {name} file",
        ) from None
    except OSError as error:
        msg = f"The {name} file {shown} cannot be read ({error.strerror}). Check the path and what is mounted there."
    raise config_error(msg) from None


def _model(name: str, document: Any) -> Any:
    if name == "catalog":
        return ConfiguredAirbyteCatalogSerializer.load(document)
    if name == "state" and not document:
        return []  # `{}` and `null` are no state, as for the CDK
    if not isinstance(document, dict if name == "config" else list):
        raise TypeError
    if name == "config":
        return document
    states = [AirbyteStateMessageSerializer.load(state) for state in document]
    if not all(state.stream for state in states):
        raise ValueError
    return states


def require_once(catalog: ConfiguredAirbyteCatalog) -> None:
    """Raises a config_error for a catalog that names a stream twice: nobody could tell their records and states apart.

    Streams have no namespace here, so two that differ only in it are the same.
    """
    times = Counter(configured.stream.name for configured in catalog.streams)
    twice = ", ".join(repr(name) for name, count in times.items() if count > 1)
    if twice:
        raise config_error(
            f"The catalog names {twice} more than once. Leave each stream in it once, and run the sync again."
        )
