"""`demo.html`: one page without scripts and without anything from the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
from markupsafe import Markup

from demo.answers import Answer, shown
from demo.history import History, Run, StreamRun
from demo.joins import WIDTH, drawings

_DAYS = 28
#: Streams whose rows have a time of their own, and the day of a row
_DAILY = {
    ("pendo", "page_events"): "CAST(read_day AS DATE)",
    ("pendo", "feature_events"): "CAST(read_day AS DATE)",
    ("pendo", "guide_events"): "CAST(read_day AS DATE)",
    ("pendo", "track_events"): "CAST(read_day AS DATE)",
    ("customerio", "messages"): "CAST(to_timestamp(created) AS DATE)",
    ("customerio", "activities"): "CAST(to_timestamp(timestamp) AS DATE)",
    ("heap", "sessions"): "CAST(time AS DATE)",
    ("heap", "pageviews"): "CAST(time AS DATE)",
}
#: E-mails that came at least so far; a click implies an open, which privacy features may hide
_FUNNEL = """
    SELECT count(*) AS created, count(*) FILTER (metrics ->> 'sent' IS NOT NULL) AS sent,
           count(*) FILTER (metrics ->> 'delivered' IS NOT NULL) AS delivered,
           count(*) FILTER (CAST(metrics ->> 'human_opened' AS BIGINT) > 0
                            OR CAST(metrics ->> 'human_clicked' AS BIGINT) > 0) AS opened,
           count(*) FILTER (CAST(metrics ->> 'human_clicked' AS BIGINT) > 0) AS clicked
    FROM customerio.messages WHERE type = 'email'
"""
_CHANGED_STREAMS = 12
_NAMES = {"pendo": "Pendo", "customerio": "Customer.io", "heap": "Heap"}


@dataclass(frozen=True)
class Day:
    """The rows of one day, and their share of the highest day."""

    day: date
    rows: int
    share: float


def write_page(
    path: Path, connection: duckdb.DuckDBPyConnection, history: History, number: int, found: Sequence[Answer]
) -> None:
    """Writes the page about a run."""
    run = next(run for run in history.runs() if run.number == number)
    streams = history.streams(number)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": shown, "breakable": _breakable}
    text = environment.get_template("page.html.jinja").render(
        run=run,
        vendors=_vendors(streams),
        streams=streams,
        totals={part: sum(getattr(of, part) for of in streams) for part in ("read", "new", "changed", "held")},
        answers={answer.view: answer for answer in found},
        highest=max((row[1] for row in found[-1].rows), default=1),
        most_visitors=max((cell for row in found[0].rows for cell in row[1:]), default=1),
        funnel=_funnel(connection),
        daily=[_daily(connection, schema, stream, run) for schema, stream in _DAILY],
        changed=_changed(streams),
        drawings=drawings(),
        drawing_width=WIDTH,
        names=_NAMES,
    )
    path.write_text(text, encoding="utf-8")


def _breakable(name: str) -> Markup:
    """A name that may go on in the next line after an underscore."""
    return Markup("_<wbr>").join(name.split("_"))  # join escapes the parts


def _vendors(streams: Sequence[StreamRun]) -> list[dict[str, Any]]:
    """The streams of each connector, and their sums."""
    vendors = []
    for connector in dict.fromkeys(of.connector for of in streams):
        own = [of for of in streams if of.connector == connector]
        schema = connector.removeprefix("source-")
        sums = {part: sum(getattr(of, part) for of in own) for part in ("read", "new", "changed", "held")}
        vendors.append({"schema": schema, "name": _NAMES[schema], "streams": own, **sums})
    return vendors


def _funnel(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, float]]:
    """The steps of all e-mails: name, number, percent of the first."""
    found = connection.execute(_FUNNEL)
    names = [column[0] for column in found.description]
    counts = found.fetchone()
    assert counts is not None
    return [(name, count, 100 * count / max(1, counts[0])) for name, count in zip(names, counts, strict=True)]


def _daily(connection: duckdb.DuckDBPyConnection, schema: str, stream: str, run: Run) -> dict[str, Any]:
    """The rows of a stream by day, for the days before the present."""
    day = _DAILY[schema, stream]
    counts = dict(connection.execute(f"SELECT {day}, count(*) FROM {schema}.{stream} GROUP BY 1").fetchall())
    first = run.present.date() - timedelta(days=_DAYS - 1)
    days = [first + timedelta(days=place) for place in range(_DAYS)]
    highest = max(max(counts.get(day, 0) for day in days), 1)
    shown_days = [Day(day, counts.get(day, 0), counts.get(day, 0) / highest) for day in days]
    rows = sum(day.rows for day in shown_days)
    return {"schema": schema, "stream": stream, "days": shown_days, "rows": rows, "highest": highest}


def _changed(streams: Sequence[StreamRun]) -> dict[str, Any]:
    """The streams with the most new and changed rows, and how many others have some."""
    some = sorted((of for of in streams if of.new or of.changed), key=lambda of: (-of.new - of.changed, of.stream))
    top = some[:_CHANGED_STREAMS]
    return {"top": top, "others": len(some) - len(top), "highest": max((of.new + of.changed for of in top), default=1)}
