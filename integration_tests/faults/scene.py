"""A subject, a way to start its connector, and files for the command line: everything for one sync after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faults.ledger import Ledger, Row
from faults.processes import Crash, Launcher, Meanwhile, Outcome, Pace, watch, written
from faults.subjects import Subject


class Scene:
    """Syncs of one subject. `catalog` is what its connector discovered."""

    def __init__(self, subject: Subject, launcher: Launcher, catalog: Mapping[str, Any], folder: Path) -> None:
        self.subject = subject
        self.launcher = launcher
        self._catalog = catalog
        self.folder = folder

    def ledger(self, *streams: str, full_refresh: bool = False) -> Ledger:
        """An empty destination for streams, the subject's own unless told; incremental where they can be."""
        return Ledger(configured(self._catalog, streams or self.subject.streams, full_refresh=full_refresh))

    def sync(
        self,
        ledger: Ledger,
        *,
        launcher: Launcher | None = None,
        url: str | None = None,
        crash: Crash | None = None,
        pace: Pace | None = None,
        meanwhile: Meanwhile | None = None,
        uncovered: bool = True,
        limit: float = 60.0,
        options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Outcome:
        """One sync into the destination, from the state that it holds. See `watch` and `Ledger.load`."""
        config = self.subject.config(url, **(options or {}))
        argv = self.command(config, ledger.catalog, ledger.begin())
        running = (launcher or self.launcher).start(argv, **settings)
        outcome = watch(running, crash, pace, meanwhile, limit)
        if not outcome.killed and pace is None:
            assert outcome.torn == b"", outcome.torn[:200]
        ledger.load(outcome.lines, uncovered=uncovered)
        return outcome

    def command(self, config: Row, catalog: Mapping[str, Any], states: Sequence[Row]) -> list[str]:
        """The command line of a read."""
        argv = [
            "read",
            "--config",
            written(self.folder / "config.json", config),
            "--catalog",
            written(self.folder / "catalog.json", catalog),
        ]
        return [*argv, "--state", written(self.folder / "state.json", states)] if states else argv


SceneMaker = Callable[..., Scene]


def discovered(subject: Subject, launcher: Launcher, folder: Path) -> Mapping[str, Any]:
    """The catalog of a subject."""
    argv = ["discover", "--config", written(folder / "config.json", subject.config())]
    outcome = watch(launcher.start(argv))
    found: list[Mapping[str, Any]] = [m["catalog"] for m in outcome.messages() if m["type"] == "CATALOG"]
    assert len(found) == 1, outcome
    return found[0]


def configured(catalog: Mapping[str, Any], streams: Sequence[str], *, full_refresh: bool = False) -> Row:
    """A configured catalog: append and deduplicate by the incremental mode where a stream has one, else overwrite."""
    chosen = [stream for stream in catalog["streams"] if stream["name"] in streams]
    assert len(chosen) == len(set(streams)), (streams, [stream["name"] for stream in catalog["streams"]])
    items = []
    for stream in chosen:
        incremental = not full_refresh and "incremental" in stream["supported_sync_modes"]
        items.append(
            {
                "stream": stream,
                "sync_mode": "incremental" if incremental else "full_refresh",
                "destination_sync_mode": "append_dedup" if incremental else "overwrite",
            }
        )
    return {"streams": items}
