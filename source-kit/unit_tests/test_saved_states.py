"""States and catalogs from outside: a state finds its stream; wrong ones are refused or warned of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStreamStatus
from kit_toys import CommandLine, ToySource, ToyStream, catalog, read
from source_kit.convert import utc_now
from source_kit.output import RECORD_TAIL, record_head
from source_kit.stream import RecordLines
from test_kit.catalogs import stream_state
from test_kit.messages import Message, errors, records, states, statuses


class Daily(ToyStream):
    """Its state holds an instant. It reads everything with any state."""

    cursor_field = "day"

    def start(self, state: Any, full_refresh: bool, sync_start: Any) -> None:
        self.started_with = {}


class Seconds(Daily):
    cursor_field = "updated"
    cursor_in_seconds = True


def named(configured: dict[str, Any], *namespaces: str | None) -> dict[str, Any]:
    for stream, namespace in zip(configured["streams"], namespaces, strict=True):
        stream["stream"]["namespace"] = namespace
    return configured


def warnings(messages: list[Message]) -> list[str]:
    lines = [message["log"] for message in messages if message["type"] == "LOG"]
    return [line["message"] for line in lines if line["level"] == "WARN"]


@pytest.mark.parametrize("namespaces", [(None, None, None), ("a", None, "b")])
def test_a_catalog_that_names_a_stream_twice_is_refused(toy: CommandLine, namespaces: tuple[str | None, ...]) -> None:
    source = ToySource(ToyStream("s"), ToyStream("other"))
    code, messages = toy.read(source, configured=named(catalog("s", "other", "s"), *namespaces))
    (error,) = errors(messages)
    assert code == 1
    assert error["failure_type"] == "config_error"
    assert error["message"] == (
        "The catalog names 's' more than once. Leave each stream in it once, and run the sync again."
    )
    assert {message["type"] for message in messages} <= {"TRACE", "LOG"}
    assert statuses(messages, "s") == statuses(messages, "other") == []


def test_a_namespace_of_the_catalog_is_on_everything_and_finds_its_state() -> None:
    class Ready(ToyStream):
        """Writes its lines itself, with rows that look like lines."""

        def read_slice(self, slice_: int) -> Any:
            data = b'{"x":"\\n{\\"type\\":\\"RECORD\\",\\"record\\":{\\"stream\\":\\"ready\\","}'
            yield RecordLines((record_head(self.name) + data + RECORD_TAIL) * 2, 2)
            yield from ()

    class Broken(ToyStream):
        def read_slice(self, slice_: int) -> Any:
            raise ValueError

    streams = ToyStream("s", slices=2), Ready("ready", slices=1), Broken("broken")
    messages = read(
        ToySource(*streams),
        named(catalog(*streams), "a", "a", "a"),
        [stream_state("s", {"slice": 1}), stream_state("ready", {})],
    )
    assert streams[0].started_with == {"slice": 1}
    found = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert {record["namespace"] for record in found} == {"a"}
    assert len(records(messages, "ready")) == 2
    assert all("namespace" not in record["data"]["x"] for record in found if record["stream"] == "ready")
    traces = [message["trace"] for message in messages if message["type"] == "TRACE"]
    descriptors = [trace[trace["type"].lower()]["stream_descriptor"] for trace in traces if trace["type"] != "ESTIMATE"]
    descriptors += [
        message["state"]["stream"]["stream_descriptor"] for message in messages if message["type"] == "STATE"
    ]
    assert {descriptor["namespace"] for descriptor in descriptors} == {"a"}


def test_the_last_state_of_a_stream_counts_and_others_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stream = ToyStream("s")
    given = [stream_state("s", {"slice": 1}), stream_state("gone", {"slice": 9}), stream_state("s", {"slice": 2})]
    messages = read(ToySource(stream), catalog(stream), given)
    assert stream.started_with == {"slice": 2}
    assert "Stream s: 2 states were given; the last one counts" in caplog.text
    assert states(messages, "gone") == []


@pytest.mark.parametrize("state", ["garbage", 7, [1], [{"slice": 1}]])
def test_a_state_that_is_not_an_object_is_refused(toy: CommandLine, state: Any) -> None:
    code, messages = toy.read(ToySource(ToyStream("s")), states=[stream_state("s", state)])
    (error,) = errors(messages)
    assert (code, error["failure_type"], states(messages)) == (1, "config_error", [])
    assert "state" in error["message"]


SOON = utc_now() + timedelta(days=2)


@pytest.mark.parametrize(
    ("stream", "state"),
    [
        (Daily("s"), {"day": SOON.date().isoformat()}),
        (Daily("s"), {"day": "2100-01-01T00:00:00.000Z", "version": 1}),
        (Daily("s"), {"day": "2026-01-01", "synced": "2100-01-01"}),
        (Seconds("s"), {"updated": int(SOON.timestamp())}),
        (Seconds("s"), {"updated": "4102444800"}),
        (Seconds("s"), {"updated": 10**15}),
        (Seconds("s"), {"updated": 1, "parents": {"7": 4102444800}}),
    ],
    ids=["tomorrow", "an instant", "beside the cursor", "seconds", "as text", "milliseconds or worse", "a parent"],
)
def test_a_warning_for_a_state_in_the_future(toy: CommandLine, stream: ToyStream, state: dict[str, Any]) -> None:
    code, messages = toy.read(ToySource(stream), states=[stream_state("s", state)])
    (warning,) = warnings(messages)
    assert code == 0
    assert warning.startswith("Stream s: the saved state lies in the future (")
    assert statuses(messages, "s")[-1] == AirbyteStreamStatus.COMPLETE.value


@pytest.mark.parametrize(
    ("stream", "state"),
    [
        (Daily("s"), {"day": utc_now().date().isoformat()}),
        (Daily("s"), {"day": 7, "other": "2100-01-01"}),
        (Daily("s"), {"day": 4102444800}),
        (Daily("s"), {"day": None}),
        (Daily("s"), {}),
        (Seconds("s"), {"updated": int(utc_now().timestamp()), "parents": {"7": None, "8": "x"}}),
        (ToyStream("s"), {"slice": 0}),
    ],
    ids=["today", "no day", "a number", "null", "empty", "now", "no time"],
)
def test_no_warning_for_other_states(toy: CommandLine, stream: ToyStream, state: dict[str, Any]) -> None:
    _, messages = toy.read(ToySource(stream), states=[stream_state("s", state)])
    assert warnings(messages) == []
