"""What a connector wrote to stdout, sorted by type and by stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, NoReturn, TypeVar

Message = dict[str, Any]
Row = dict[str, Any]
Item = TypeVar("Item")

#: The statuses with which a stream ends
FINAL = ("COMPLETE", "INCOMPLETE")


class Failure(NamedTuple):
    """The error trace of a stream."""

    message: str
    internal_message: str
    failure_type: str
    stack_trace: str


class ByStream(dict[str, list[Item]]):
    """Lists by stream. An absent stream has an empty list, and looking at it does not make it present."""

    def __missing__(self, name: str) -> list[Item]:
        return []

    def add(self, name: str, item: Item) -> None:
        """Append to the stream's list."""
        self.setdefault(name, []).append(item)


def decoded(stdout: bytes) -> list[Message]:
    """The lines of a run that wrote its last one to the end. Fails if one is not a JSON object with a type."""
    lines = stdout.split(b"\n")
    assert lines.pop() == b"", "the last line has no end"
    return [message_of(line) for line in lines]


def message_of(line: bytes) -> Message:
    """A line. Fails if it is not a JSON object with a type; NaN and Infinity are not JSON."""
    message = _DECODER.decode(line.decode("utf-8"))
    assert isinstance(message, dict), line[:500]
    assert "type" in message, line[:500]
    return message


def _refuse(constant: str) -> NoReturn:
    msg = f"{constant} is not JSON"
    raise ValueError(msg)


# Not orjson: it would read an integer of more than 64 bits as a float.
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def stream_of(message: Message) -> str | None:
    """The stream that a message of a read is about; None for logs and for errors of the whole run."""
    match message:
        case {"type": "RECORD", "record": {"stream": name}}:
            return str(name)
        case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}}}}:
            return str(name)
        case {"type": "TRACE", "trace": {"stream_status": {"stream_descriptor": {"name": name}}}}:
            return str(name)
        case {"type": "TRACE", "trace": {"error": {"stream_descriptor": {"name": name}}}}:
            return str(name)
        case {"type": "TRACE", "trace": {"estimate": {"name": name}}}:
            return str(name)
    return None


def of_stream(messages: Iterable[Message], kind: str, stream: str | None = None) -> list[Message]:
    """The messages of a type, of one stream or of all."""
    found = [message for message in messages if message["type"] == kind]
    return found if stream is None else [message for message in found if stream_of(message) == stream]


def records(messages: Iterable[Message], stream: str | None = None) -> list[Row]:
    """The data of the records, in order; of all streams unless one is named."""
    return [message["record"]["data"] for message in of_stream(messages, "RECORD", stream)]


def states(messages: Iterable[Message], stream: str | None = None) -> list[Row]:
    """The stream states, in order; of all streams unless one is named."""
    return [message["state"]["stream"]["stream_state"] for message in of_stream(messages, "STATE", stream)]


def statuses(messages: Iterable[Message], stream: str) -> list[str]:
    """The statuses of a stream, in order."""
    traces = [message["trace"] for message in of_stream(messages, "TRACE", stream)]
    return [trace["stream_status"]["status"] for trace in traces if trace["type"] == "STREAM_STATUS"]


def errors(messages: Iterable[Message]) -> list[Row]:
    """The error traces: the content of `error`."""
    traces = [message["trace"] for message in of_stream(messages, "TRACE")]
    return [trace["error"] for trace in traces if trace["type"] == "ERROR"]


def logs(messages: Iterable[Message]) -> str:
    """All log lines, each behind its level."""
    return "\n".join(f"{m['log']['level']}: {m['log']['message']}" for m in of_stream(messages, "LOG"))


@dataclass(frozen=True)
class Output:
    """One run of a connector: exit code, the bytes on stdout, the text on stderr."""

    code: int
    stdout: bytes
    stderr: str = ""

    @cached_property
    def messages(self) -> list[Message]:
        """Every line of stdout."""
        return decoded(self.stdout)

    @property
    def text(self) -> str:
        """Stdout as it was written."""
        return self.stdout.decode("utf-8")

    def of_type(self, kind: str) -> list[Message]:
        """The messages of a type."""
        return of_stream(self.messages, kind)

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
    def streams(self) -> list[Row]:
        """The streams of the discovered catalog."""
        return list(self.catalog["streams"])

    def stream(self, name: str) -> Row:
        """A stream of the discovered catalog."""
        return next(stream for stream in self.streams if stream["name"] == name)

    @property
    def connection_status(self) -> Row:
        """The outcome of a check: `status`, and `message` where there is one."""
        return dict(self.only("CONNECTION_STATUS", "connectionStatus"))

    @cached_property
    def records(self) -> ByStream[Row]:
        """The rows of every stream, in order."""
        return self._by_stream("RECORD", lambda message: message["record"]["data"])

    @cached_property
    def changes(self) -> ByStream[tuple[Row, list[Row]]]:
        """The rows that say which of their fields the connector changed, and how."""
        found: ByStream[tuple[Row, list[Row]]] = ByStream()
        for message in self.of_type("RECORD"):
            if meta := message["record"].get("meta"):
                found.add(message["record"]["stream"], (message["record"]["data"], meta["changes"]))
        return found

    @cached_property
    def state_messages(self) -> ByStream[Row]:
        """The states of every stream with all that stands beside them: the content of `state`."""
        return self._by_stream("STATE", lambda message: message["state"])

    @cached_property
    def states(self) -> ByStream[Row]:
        """The states of every stream, in order."""
        return self._by_stream("STATE", lambda message: message["state"]["stream"]["stream_state"])

    def state(self, stream: str) -> Row:
        """The last state of a stream."""
        return self.states[stream][-1]

    def last_states(self) -> dict[str, Row]:
        """The last state of every stream."""
        return {name: found[-1] for name, found in self.states.items()}

    def last_state_messages(self) -> list[Row]:
        """The same as the platform hands them to the next sync (`--state`)."""
        return [found[-1] for found in self.state_messages.values()]

    @cached_property
    def statuses(self) -> ByStream[str]:
        """The statuses of every stream, in order."""
        found: ByStream[str] = ByStream()
        for trace in self._traces("STREAM_STATUS"):
            found.add(trace["stream_status"]["stream_descriptor"]["name"], trace["stream_status"]["status"])
        return found

    @property
    def last_statuses(self) -> dict[str, str]:
        """The last status of every stream."""
        return {name: found[-1] for name, found in self.statuses.items()}

    @cached_property
    def estimates(self) -> ByStream[int]:
        """The estimated numbers of rows of every stream, in order."""
        found: ByStream[int] = ByStream()
        for trace in self._traces("ESTIMATE"):
            found.add(trace["estimate"]["name"], trace["estimate"]["row_estimate"])
        return found

    @property
    def errors(self) -> list[Row]:
        """The error traces: the content of `error`."""
        return [trace["error"] for trace in self._traces("ERROR")]

    @property
    def failures(self) -> dict[str, Failure]:
        """The last error of every stream that failed; that of the whole run under the name ""."""
        return {
            (error.get("stream_descriptor") or {}).get("name", ""): Failure(
                error["message"],
                error.get("internal_message") or "",
                error.get("failure_type") or "",
                error.get("stack_trace") or "",
            )
            for error in self.errors
        }

    @cached_property
    def logs(self) -> list[str]:
        """The log lines, each behind its level."""
        return [f"{message['log']['level']}: {message['log']['message']}" for message in self.of_type("LOG")]

    def logged(self, text: str) -> list[str]:
        """The log lines that hold the text."""
        return [line for line in self.logs if text in line]

    @property
    def order(self) -> list[tuple[str, str]]:
        """("record", stream), ("state", stream) and (status, stream), in the order in which they came."""
        found = []
        for message in self.messages:
            name, kind = stream_of(message), message["type"]
            if name is not None and kind in ("RECORD", "STATE"):
                found.append((kind.lower(), name))
            elif name is not None and message["trace"]["type"] == "STREAM_STATUS":
                found.append((message["trace"]["stream_status"]["status"], name))
        return found

    def column(self, stream: str, *names: str) -> list[Any]:
        """The values of a column, in the order of the records, or tuples of several; None where a row lacks it."""
        rows = self.records[stream]
        return [row.get(names[0]) if len(names) == 1 else tuple(row.get(name) for name in names) for row in rows]

    def succeeded(self) -> Output:
        """Itself; fails the test if the run did not end well."""
        assert self.code == 0, f"exit code {self.code}\n{self.tail()}"
        assert self.errors == [], self.errors
        return self

    def tail(self) -> str:
        """The end of what it wrote, for a failed assertion."""
        return (self.stdout[-3000:].decode("utf-8", "replace") + "\n" + self.stderr[-2000:]).strip()

    def _by_stream(self, kind: str, content: Any) -> ByStream[Any]:
        found: ByStream[Any] = ByStream()
        for message in self.of_type(kind):
            found.add(str(stream_of(message)), content(message))
        return found

    def _traces(self, kind: str) -> list[Row]:
        return [message["trace"] for message in self.of_type("TRACE") if message["trace"]["type"] == kind]
