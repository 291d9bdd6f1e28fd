"""Writes RESULTS.md from the files of `results/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = """# Results

`make bench` writes this page, the files of `results/` and the plots; nothing here is written by hand.
[README.md](README.md) tells how to read it.

![records per CPU second of the connectors, their floors and other programs](plots/throughput.svg)

![peak memory over sizes](plots/memory.svg)

![CPU seconds and requests over history](plots/history.svg)
"""
_ABOUT = {
    "memory": "peak memory should not grow with the size",
    "history": "the cost of the next sync should not grow with what was read before",
}


def document(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page."""
    return HEAD + "".join(f"\n{section_text(section)}" for section in sections.values())


def section_text(section: Mapping[str, Any]) -> str:
    """A section: goals, tables, curves, notes, and where and when it was measured."""
    parts = [f"## {section['title']}\n"]
    if section["quick"]:
        parts.append("**The quick form: too few rows for any figure to mean something.**\n")
    if section["goals"]:
        rows = [
            (goal["text"], number(goal["reached"]), limit(goal), verdict(goal, quick=section["quick"]))
            for goal in section["goals"]
        ]
        parts.append(table(("goal", "reached", "limit", ""), rows))
    for one in section["tables"]:
        parts.append(f"{one['title']}:\n")
        parts.append(
            table(("program", "records", "CPU s", "records/CPU s", "wall s", "peak MB"), map(line, one["lines"]))
        )
    for curve in section["curves"]:
        parts.append(f"{curve['title']}: {_ABOUT[curve['about']]}.\n")
        head = ("", curve["x"], "records", "CPU s", "wall s", "requests", "peak MB")
        parts.append(table(head, map(point, curve["points"])))
    parts += [f"* {note}" for note in section["notes"]]
    versions = ", ".join(f"{name} {version}" for name, version in section["versions"].items())
    runs = "one run" if section["repeat"] == 1 else f"the best of {section['repeat']} runs"
    parts.append(f"* {section['date']}, {runs}: {section['machine']}.\n* {versions}.\n")
    return "\n".join(parts)


def verdict(goal: Mapping[str, Any], *, quick: bool) -> str:
    """Whether a goal is met; nothing of the quick form, which cannot tell."""
    if quick:
        return ""
    return "ok" if goal["met"] else "**MISSED**"


def line(one: Mapping[str, Any]) -> Sequence[str]:
    """A program's line."""
    cost = one["cost"]
    rate = f"{cost['records'] / cost['cpu']:,.0f}" if cost["records"] and cost["cpu"] else "-"
    name = f"**{cost['name']}**" if one["kind"] == "connector" else cost["name"]
    return (name, records(cost), f"{cost['cpu']:.2f}", rate, f"{cost['wall']:.2f}", megabytes(cost))


def point(one: Mapping[str, Any]) -> Sequence[str]:
    """A point of a curve."""
    cost = one["cost"]
    requests = "-" if one["requests"] is None else f"{one['requests']:,}"
    figures = (records(cost), f"{cost['cpu']:.2f}", f"{cost['wall']:.2f}", requests, megabytes(cost))
    return (one["series"], one["label"], *figures)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; figures stand to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, rule, *rows])


def records(cost: Mapping[str, Any]) -> str:
    """The number of records; a dash where a command emits none."""
    return f"{cost['records']:,}" if cost["records"] else "-"


def megabytes(cost: Mapping[str, Any]) -> str:
    """The peak memory."""
    return f"{cost['peak_memory'] / 1e6:.0f}"


def limit(goal: Mapping[str, Any]) -> str:
    """A goal's limit in words."""
    return f"at {'most' if goal['at_most'] else 'least'} {number(goal['limit'])}"


def number(value: float) -> str:
    """A figure with as many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
