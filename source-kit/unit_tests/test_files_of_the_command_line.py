"""With any files and any stdout, a command works or ends with one sentence."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit_toys import Child, CommandLine, ToySource, ToyStream, catalog
from source_kit.cli import launch
from source_kit.stream import SliceItem
from test_kit.catalogs import stream_state
from test_kit.messages import decoded, errors, records

NOBODY = 65534


def started(toy: CommandLine, before: Callable[[], Any], *args: str) -> Child:
    """Starts the connector in a process that calls `before` first."""
    child = Child(lambda: (before(), launch(lambda: ToySource(ToyStream("s")), args))[1])
    toy.children.append(child)
    return child


def pipe(path: Path, content: Any) -> str:
    """A pipe with a document, which can be read once."""
    os.mkfifo(path)
    threading.Thread(target=path.write_text, args=(json.dumps(content),), daemon=True).start()
    return str(path)


def test_every_file_may_be_a_pipe(toy: CommandLine, tmp_path: Path) -> None:
    args = ["read", "--config", pipe(tmp_path / "config", {"api_key": "k-1234567"})]
    args += ["--catalog", pipe(tmp_path / "catalog", catalog("s"))]
    args += ["--state", pipe(tmp_path / "state", [stream_state("s", {"slice": 3, "row": 0})])]
    code, messages = toy.start(ToySource(ToyStream("s")), *args).finish()
    assert code == 0
    assert len(records(messages)) == 20, "the state was read as well"


def test_a_file_may_begin_with_a_byte_order_mark(toy: CommandLine) -> None:
    assert toy.read(ToySource(ToyStream("s")), config="\ufeff{}")[0] == 0


def deep(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + "1" + closing * levels


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config", "catalog", "state"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (deep(100_000), "is nested more than 100 levels deep. Check what wrote it."),
        (deep(100_000, '{"a":', "}"), "is nested more than 100 levels deep. Check what wrote it."),
        (deep(101), "is nested more than 100 levels deep. Check what wrote it."),
        ("", "is empty. Write one JSON document into it; a pipe can be read only once."),
    ],
    ids=["arrays", "objects", "one level too many", "empty"],
)
def test_a_file_that_is_empty_or_too_deep_is_an_error(toy: CommandLine, name: str, content: str, sentence: str) -> None:
    files = {"config": "{}", "catalog": json.dumps(catalog("s")), "state": "[]", name: content}
    args = [part for one, text in files.items() for part in (f"--{one}", toy.file(f"{one}.json", text))]
    child = toy.start(ToySource(ToyStream("s")), "read", *args)
    code, messages = child.finish()
    (error,) = errors(messages)
    assert (code, error["failure_type"]) == (1, "config_error")
    assert error["message"] == f"The {name} file {args[args.index(f'--{name}') + 1]} {sentence}"
    assert child.stderr == ""


def test_a_hundred_levels_are_accepted(toy: CommandLine) -> None:
    content = '{"extra": ' + deep(99) + "}"
    assert toy.read(ToySource(ToyStream("s")), config=content)[0] == 0


def test_a_directory_in_place_of_a_file_is_an_error(toy: CommandLine, tmp_path: Path) -> None:
    code, messages = toy.start(ToySource(ToyStream("s")), "check", "--config", str(tmp_path)).finish()
    assert code == 1
    assert errors(messages)[0]["message"].startswith(
        f"The config file {tmp_path} is a directory. Name the file itself;"
    )


def test_other_errors_of_the_system_are_quoted(toy: CommandLine, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    code, messages = toy.start(ToySource(ToyStream("s")), "check", "--config", str(loop)).finish()
    assert code == 1
    sentence = f"The config file {loop} cannot be read (Too many levels of symbolic links). Check the path and what"
    assert errors(messages)[0]["message"].startswith(sentence)


def test_an_unreadable_file_names_the_file_and_the_user(toy: CommandLine) -> None:
    config = toy.file("config.json", {"api_key": "k-1234567"})
    Path(config).chmod(0o000)

    def become_somebody() -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)

    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    code, messages = started(toy, become_somebody, "check", "--config", config).finish()
    (error,) = errors(messages)
    assert (code, error["failure_type"]) == (1, "config_error")
    assert error["message"].startswith(f"The config file {config}")
    assert f"may not be read by user {user}, who runs this connector. Let that user read it" in error["message"]


@pytest.mark.parametrize("verb", ["spec", "check"])
def test_no_temporary_directory_is_needed(toy: CommandLine, verb: str) -> None:
    def have_none() -> None:
        tempfile.tempdir = None
        tempfile._candidate_tempdir_list = list  # type: ignore[attr-defined]

    args = ["--config", toy.file("config.json", {})] if verb == "check" else []
    code, messages = started(toy, have_none, verb, *args).finish()
    assert (code, errors(messages)) == (0, [])


def test_the_configuration_is_not_written_to_disk(
    toy: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    class Looks(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield [{"id": str(path)} for path in folder.rglob("*")]

    code, messages = toy.read(ToySource(Looks("s")), config={"api_key": "k-1234567"})
    assert (code, records(messages)) == (0, [])


def test_stdout_is_utf_8_under_any_locale(toy: CommandLine) -> None:
    def speak_ascii() -> None:
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="ascii", closefd=False)

    child = started(toy, speak_ascii, "check", "--config", "/nowhere/gerät.json")
    code, messages = child.finish()
    assert (code, errors(messages)[0]["message"]) == (1, "The config file /nowhere/gerät.json does not exist.")
    assert child.stderr == ""


@pytest.mark.parametrize("verb", ["spec", "check", "read"])
def test_a_full_disk_behind_stdout_ends_with_a_sentence(toy: CommandLine, verb: str) -> None:
    args = [] if verb == "spec" else ["--config", toy.file("config.json", {})]
    args += ["--catalog", toy.file("catalog.json", catalog("s"))] if verb == "read" else []
    child = started(toy, lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 1), verb, *args)
    output = child.stdout.read()
    assert (child.wait(), decoded(output or b"")) == (1, [])
    assert child.stderr.startswith("The messages cannot be written to stdout (No space left on device), so the conn")
    assert "Traceback" not in child.stderr
