"""A connector on its simulator: in this process with a clock that stands still, or by its console script."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from proof.output import Output, Row, configured
from proof.suite import Connector
from proof.vendors import Vendor
from source_kit.cli import launch


class Stage:
    """A connector and its vendor, with a folder for the files of the command line. Runs in this process.

    The connector's clock shows the vendor's moment, so that two runs write the same; and requests go out at once, where
    a budget would spread them over many seconds.
    """

    def __init__(self, connector: Connector, vendor: Vendor, folder: Path) -> None:
        self.connector = connector
        self.vendor = vendor
        self.folder = folder

    @cached_property
    def catalog(self) -> Row:
        """What the connector discovers."""
        return self.run("discover", config=self.vendor.config).succeeded().catalog

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        """One verb. `files` (`config`, `catalog`, `state`) become JSON files; what is None is left out."""
        argv = arguments(self.folder, verb, flags, files)
        with (
            _still(self.vendor.moment),
            unlimited(self.connector),
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            with _alone({1: out.fileno(), 2: err.fileno()}):
                code = launch(self.connector.source, argv)
            out.seek(0)
            err.seek(0)
            return Output(code, out.read(), err.read().decode("utf-8", "replace"))

    def read(
        self,
        *streams: str,
        full_refresh: bool = False,
        state: Sequence[Row] = (),
        config: Row | None = None,
    ) -> Output:
        """A read of these streams, or of all."""
        return self.run(
            "read",
            config=config or self.vendor.config,
            catalog=configured(self.catalog, streams, full_refresh=full_refresh),
            state=list(state) or None,
        )


class ScriptStage(Stage):
    """The same by the console script, in a process of its own: at the real time, at the pace that the vendor allows."""

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        argv = arguments(self.folder, verb, flags, files)
        return run_process([str(self.connector.script), *argv])


def run_process(command: Sequence[str], **settings: Any) -> Output:
    """A process, to its end; one that takes more than two minutes fails the test."""
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, **settings)
    return Output(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def arguments(
    folder: Path, verb: str, flags: Sequence[str], files: Mapping[str, Any], mounted: str | None = None
) -> list[str]:
    """The command line of a verb, its files written; `mounted` is where a container sees the folder."""
    argv = [verb, *flags]
    for option, content in files.items():
        if content is not None:
            path = folder / f"{option}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            path.chmod(0o644)
            argv += [f"--{option}", f"{mounted}/{path.name}" if mounted else str(path)]
    return argv


@contextmanager
def _still(moment: datetime) -> Iterator[None]:
    """The connectors' clock stands at this moment."""

    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz or UTC)

    with patch("source_kit.convert.datetime", Still):
        yield


@contextmanager
def unlimited(connector: Connector) -> Iterator[None]:
    """Without Customer.io's ten requests a second, to which its connector keeps even where the simulator does not."""
    if connector.vendor == "customerio":
        with patch("source_customerio.budget.RequestBudget.acquire", lambda budget: None):
            yield
    else:
        yield


@contextmanager
def _alone(elsewhere: Mapping[int, int]) -> Iterator[None]:
    """What is written to these file descriptors goes to others; what a run changes in the process is undone."""
    loggers = [logging.getLogger(), logging.getLogger("airbyte")]
    hook, handlers, levels = sys.excepthook, loggers[0].handlers[:], [logger.level for logger in loggers]
    _flush()
    kept = {number: os.dup(number) for number in elsewhere}
    for number, other in elsewhere.items():
        os.dup2(other, number)
    try:
        yield
    finally:
        _flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)
        sys.excepthook, loggers[0].handlers[:] = hook, handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _flush() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        assert stream is not None
        stream.flush()
