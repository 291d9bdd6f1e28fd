"""What a reader sees while the connectors read: lines that move on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.table import Table

_REFRESHES_PER_SECOND = 4


@dataclass
class _Connector:
    streams: int
    rows: Callable[[], Mapping[str, int]]
    begun: float
    ended: dict[str, bool] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    finished: bool = False


class Board:
    """Takes the news of all connectors, which come from several threads."""

    def __init__(self, console: Console, log: IO[bytes], expected: Mapping[tuple[str, str], int]) -> None:
        self._console, self._log, self._expected = console, log, expected
        self._connectors: dict[str, _Connector] = {}
        self._lock = threading.Lock()

    def shown(self) -> AbstractContextManager[object]:
        """Shows it while a block runs."""
        if not self._console.is_terminal:
            return nullcontext()
        return Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        )

    def begins(self, connector: str, streams: int, rows: Callable[[], Mapping[str, int]]) -> None:
        """A connector begins to read; `rows` gives the records that have come, by stream, at any time."""
        with self._lock:
            self._connectors[connector] = _Connector(streams, rows, time.monotonic())
        self._say(f"{connector}: reading {streams} streams")

    def stream_begins(self, connector: str, stream: str) -> None:
        """A stream has started."""
        with self._lock:
            self._connectors[connector].running[stream] = time.monotonic()

    def stream_ends(self, connector: str, stream: str, seconds: float, complete: bool) -> None:
        """A stream has ended: its line stays on a terminal. It is nothing to say elsewhere, unless it failed."""
        of = self._connectors[connector]
        with self._lock:
            of.running.pop(stream, None)
            of.ended[stream] = complete
        rows = of.rows()[stream]
        if self._console.is_terminal:
            mark = "[green]✓[/]" if complete else "[red]✗[/]"
            self._console.print(
                f" {mark} [dim]{connector:<18}[/] {stream:<28} {rows:>8,} rows [dim]{_rate(rows, seconds):>10}[/]",
                highlight=False,
            )

    def ends(self, connector: str, rows: int, seconds: float, code: int, failures: Sequence[str]) -> None:
        """A connector has ended."""
        with self._lock:
            self._connectors[connector].finished = True
        self._say(f"{connector}: {rows:,} records in {seconds:.1f} s, exit code {code}")
        for failure in failures:
            self._say(f"FAILED {failure}")

    def log(self, text: str) -> None:
        """Writes a line into the log, which nobody looks at unless something fails."""
        self._log.write(f"{text}\n".encode())

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _picture(self) -> Table:
        """A line for each connector with the share of its streams, and one for each stream that is read now."""
        table = Table(box=None, show_header=False, padding=(0, 1))
        for align in ("left", "right", "right", "left"):
            table.add_column(justify=align, no_wrap=True)
        now = time.monotonic()
        with self._lock:
            for name, of in self._connectors.items():
                if of.finished:
                    continue
                rows = of.rows()
                total = sum(rows.values())
                done = f"{len(of.ended)} of {of.streams} streams"
                table.add_row(f"[bold]{name}[/]", f"{total:,} rows", _rate(total, now - of.begun), done)
                for stream, since in list(of.running.items()):
                    read = rows.get(stream, 0)
                    expected = self._expected.get((name, stream))
                    estimate = f"of about {expected:,}" if expected else ""
                    table.add_row(f"  {stream}", f"{read:,} rows", _rate(read, now - since), f"[dim]{estimate}[/]")
        return table


def _rate(rows: int, seconds: float) -> str:
    return f"{rows / seconds:,.0f}/s" if seconds > 0.05 else ""
