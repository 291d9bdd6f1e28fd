"""A stream fails alone, with one error, and keeps its state. No failure hangs a sync."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from kit_toys import CommandLine, IndependentStream, ParallelStream, ToySource, ToyStream, catalog, read
from source_kit.errors import config_error
from source_kit.stream import Checkpoint, SliceItem
from test_kit.messages import Message, errors, records, states, statuses


class Boom(ValueError):
    """Raised on purpose."""


class InStart(ToyStream):
    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        raise Boom


class InSlices(ToyStream):
    def slices(self) -> Iterator[int]:
        yield 0
        raise Boom


class InReading(ToyStream):
    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        yield from super().read_slice(slice_)
        raise Boom


class InMerging(ToyStream):
    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        raise Boom


class InFinish(ToyStream):
    def finish(self) -> None:
        raise Boom


class InFinalState(ToyStream):
    def final_state(self) -> Mapping[str, Any]:
        raise Boom


class InMergingTheFinalState(ToyStream):
    def final_state(self) -> Mapping[str, Any]:
        return {"final": True}

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        if "final" in update:
            raise Boom
        return super().merge_state(state, update)


class WithAStateThatIsNoJson(ToyStream):
    def update(self, slice_: int, end: int) -> dict[str, Any]:
        return {"slice": {1, 2}}


class WithAFinalStateThatIsNoJson(ToyStream):
    def final_state(self) -> Mapping[str, Any]:
        return {"at": object()}


class ExitingTheProcess(ToyStream):
    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        raise SystemExit(0)


class YieldingNonsense(ToyStream):
    def read_slice(self, slice_: int) -> Iterator[Any]:
        yield 7


class OneParallelSlice(ParallelStream):
    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        if slice_ == 2:
            raise Boom
        yield from super().read_slice(slice_)


class OneIndependentSlice(IndependentStream):
    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        if slice_ == 2:
            raise Boom
        yield from super().read_slice(slice_)


FAILING = [
    InStart,
    InSlices,
    InReading,
    InMerging,
    InFinish,
    InFinalState,
    InMergingTheFinalState,
    WithAStateThatIsNoJson,
    WithAFinalStateThatIsNoJson,
    ExitingTheProcess,
    YieldingNonsense,
    OneParallelSlice,
    OneIndependentSlice,
]


@pytest.mark.parametrize("kind", FAILING, ids=lambda kind: kind.__name__)
@pytest.mark.timeout(20)
def test_a_failed_stream_has_one_error_and_the_others_are_read(kind: type[ToyStream]) -> None:
    before, failing, after = ToyStream("before"), kind("failing", slices=5), ParallelStream("after")
    source = ToySource(before, failing, after, workers=2)
    messages = read(source, catalog(before, failing, after))
    assert statuses(messages, "failing")[0] == "STARTED"
    assert statuses(messages, "failing")[-1] == "INCOMPLETE"
    assert "COMPLETE" not in statuses(messages, "failing")
    assert [error["stream_descriptor"]["name"] for error in errors(messages)] == ["failing"]
    for stream in (before, after):
        assert statuses(messages, stream.name) == ["STARTED", "RUNNING", "COMPLETE"]
        assert {record["id"] for record in records(messages, stream.name)} == stream.truth
    for state in states(messages, "failing"):
        assert failing.covered(state) <= {record["id"] for record in records(messages, "failing")}


def test_an_unexpected_error_has_a_sentence_a_type_and_a_stack_trace() -> None:
    stream = InReading("s")
    (error,) = errors(read(ToySource(stream), catalog(stream)))
    assert error["message"].startswith("toy hit an unexpected error while it read s. What was read before is kept")
    assert error["failure_type"] == "system_error"
    assert error["internal_message"] == "Boom: "
    assert "read_slice" in error["stack_trace"]


def test_the_sentence_and_the_type_of_an_error_stay() -> None:
    class Refused(ToyStream):
        def slices(self) -> Iterator[int]:
            msg = "The key may not read this. Give it the right to."
            raise config_error(msg, "GET /x: status 403: no")

    stream = Refused("s")
    (error,) = errors(read(ToySource(stream), catalog(stream)))
    assert error["message"] == "The key may not read this. Give it the right to."
    assert error["internal_message"] == "GET /x: status 403: no"
    assert error["failure_type"] == "config_error"


def test_an_error_without_a_sentence_gets_one() -> None:
    class Mute(ToyStream):
        def slices(self) -> Iterator[int]:
            raise AirbyteTracedException(internal_message="inside", failure_type=FailureType.transient_error)

    stream = Mute("s")
    (error,) = errors(read(ToySource(stream), catalog(stream)))
    assert "unexpected error" in error["message"]
    assert "inside" in error["internal_message"]


def test_a_failed_stream_emits_the_state_that_waited_for_its_interval() -> None:
    class Held(ToyStream):
        state_interval = 3600.0

        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            if slice_ == 3:
                raise Boom
            yield [{"id": f"s/{slice_}/0"}]
            yield Checkpoint({"slice": slice_ + 1})

    stream = Held("s", rows=1)
    assert [state["slice"] for state in states(read(ToySource(stream), catalog(stream)))] == [1, 3]


def test_a_failed_stream_ends_the_process_with_1(toy: CommandLine) -> None:
    good, bad = ToyStream("good"), InReading("bad")
    code, messages = toy.read(ToySource(good, bad))
    assert code == 1
    assert statuses(messages, "good")[-1] == "COMPLETE"
    assert len(errors(messages)) == 1


def test_an_unknown_stream_fails_with_a_sentence_and_the_others_are_read(toy: CommandLine) -> None:
    stream = ToyStream("known")
    code, messages = toy.read(ToySource(stream), configured=catalog("gone", stream))
    assert code == 1
    assert statuses(messages, "gone") == ["INCOMPLETE"]
    assert statuses(messages, "known")[-1] == "COMPLETE"
    (error,) = errors(messages)
    assert error["message"] == (
        "The source has no stream named 'gone'. Refresh the schema of the connection, or remove the stream from it."
    )
    assert error["failure_type"] == "config_error"
    assert error["stream_descriptor"] == {"name": "gone"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("config", "{", "config.json cannot be read as JSON: write it as UTF-8 text with one JSON document."),
        ("config", "[]", "config.json is not a JSON object of options."),
        ("catalog", "nonsense", "catalog.json cannot be read as JSON"),
        ("catalog", '{"streams": 3}', "catalog.json is not a configured catalog"),
        ("catalog", '{"streams": [{"stream": {}}]}', "catalog.json is not a configured catalog"),
        ("state", '{"s": {"slice": 1}}', "state.json is not a list of per-stream Airbyte state messages"),
        ("state", '[{"type": "GLOBAL", "global": {"stream_states": []}}]', "state.json is not a list of per-stream"),
        ("state", "[1]", "state.json is not a list of per-stream"),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_one_sentence(
    toy: CommandLine, file: str, content: str, sentence: str
) -> None:
    documents = {"config": "{}", "catalog": '{"streams": []}', "state": "[]", file: content}
    args = [arg for name, text in documents.items() for arg in (f"--{name}", toy.file(f"{name}.json", text))]
    child = toy.start(ToySource(ToyStream("s")), "read", *args)
    code, messages = child.finish()
    assert code == 1
    assert child.stderr == ""
    (error,) = errors(messages)
    assert sentence in error["message"]
    assert error["failure_type"] == "config_error"


def test_a_file_that_is_not_there_is_named(toy: CommandLine, tmp_path: Any) -> None:
    missing = str(tmp_path / "missing.json")
    code, messages = toy.start(ToySource(), "check", "--config", missing).finish()
    assert code == 1
    assert [error["message"] for error in errors(messages)] == [f"The config file {missing} does not exist."]


@pytest.mark.parametrize("nothing", ["[]", "{}", "null"])
def test_an_empty_state_file_is_no_state(toy: CommandLine, nothing: str) -> None:
    stream = ToyStream("s")
    code, messages = toy.read(ToySource(stream), states=nothing)
    assert code == 0
    assert len(records(messages)) == len(stream.truth)


def test_a_bug_outside_of_the_streams_is_a_trace(toy: CommandLine) -> None:
    class Broken(ToySource):
        def all_streams(self, config: Any) -> list[Any]:
            raise Boom

    code, messages = toy.read(Broken(), configured=catalog("s"))
    assert code == 1
    assert len(errors(messages)) == 1


def test_a_wrong_command_line_is_explained_on_stderr(toy: CommandLine) -> None:
    for args in ((), ("read",), ("fetch",)):
        child = toy.start(ToySource(), *args)
        code, messages = child.finish()
        assert (code, [m for m in messages if m["type"] != "LOG"]) == (2, [])
        assert "usage:" in child.stderr


def checked(toy: CommandLine, result: str | Exception | None) -> dict[str, Any]:
    """The status of a source whose probe returns or raises this."""

    class Checked(ToySource):
        def probe(self, logger: Any, config: Any) -> str | None:
            if isinstance(result, Exception):
                raise result
            return result

    config = toy.file("config.json", {"api_key": "key-12345678"})
    code, messages = toy.start(Checked(), "check", "--config", config).finish()
    assert code == 0
    (status,) = (message["connectionStatus"] for message in messages if message["type"] == "CONNECTION_STATUS")
    return dict(status)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (config_error("The bucket is empty."), "The bucket is empty."),
        (config_error("The key is unknown.", "GET /x: status 401"), "The key is unknown."),
        (Boom(), "Checked hit an unexpected error (Boom()). See the log."),
        (config_error("Key key-12345678 is no key."), "Key **** is no key."),
    ],
)
def test_a_failed_check_is_a_status_with_a_plain_sentence(toy: CommandLine, error: Exception, sentence: str) -> None:
    assert checked(toy, error) == {"status": "FAILED", "message": sentence}


def test_a_check_that_succeeds_may_have_a_message_without_secrets(toy: CommandLine) -> None:
    assert checked(toy, None) == {"status": "SUCCEEDED"}
    assert checked(toy, "key-12345678 may not read pages.") == {
        "status": "SUCCEEDED",
        "message": "**** may not read pages.",
    }


@pytest.mark.parametrize("config", [{"pages": "many"}, {"credentials": "abc"}, {"spare_key": 5}])
def test_a_config_against_the_spec_fails_the_check_and_a_read(toy: CommandLine, config: Message) -> None:
    path = toy.file("config.json", config)
    code, messages = toy.start(ToySource(), "check", "--config", path).finish()
    assert code == 0
    (status,) = (message["connectionStatus"] for message in messages if message["type"] == "CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    code, messages = toy.read(ToySource(ToyStream("s")), config=config)
    assert code == 1
    assert [error["failure_type"] for error in errors(messages)] == ["config_error"]
    assert records(messages) == []
