#!/usr/bin/env python3
"""A Singer tap that runs an Airbyte source by the conventions of MeltanoLabs' tap-airbyte, which no package index has.

Options, and what follows from them, are those of that tap: `airbyte_spec` names the image, `airbyte_config` is the
source's configuration. A stream's key is the first column of its primary key. The state is a document whose member
`airbyte_state` has the last STATE of each stream. An error of the source ends the tap.

In place of an image it runs the program of the same name in the folder that the variable CONNECTORS names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Source:
    """The Airbyte source, with a folder for its files."""

    def __init__(self, config: Row, folder: Path) -> None:
        self._program = f"{os.environ['CONNECTORS']}/{config['airbyte_spec']['image']}"
        self._folder = folder
        self._config = config["airbyte_config"]

    def messages(self, verb: str, **files: Any) -> Iterator[Row]:
        """What a verb prints, without log lines. Ends the tap at an error."""
        command = [self._program, "--", verb]
        for name, content in {"config": self._config, **files}.items():
            if content:
                path = self._folder / f"{name}.json"
                path.write_text(json.dumps(content), encoding="utf-8")
                command += [f"--{name}", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for message in map(json.loads, process.stdout):
                if message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                    sys.exit(message["trace"]["error"]["message"])
                if message["type"] not in ("LOG", "TRACE"):
                    yield message

    def streams(self) -> list[Row]:
        """The streams that it offers."""
        (found,) = self.messages("discover")
        streams: list[Row] = found["catalog"]["streams"]
        return streams


def key_of(stream: Row) -> list[str]:
    """The path of the first column of the primary key."""
    return [str(name) for name in next(iter(stream.get("source_defined_primary_key") or [[]]))]


def cursor_of(stream: Row) -> str | None:
    """The first part of the cursor."""
    return next(iter(stream.get("default_cursor_field") or []), None)


def entry(stream: Row) -> Row:
    """The stream in a Singer catalog."""
    root = {"inclusion": "available", "selected": True, "table-key-properties": key_of(stream)}
    columns = [
        {
            "breadcrumb": ["properties", name],
            "metadata": {"inclusion": "automatic" if name in key_of(stream) else "available"},
        }
        for name in stream["json_schema"]["properties"]
    ]
    return {
        "tap_stream_id": stream["name"],
        "stream": stream["name"],
        "schema": stream["json_schema"],
        "key_properties": key_of(stream),
        "replication_key": cursor_of(stream),
        "replication_method": "INCREMENTAL" if cursor_of(stream) else "FULL_TABLE",
        "metadata": [{"breadcrumb": [], "metadata": root}, *columns],
    }


def is_selected(found: Row) -> bool:
    """Whether a stream of a Singer catalog is read."""
    return any(one["metadata"].get("selected") for one in found["metadata"] if not one["breadcrumb"])


def write(message: Row) -> None:
    sys.stdout.write(json.dumps(message) + "\n")


def sync(source: Source, catalog: Row, before: Row) -> None:
    """SCHEMA for each stream, RECORD for each record, STATE with the states of all streams."""
    chosen = {found["tap_stream_id"] for found in catalog["streams"] if is_selected(found)}
    streams = [stream for stream in source.streams() if stream["name"] in chosen]
    for stream in streams:
        write({"type": "SCHEMA", "stream": stream["name"], "schema": stream["json_schema"]} | _keys(stream))
    configured = [
        {
            "stream": stream,
            "sync_mode": "incremental" if cursor_of(stream) else "full_refresh",
            "destination_sync_mode": "append",
        }
        for stream in streams
    ]
    columns = {stream["name"]: stream["json_schema"]["properties"].keys() for stream in streams}
    states = {state["stream"]["stream_descriptor"]["name"]: state for state in before.get("airbyte_state", [])}
    for message in source.messages("read", catalog={"streams": configured}, state=list(states.values())):
        if message["type"] == "RECORD":
            name, data = message["record"]["stream"], message["record"]["data"]
            record = {column: data[column] for column in data if column in columns[name]}
            write({"type": "RECORD", "stream": name, "record": record})
        else:
            found = message["state"]["stream"]
            states[found["stream_descriptor"]["name"]] = {"type": "STREAM", "stream": found}
            write({"type": "STATE", "value": {"airbyte_state": list(states.values())}})


def _keys(stream: Row) -> Row:
    cursor = cursor_of(stream)
    return {"key_properties": key_of(stream), "bookmark_properties": [cursor] if cursor else []}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--discover", action="store_true")
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}", type=_document, default={})
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Source(given.config, Path(folder))
        if given.discover:
            sys.stdout.write(json.dumps({"streams": list(map(entry, source.streams()))}, indent=2))
        else:
            sync(source, given.catalog or {"streams": list(map(entry, source.streams()))}, given.state)


def _document(path: str) -> Row:
    document: Row = json.loads(Path(path).read_text(encoding="utf-8"))
    return document


if __name__ == "__main__":
    main()
