"""The numbers that the product analyst's queries of docs/pendo.md must give, from the simulator's truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from simulators.pendo import PendoSimulator
from test_kit.catalogs import Row

ZONE = ZoneInfo("America/New_York")
"""The zone of the simulated subscription, which the queries name."""
Numbers = dict[tuple[object, ...], tuple[float | None, ...]]
"""The figures of each row of an answer, by what the row is about."""


def weekly_active_visitors(pendo: PendoSimulator, since: date) -> Numbers:
    """Visitors by week, which begins on a Sunday, and page."""
    names = {page["id"]: page["name"] for page in pendo.truth("pages")}
    visitors = defaultdict(set)
    for row in pendo.truth("page_events", since=str(since)):
        day = _local_day(row["day"])
        week = day - timedelta(days=day.isoweekday() % 7)
        visitors[week, names[row["pageId"]]].add(row["visitorId"])
    return {group: (len(found),) for group, found in visitors.items()}


def guide_conversion(pendo: PendoSimulator, since: date) -> Numbers:
    """Visitors who saw, advanced and dismissed each step, and the first number as percent of the first step's."""
    events = pendo.truth("guide_events", since=str(since))
    answer: Numbers = {}
    for guide in pendo.truth("guides"):
        first = None
        for place, step in enumerate(guide["steps"], 1):
            of_step = [event for event in events if event["guideStepId"] == step["id"]]
            saw, advanced, dismissed = (
                len({event["visitorId"] for event in of_step if event["type"] == kind})
                for kind in ("guideSeen", "guideAdvanced", "guideDismissed")
            )
            first = saw if first is None else first
            answer[guide["name"], place] = (saw, advanced, dismissed, 100 * saw / first if first else None)
    return answer


def nps_of_events(pendo: PendoSimulator, since: date) -> Numbers:
    """Answers and NPS by month and guide, with the last score of each visitor in the month."""
    last: dict[tuple[date, str, str], float] = {}
    for row in _scores(pendo, since):
        last[_month(row["receivedTime"]), row["guideId"], row["visitorId"]] = row["pollResponse"]
    return _nps(pendo, ((month, guide, score) for (month, guide, _), score in last.items()))


def nps_of_responses(pendo: PendoSimulator, since: date) -> Numbers:
    """Answers and NPS by month and guide, with the last score of each visitor, however old.

    Which of several answers at the same time is the last, only Pendo knows.
    """
    del since  # these answers have no first day
    answers = [row for row in pendo.truth("poll_responses") if row["npsScore"] is not None]
    return _nps(pendo, ((_month(row["time"]), row["guideId"], row["npsScore"]) for row in answers))


def _scores(pendo: PendoSimulator, since: date) -> list[Row]:
    """The scores of NPS polls, oldest first; of equal times the lowest score is last."""
    polls = {
        poll["id"]
        for guide in pendo.truth("guides")
        for poll in guide["polls"]
        if poll["attributes"]["type"] == "NPSRating"
    }
    scores = [row for row in pendo.truth("poll_events", since=str(since)) if row["pollId"] in polls]
    return sorted(scores, key=lambda row: (row["receivedTime"], -row["pollResponse"]))


def _nps(pendo: PendoSimulator, scores: Iterable[tuple[date, str, float]]) -> Numbers:
    names = {guide["id"]: guide["name"] for guide in pendo.truth("guides")}
    found = defaultdict(list)
    for month, guide, score in scores:
        found[month, names[guide]].append((score >= 9) - (score <= 6))
    return {group: (len(signs), 100 * sum(signs) / len(signs)) for group, signs in found.items()}


def _local_day(millis: int) -> date:
    return datetime.fromtimestamp(millis / 1000, UTC).astimezone(ZONE).date()


def _month(millis: int) -> date:
    return _local_day(millis).replace(day=1)
