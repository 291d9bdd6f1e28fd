"""Draws the plots of `results/*.json`. Runs in an environment of its own, which has matplotlib and nothing of ours.

    python benchmarks/plots.py RESULTS_FOLDER PLOTS_FOLDER

The same results give the same bytes. Background is transparent and text gray, so that they can be read on light pages
and on dark ones; text stays text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch

GRAY = "#808080"
COLORS = {"connector": "#2a7fdb", "floor": "#a0a0a0", "reference": "#a0a0a0", "peer": "#d9822b"}
MEANINGS = {"connector": "this repository", "floor": "script with the usual libraries", "peer": "other programs"}
SERIES = ("#2a7fdb", "#d9822b", "#3f9c5a")
VENDORS = {"pendo": "Pendo", "customerio": "Customer.io", "heap": "Heap"}
LIMIT_MB = 150
STYLE = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": GRAY,
    "axes.labelcolor": GRAY,
    "axes.edgecolor": GRAY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "legend.frameon": False,
    "savefig.transparent": True,
}
Sections = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Draws what the results allow."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    files = {name: source / f"{name}.json" for name in VENDORS}
    sections = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    target.mkdir(parents=True, exist_ok=True)
    if sections:
        for name, draw in PLOTS.items():
            with mpl.rc_context(STYLE):
                draw(sections)
                plt.savefig(target / f"{name}.svg", metadata={"Date": None, "Creator": None})
                plt.close()


def throughput(sections: Sections) -> None:
    """Records per CPU second of each connector, its floor and other programs: a row of bars for each."""
    tables = {name: section["tables"][0]["lines"] for name, section in sections.items()}
    figure, all_axes = plt.subplots(
        len(tables), 1, figsize=(8, 5), height_ratios=[len(lines) + 1 for lines in tables.values()], squeeze=False
    )
    for axes, (name, lines) in zip(all_axes[:, 0], tables.items(), strict=True):
        rates = [line["cost"]["records"] / line["cost"]["cpu"] for line in lines]
        names = [line["cost"]["name"].replace(" page_events", "").replace(" messages", "") for line in lines]
        bars = axes.barh(names, rates, color=[COLORS[line["kind"]] for line in lines], height=0.7)
        axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=4, color=GRAY)
        axes.invert_yaxis()
        axes.set_title(f"{VENDORS[name]}: records per CPU second, start included", loc="left", fontsize=9)
        axes.margins(x=0.12)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    handles = [Patch(color=COLORS[kind], label=meaning) for kind, meaning in MEANINGS.items()]
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 0.95))


def memory(sections: Sections) -> None:
    """Peak memory over the size of pages, rows and files."""
    curves = curves_about("memory", sections)
    figure, all_axes = plt.subplots(1, len(curves), figsize=(9, 3.2), squeeze=False, sharey=True)
    for axes, (name, curve) in zip(all_axes[0], curves.items(), strict=True):
        for color, points in zip(SERIES, by_series(curve).values(), strict=False):
            values = [point["cost"]["peak_memory"] / 1e6 for point in points]
            axes.plot([point["label"] for point in points], values, marker="o", color=color)
        axes.axhline(LIMIT_MB, color=GRAY, linestyle="--", linewidth=0.8)
        axes.set_title(VENDORS[name], fontsize=9)
        axes.set_xlabel(curve["x"])
        axes.set_ylim(0, LIMIT_MB * 1.2)
        axes.tick_params(axis="x", labelrotation=20)
    all_axes[0][0].set_ylabel(f"peak MB (goal: {LIMIT_MB})")
    figure.tight_layout()


def history(sections: Sections) -> None:
    """CPU seconds and requests of a first sync and of the next one, after a short and after a long history."""
    curves = curves_about("history", sections)
    figure, all_axes = plt.subplots(2, len(curves), figsize=(9, 4.5), squeeze=False)
    measures: Sequence[tuple[str, Callable[[Any], float]]] = (
        ("CPU s", lambda point: float(point["cost"]["cpu"])),
        ("requests", lambda point: float(point["requests"])),
    )
    for row, (title, value) in zip(all_axes, measures, strict=True):
        row[0].set_ylabel(title)
        for axes, (name, curve) in zip(row, curves.items(), strict=True):
            pair(axes, by_series(curve), value)
            axes.set_title(VENDORS[name], fontsize=9)
    handles, names = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=len(names), fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 0.95))


def pair(axes: Axes, series: Mapping[str, Sequence[Any]], value: Callable[[Any], float]) -> None:
    """Two bars side by side for each size."""
    width = 0.38
    for place, (color, (name, points)) in enumerate(zip(SERIES, series.items(), strict=False)):
        at = [index + (place - 0.5) * width for index in range(len(points))]
        bars = axes.bar(at, [value(point) for point in points], width, label=name, color=color)
        axes.bar_label(bars, [label_of(value(point)) for point in points], fontsize=7, color=GRAY)
    labels = [point["label"] for point in next(iter(series.values()))]
    axes.set_xticks(range(len(labels)), labels)
    axes.margins(y=0.15)


def label_of(value: float) -> str:
    """A figure above a bar."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def curves_about(what: str, sections: Sections) -> dict[str, Any]:
    """The curve of each vendor about memory or history."""
    return {
        name: next(curve for curve in section["curves"] if curve["about"] == what) for name, section in sections.items()
    }


def by_series(curve: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The points of a curve by their series."""
    found: dict[str, list[Any]] = {}
    for point in curve["points"]:
        found.setdefault(point["series"], []).append(point)
    return found


PLOTS: Mapping[str, Callable[[Sections], None]] = {"throughput": throughput, "memory": memory, "history": history}

if __name__ == "__main__":
    main()
