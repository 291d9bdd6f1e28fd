"""Three questions to the rows of all vendors: as views in the file, as text, and as what the page draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

SCHEMA = "answers"
_LINES = 8
_WEEKS, _DAYS = 4, 14
#: The name of a view and its query, sorted, since a reader's first look is `FROM answers.NAME`
VIEWS = {
    "weekly_active_visitors_by_page": """
        SELECT CAST(e.week AT TIME ZONE 'America/New_York' AS DATE) AS week_of, p.name AS page,
               count(DISTINCT e.visitor_id) AS visitors
        FROM pendo.page_events AS e LEFT JOIN pendo.pages AS p ON p.id = e.page_id
        GROUP BY e.week, e.page_id, p.name
        ORDER BY week_of, visitors DESC, page
    """,
    "email_opens_by_campaign": """
        SELECT c.id AS campaign_id, c.name AS campaign,
               count(*) FILTER (m.metrics ->> 'delivered' IS NOT NULL) AS delivered,
               count(*) FILTER (CAST(m.metrics ->> 'human_opened' AS BIGINT) > 0) AS opened,
               count(*) FILTER (CAST(m.metrics ->> 'human_clicked' AS BIGINT) > 0) AS clicked
        FROM customerio.messages AS m JOIN customerio.campaigns AS c ON c.id = m.campaign_id
        WHERE m.type = 'email'
        GROUP BY c.id, c.name
        ORDER BY delivered DESC, campaign
    """,
    # a session that was counted for two users, before and after they were found to be one, is one
    "sessions_by_day": """
        SELECT CAST(s.time AS DATE) AS day, count(DISTINCT s.session_id) AS sessions
        FROM heap.sessions AS s
        WHERE s._heap_generation = (SELECT max(generation) FROM heap._heap_dumps WHERE table_name = 'sessions')
        GROUP BY 1
        ORDER BY 1
    """,
}


@dataclass(frozen=True)
class Answer:
    """One answer as a table of texts and numbers."""

    view: str
    question: str
    note: str
    columns: list[str]
    rows: list[list[str | int]]


def make_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the views, so that a reader of the file can go on from them."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for name, query in VIEWS.items():
        connection.execute(f"CREATE OR REPLACE VIEW {SCHEMA}.{name} AS {query}")


def answers(connection: duckdb.DuckDBPyConnection) -> list[Answer]:
    """What the views say, cut to a size that can be looked at."""
    parts: list[Callable[[duckdb.DuckDBPyConnection], Answer]] = [_visitors, _opens, _sessions]
    return [part(connection) for part in parts]


def _visitors(connection: duckdb.DuckDBPyConnection) -> Answer:
    found = connection.execute(f"FROM {SCHEMA}.weekly_active_visitors_by_page WHERE page IS NOT NULL").fetchall()
    weeks = sorted({week for week, _, _ in found})[-_WEEKS:]
    pages: dict[str, dict[date, int]] = {}
    for week, page, visitors in found:
        pages.setdefault(page, {})[week] = visitors
    busiest = sorted(pages, key=lambda page: (-sum(pages[page].get(week, 0) for week in weeks), page))[:_LINES]
    return Answer(
        "weekly_active_visitors_by_page",
        "Weekly active visitors by page",
        f"The {len(busiest)} busiest of {len(pages)} pages; weeks begin on Sunday, and the last one is not over",
        ["page", *(_short(week) for week in weeks)],
        [[page, *(pages[page].get(week, 0) for week in weeks)] for page in busiest],
    )


def _opens(connection: duckdb.DuckDBPyConnection) -> Answer:
    found = connection.execute(
        f"SELECT campaign, delivered, opened, clicked FROM {SCHEMA}.email_opens_by_campaign "
        "WHERE delivered > 0 ORDER BY delivered DESC, campaign"
    ).fetchall()
    return Answer(
        "email_opens_by_campaign",
        "E-mail opens by campaign",
        f"The {min(_LINES, len(found))} largest of {len(found)} campaigns; opens and clicks by people, not by machines",
        ["campaign", "delivered", "opened", "clicked", "% opened"],
        [
            [campaign, delivered, opened, clicked, f"{100 * opened / delivered:.1f}"]
            for campaign, delivered, opened, clicked in found[:_LINES]
        ],
    )


def _sessions(connection: duckdb.DuckDBPyConnection) -> Answer:
    found = connection.execute(f"FROM {SCHEMA}.sessions_by_day ORDER BY day").fetchall()
    return Answer(
        "sessions_by_day",
        "Sessions by day",
        f"The last {min(_DAYS, len(found))} of {len(found)} days with sessions, in UTC",
        ["day", "sessions"],
        [[f"{day:%a} {_short(day)}", sessions] for day, sessions in found[-_DAYS:]],
    )


def print_answer(console: Console, answer: Answer) -> None:
    """One answer as text."""
    console.print(f"\n[bold]{answer.question}[/]  [dim]{answer.note}[/]", highlight=False)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for place, column in enumerate(answer.columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(shown(cell) for cell in row))
    console.print(table, highlight=False, soft_wrap=False)


def shown(cell: Any) -> str:
    """A number with its thousands, a text as it is."""
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"
