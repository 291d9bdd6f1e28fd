"""`make demo`: the three connectors read the bundled simulators, side by side, into a DuckDB file.

The simulators of Pendo and Customer.io also post webhooks to webhook-inlet, whose log the connectors read. Connectors
and inlet run in their containers if a Docker engine answers and `make images` has built them, else from the virtual
environment. Each further run is incremental, and for the simulated vendors a day later, but never ahead of the clock.
At the end three answers are printed, and a page is written beside the file.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import duckdb
from rich.console import Console
from rich.table import Table
from test_kit.warehouse import Warehouse

from demo import containers
from demo.answers import answers, make_views, print_answer, shown
from demo.history import DAYS, History, Run, StreamRun
from demo.inlet import EVENTS, TIMED, Inlet, post_event, running_inlet, shared_folder, write
from demo.page import write_page
from demo.programs import Environment, Place
from demo.progress import Board
from demo.sync import Reader, Sync
from demo.vendors import ROOT, VENDORS, World

#: The width of what is not printed on a terminal: no line is cut
_WIDTH = 160


@dataclass(frozen=True)
class Synced:
    """A connector that was read, with what reads it again."""

    reader: Reader
    warehouse: Warehouse
    catalog: dict[str, Any]
    streams: list[StreamRun]
    complete: bool

    def time_events(self, inlet: Inlet) -> float:
        """Posts events one by one, each followed by a sync of their stream alone. The median of the seconds."""
        catalog = {"streams": [part for part in self.catalog["streams"] if part["stream"]["name"] == EVENTS]}
        self.warehouse.begin(catalog)
        seconds = []
        for _ in range(TIMED):
            rows = self.warehouse.count(EVENTS)
            start = time.monotonic()
            post_event(inlet)
            code = self.reader.read(catalog, self.warehouse, lambda _: None)
            if code or self.warehouse.count(EVENTS) != rows + 1:
                sys.exit(f"the event that was posted is not in the table {EVENTS} (exit code {code})")
            seconds.append(time.monotonic() - start)
        return statistics.median(seconds)


@dataclass(frozen=True)
class Demo:
    """One run. What is in the stack ends with the run, so that vendors can be asked until then."""

    database: Path
    run: Run
    world: World
    place: Place
    board: Board
    stack: ExitStack

    def sync(self, connector: str) -> Synced:
        """Runs the vendor of a connector and reads it. Other connections to the file may write at the same time."""
        config = self.stack.enter_context(VENDORS[connector](self.world))
        folder = self.stack.enter_context(shared_folder())
        write(folder / "config.json", config)
        warehouse = Warehouse(self.database, connector.removeprefix("source-"))
        self.stack.callback(warehouse.close)
        reader = Reader(connector, self.place, folder)
        catalog = reader.discover()
        streams, complete = Sync(connector, self.board).run(reader, warehouse, catalog, self.run.number)
        return Synced(reader, warehouse, catalog, streams, complete)


def main() -> int:
    """Runs the demo. The exit code is 0 if every stream was read."""
    options = _options()
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDTH
    if options.fresh:
        for part in (options.database, *(_beside(options.database, kind) for kind in ("wal", "log", "html"))):
            part.unlink(missing_ok=True)
        shutil.rmtree(_beside(options.database, "inlet"), ignore_errors=True)
    with ExitStack() as stack:
        connection = stack.enter_context(_opened(options.database))
        history = History(connection)
        runs = history.runs()
        run = _next_run(runs, options)
        log = stack.enter_context(_beside(options.database, "log").open("ab", buffering=0))
        place = _place(console, log, options.docker)
        run = replace(run, place=place.name)
        history.keep(run)
        _greet(console, run, runs, options.database)
        inlet = stack.enter_context(running_inlet(_beside(options.database, "inlet"), place))
        first = runs[0].present if runs else run.present
        world = World(run.size, first, (run.present - first).days, inlet, log)
        board = Board(console, log, history.expected(run.number))
        demo = Demo(options.database, run, world, place, board, stack)
        complete = _read(demo, history, console)
        make_views(connection)
        _end(console, connection, options.database, history, run.number)
    return 0 if complete else 1


def _opened(database: Path) -> duckdb.DuckDBPyConnection:
    """The DuckDB file, which is made where there is none."""
    try:
        return duckdb.connect(str(database))
    except duckdb.Error as error:
        if "lock" in str(error):
            sys.exit(f"{database} is open in another program. Close it there, then run `make demo` again. ({error})")
        sys.exit(
            f"{database} cannot be opened. `make demo ARGS=--fresh` deletes it and begins anew, "
            f'`make demo ARGS="--database FILE"` takes another file. ({error})'
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    add = parser.add_argument
    add(
        "--database", type=Path, default=ROOT / "demo.duckdb", help="the DuckDB file; the page and the log go beside it"
    )
    add("--fresh", action="store_true", help="delete the file first, so that everything is read again")
    add("--size", choices=("demo", "tiny"), help="amount of simulated data; default: demo, or that of the file")
    add(
        "--now",
        type=_with_offset,
        help="the vendors' present at the first run, with its offset; default: a day before the last full hour",
    )
    add(
        *("--no-docker",),
        dest="docker",
        action="store_false",
        help="run from the virtual environment, even if there are images",
    )
    return parser.parse_args()


def _with_offset(text: str) -> datetime:
    """A time of the command line."""
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} is not a time with its offset, such as 2026-03-01T09:00:00Z")
    return moment


def _beside(database: Path, kind: str) -> Path:
    """The page `demo.html` beside `demo.duckdb`; what else belongs to the file has its whole name."""
    database = database.resolve()  # an engine of containers takes no path with `..`
    return database.with_suffix(".html") if kind == "html" else Path(f"{database}.{kind}")


def _next_run(runs: list[Run], options: argparse.Namespace) -> Run:
    """The run that follows. It must be of the same vendors as the others, or their states would mislead it.

    Connectors take the time from the clock of this machine, so the first run is a day behind it, and none is before it.
    """
    now = datetime.now(UTC)
    if not runs:
        full_hour = now.replace(minute=0, second=0, microsecond=0)
        return Run(1, options.size or "demo", options.now or full_hour - timedelta(days=1), "")
    first = runs[0]
    if options.size not in (None, first.size) or options.now not in (None, first.present):
        sys.exit(
            f"{options.database} was begun with --size {first.size} --now {first.present.isoformat()}: leave both out, "
            "or begin again with --fresh."
        )
    number = runs[-1].number + 1
    later = max(0, min(number - 1, DAYS, (now - first.present).days))
    return Run(number, first.size, first.present + timedelta(days=later), "")


def _place(console: Console, log: IO[bytes], wanted: bool) -> Place:
    """Containers if they can be had without waiting for them."""
    engine = containers.engine() if wanted else None
    if engine is None:
        return Environment(log)
    packages = [*VENDORS, "webhook-inlet"]
    missing = containers.missing_images(engine, packages)
    if missing:
        console.print(f"Docker answers, but {missing[0]} is not built: `make images` makes the demo use containers.")
        return Environment(log)
    built = containers.built(engine, packages)
    console.print(f"The images are of {built:%d %B %Y, %H:%M} UTC. If this tree is newer, `make images` renews them.")
    return containers.Containers(engine, log)


def _greet(console: Console, run: Run, runs: list[Run], database: Path) -> None:
    if not runs:
        console.print(f"First run: everything, into {database}.")
    else:
        console.print(f"Run {run.number}: incremental, into {database}.")
    still = bool(runs) and runs[-1].present == run.present
    reason = "; their clock does not run ahead of this machine's" if still else ""
    console.print(f"For the simulated vendors it is {'still ' * still}{run.present:%A, %d %B %Y, %H:%M} UTC{reason}.")
    console.print(f"Connectors and webhook-inlet run {run.place}.")


def _read(demo: Demo, history: History, console: Console) -> bool:
    """Reads all vendors side by side, then times the way of single events. Whether everything was read."""
    begun = time.monotonic()
    with demo.board.shown(), ThreadPoolExecutor(len(VENDORS)) as pool:
        synced = dict(zip(VENDORS, pool.map(demo.sync, VENDORS), strict=True))
    seconds = time.monotonic() - begun
    streams = [stream for connector in synced.values() for stream in connector.streams]
    history.keep_streams(streams)
    _print_streams(console, streams)
    complete = all(connector.complete for connector in synced.values())
    inlet_seconds = synced["source-customerio"].time_events(demo.world.inlet) if complete else None
    history.keep(replace(demo.run, seconds=seconds, inlet_seconds=inlet_seconds))
    return complete


def _print_streams(console: Console, streams: list[StreamRun]) -> None:
    """What was read, a line for each stream."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for column in ("connector", "stream", "read", "new", "changed", "in table", "seconds", "sync"):
        justify = "left" if column in ("connector", "stream", "sync") else "right"
        # where the terminal is narrow, long names of streams go on in the next line, and nothing else
        table.add_column(column, justify=justify, no_wrap=column != "stream", overflow="fold")
    for of in streams:
        sync = of.sync if of.status == "COMPLETE" else f"{of.sync}, {of.status.lower()}"
        numbers = (shown(number) for number in (of.read, of.new, of.changed, of.held))
        table.add_row(of.connector.removeprefix("source-"), of.stream, *numbers, f"{of.seconds:.1f}", sync)
    console.print()
    console.print(table, highlight=False, soft_wrap=False)


def _end(
    console: Console, connection: duckdb.DuckDBPyConnection, database: Path, history: History, number: int
) -> None:
    """Three answers, and where to look on."""
    found = answers(connection)
    for answer in found:
        print_answer(console, answer)
    page = _beside(database, "html")
    write_page(page, connection, history, number, found)
    run = history.runs()[-1]
    new, changed = (sum(part) for part in zip(*((of.new, of.changed) for of in history.streams(number)), strict=True))
    python = f"{sys.executable}" if Path.cwd() not in Path(sys.executable).parents else ".venv/bin/python"
    console.print(f"\nRead in {run.seconds:.0f} s: {new:,} new rows, {changed:,} changed ones.", highlight=False)
    if run.inlet_seconds is not None:
        console.print(
            f"Webhook: {run.inlet_seconds:.1f} s from a posted event to its row (median of {TIMED}).", highlight=False
        )
    console.print(f"Page:    {page}", highlight=False)
    console.print(
        f"""DuckDB:  {python} -ic "import duckdb; db = duckdb.connect('{database}'); """
        f"""db.sql('FROM answers.{found[-1].view}').show()\"""",
        highlight=False,
    )
    console.print("Spark:   make spark-demo  (needs Java 17)", highlight=False)
    console.print(f"Again:   make demo        ({_again(history.runs())})", highlight=False)


def _again(runs: list[Run]) -> str:
    """What a further run would be."""
    first, last = runs[0], runs[-1]
    if (last.present - first.present).days >= DAYS:
        return "the vendors have no later days; ARGS=--fresh begins anew"
    tomorrow = last.present + timedelta(days=1)
    since = "" if tomorrow <= datetime.now(UTC) else f" from {tomorrow:%A, %d %B, %H:%M} UTC on"
    return f"incremental; for the vendors it is a day later{since}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped. The next run goes on from what is in the file.")
    except (duckdb.OperationalError, OSError) as error:
        sys.exit(f"Stopped: {error}. When this is put right, the next run goes on from what is in the file.")
