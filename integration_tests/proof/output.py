"""What a connector wrote, sorted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = dict[str, Any]
FINAL = ("COMPLETE", "INCOMPLETE")


class _ByStream(dict[str, list[Row]]):
    """Lists by stream; an absent stream has an empty one, and asking for it does not make it present."""

    def __missing__(self, name: str) -> list[Row]:
        return []

    def add(self, name: str, item: Row) -> None:
        """Append to the stream's list."""
        self.setdefault(name, []).append(item)


@dataclass(frozen=True)
class Output:
    """One run of a connector: exit code, the bytes on stdout, the text on stderr."""

    code: int
    stdout: bytes
    stderr: str = ""

    @cached_property
    def messages(self) -> list[Row]:
        """Every line of stdout; each must be a JSON object with a type."""
        found = [json.loads(line) for line in self.stdout.splitlines()]
        assert all(isinstance(message, dict) and "type" in message for message in found)
        return found

    def of_type(self, kind: str) -> list[Row]:
        """The messages of a type."""
        return [message for message in self.messages if message["type"] == kind]

    def only(self, kind: str, field: str) -> Any:
        """The content of the one message of a type."""
        found = self.of_type(kind)
        assert len(found) == 1, f"{len(found)} messages of type {kind}:\n{self.tail()}"
        return found[0][field]

    @property
    def spec(self) -> Row:
        """The specification."""
        return dict(self.only("SPEC", "spec"))

    @property
    def catalog(self) -> Row:
        """The discovered catalog."""
        return dict(self.only("CATALOG", "catalog"))

    @property
    def connection_status(self) -> Row:
        """The outcome of a check."""
        return dict(self.only("CONNECTION_STATUS", "connectionStatus"))

    @cached_property
    def records(self) -> dict[str, list[Row]]:
        """The rows of every stream, as they came."""
        found = _ByStream()
        for message in self.of_type("RECORD"):
            found.add(message["record"]["stream"], message["record"]["data"])
        return found

    @cached_property
    def states(self) -> dict[str, list[Row]]:
        """The state messages of every stream, as they came: the content of `state`."""
        found = _ByStream()
        for message in self.of_type("STATE"):
            found.add(message["state"]["stream"]["stream_descriptor"]["name"], message["state"])
        return found

    def last_states(self) -> list[Row]:
        """The last state of every stream, as `--state` takes them."""
        return [states[-1] for states in self.states.values()]

    @cached_property
    def statuses(self) -> dict[str, list[str]]:
        """The statuses of every stream, as they came."""
        found: dict[str, list[str]] = {}
        for message in self.of_type("TRACE"):
            if message["trace"]["type"] == "STREAM_STATUS":
                status = message["trace"]["stream_status"]
                found.setdefault(status["stream_descriptor"]["name"], []).append(status["status"])
        return found

    @property
    def errors(self) -> list[Row]:
        """The error traces: the content of `error`."""
        return [message["trace"]["error"] for message in self.of_type("TRACE") if message["trace"]["type"] == "ERROR"]

    def succeeded(self) -> Output:
        """Itself; fails the test if the run did not end well."""
        assert self.code == 0, f"exit code {self.code}\n{self.tail()}"
        assert self.errors == [], self.errors
        return self

    def tail(self) -> str:
        """The end of what it wrote, for a failed assertion."""
        return (self.stdout[-3000:].decode("utf-8", "replace") + "\n" + self.stderr[-2000:]).strip()


def stream_of(message: Row) -> str | None:
    """The stream that a message of a read is about; None for logs and for traces about the whole."""
    match message:
        case {"type": "RECORD", "record": {"stream": name}}:
            return str(name)
        case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}}}}:
            return str(name)
        case {"type": "TRACE", "trace": {"stream_status": {"stream_descriptor": {"name": name}}}}:
            return str(name)
        case {"type": "TRACE", "trace": {"error": {"stream_descriptor": {"name": name}}}}:
            return str(name)
    return None


def configured(catalog: Row, streams: Sequence[str] = (), *, full_refresh: bool = False) -> Row:
    """A configured catalog of these streams, or of all; incremental where they can be unless told."""
    offered = {stream["name"]: stream for stream in catalog["streams"]}
    missing = set(streams) - set(offered)
    assert not missing, f"not in the catalog: {sorted(missing)}"
    items = []
    for name in streams or offered:
        incremental = not full_refresh and "incremental" in offered[name]["supported_sync_modes"]
        items.append(
            {
                "stream": offered[name],
                "sync_mode": "incremental" if incremental else "full_refresh",
                "destination_sync_mode": "append_dedup" if incremental else "overwrite",
                "cursor_field": offered[name].get("default_cursor_field", []),
                "primary_key": offered[name].get("source_defined_primary_key", []),
            }
        )
    return {"streams": items}


def primary_key(stream: Row) -> list[str]:
    """The names of the columns of a stream's key."""
    return [path[0] for path in stream.get("source_defined_primary_key") or []]


def key_of(row: Row, key: Sequence[str]) -> str:
    """A row's key as one text; the whole row where the stream has none."""
    return json.dumps([row.get(part) for part in key] if key else row, sort_keys=True)


def incremental_streams(catalog: Row) -> list[str]:
    """The names of the streams that have a cursor."""
    return [stream["name"] for stream in catalog["streams"] if "incremental" in stream["supported_sync_modes"]]
