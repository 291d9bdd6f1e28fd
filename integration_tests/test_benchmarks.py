"""`make bench` in its quick form, without the package index; and what it wrote into the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness.suite import ROOT

BENCHMARKS = ROOT / "benchmarks"
PLOTS_PYTHON = ROOT / ".cache" / "plots-venv" / "bin" / "python"
#: Of each section: its tables, curves and goals
PARTS = {"start": (1, 0, 6), "pendo": (2, 2, 3), "customerio": (2, 2, 3), "heap": (1, 2, 3), "webhooks": (2, 0, 6)}
#: Bytes; a plot that is larger draws every point of something
PLOT_LIMIT = 60_000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("section", PARTS)
def test_the_quick_form_measures_every_program_of_a_section(section: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--no-peers", "--out", str(tmp_path), section]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            output, _ = process.communicate()
        finally:
            process.terminate()  # if it still runs, it ends its servers first

    assert process.returncode == 0, output[-3000:]
    found = json.loads((tmp_path / "results" / f"{section}.json").read_text())
    assert tuple(len(found[part]) for part in ("tables", "curves", "goals")) == PARTS[section]
    costs = [line["cost"] for table in found["tables"] for line in table["lines"]]
    costs += [point["cost"] for curve in found["curves"] for point in curve["points"]]
    assert all(cost["cpu"] > 0 for cost in costs)
    assert section == "start" or all(cost["records"] > 0 and cost["peak_memory"] > 0 for cost in costs)
    for table in found["tables"]:
        if section in ("pendo", "customerio"):
            mine, floor = (line["cost"]["records"] for line in table["lines"])
            assert mine <= floor <= 1.01 * mine, "the floor reads the same pages, and keeps rows that come twice"
    page = (tmp_path / "RESULTS.md").read_text()
    assert found["title"] in page
    assert all(goal["text"] in page for goal in found["goals"])


def test_the_results_are_those_of_the_files_beside_them() -> None:
    """RESULTS.md is written by `make bench` and by nobody else."""
    program = "import report, results, sys; from pathlib import Path; folder = Path(sys.argv[1]); "
    program += "sys.stdout.write(report.document(results.load(folder / 'results')))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(BENCHMARKS)], capture_output=True, text=True, check=True, cwd=BENCHMARKS
    )
    assert (BENCHMARKS / "RESULTS.md").read_text() == done.stdout
    for file in (BENCHMARKS / "results").glob("*.json"):
        assert not json.loads(file.read_text())["quick"], f"{file.name} is of the quick form"


@pytest.mark.plots
def test_the_same_results_give_the_same_small_plots(tmp_path: Path) -> None:
    drawn = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        command = [str(PLOTS_PYTHON), str(BENCHMARKS / "plots.py"), str(BENCHMARKS / "results"), str(folder)]
        subprocess.run(command, check=True, timeout=120)
        drawn.append({file.name: file.read_bytes() for file in sorted(folder.glob("*.svg"))})
    assert drawn[0] == drawn[1]
    assert drawn[0].keys() == {file.name for file in (BENCHMARKS / "plots").glob("*.svg")}
    assert all(b"<dc:date>" not in plot and len(plot) < PLOT_LIMIT for plot in drawn[0].values())
