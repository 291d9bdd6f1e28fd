"""The connectors under test, each on a fresh simulator and forked from a process that has imported it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from faults.processes import CommandLine, Preloaded
from faults.scene import Scene, SceneMaker, discovered
from faults.subjects import SUBJECTS, Subject


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Callable[[str], Preloaded]]:
    """A connector by name, imported once in the whole run."""
    made: dict[str, Preloaded] = {}

    def get(connector: str) -> Preloaded:
        if connector not in made:
            made[connector] = Preloaded(connector)
        return made[connector]

    yield get
    for launcher in made.values():
        launcher.close()


@pytest.fixture(scope="session")
def catalogs() -> dict[type[Subject], Mapping[str, Any]]:
    """Catalogs that were discovered already."""
    return {}


@pytest.fixture
def make_scene(
    preloaded: Callable[[str], Preloaded], catalogs: dict[type[Subject], Mapping[str, Any]], tmp_path: Path
) -> Iterator[SceneMaker]:
    """`make_scene(Pendo, rows=1000)`: a simulator that runs until the test ends, and its connector."""
    with ExitStack() as stack:

        def make(kind: type[Subject], **arguments: Any) -> Scene:
            subject = kind(**arguments)
            stack.enter_context(subject.simulator)
            launcher = preloaded(subject.connector)
            if kind not in catalogs:
                catalogs[kind] = discovered(subject, launcher, tmp_path)
            stack.callback(_expect_no_bugs, subject)
            return Scene(subject, launcher, catalogs[kind], tmp_path)

        yield make


def _expect_no_bugs(subject: Subject) -> None:
    assert subject.simulator.errors == []


@pytest.fixture(params=SUBJECTS, ids=lambda kind: kind.connector)
def kind(request: pytest.FixtureRequest) -> type[Subject]:
    """Each connector in turn."""
    chosen: type[Subject] = request.param
    return chosen


@pytest.fixture
def scene(kind: type[Subject], make_scene: SceneMaker) -> Scene:
    """Each connector in turn on a small simulator, forked, with its own patience."""
    return make_scene(kind)


@pytest.fixture
def unpaged_scene(kind: type[Subject], make_scene: SceneMaker) -> Scene:
    """The same with few requests, for runs at the pace that a vendor allows."""
    return make_scene(kind, paged=False)


@pytest.fixture
def command_line(kind: type[Subject]) -> CommandLine:
    """Each connector's console script."""
    return CommandLine(kind.connector)
