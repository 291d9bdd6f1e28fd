"""The quick start of docs/webhooks.md without Docker, run as it stands; then what the page says about such an inlet."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from webhooks.inlet_process import answer, free_port
from webhooks.page_examples import BIN, PAGE, ROOT, blocks

pytestmark = [pytest.mark.jq, pytest.mark.slow]

_METRIC = re.compile(r"\binlet_[a-z_]+")


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the quick start without Docker was run as it stands, on a free port; the inlet still runs."""
    folder = tmp_path_factory.mktemp("quick-start")
    port = free_port()
    serve, read = blocks("sh")
    script = "\n".join(("set -eu", serve, read, f"env >environment; echo {port} >port; echo done; wait"))
    script = script.replace("make setup\n", "").replace("8080", str(port)).replace(".venv/bin/", f"{BIN}/")
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        ended = threading.Event()
        while process.poll() is None and not (folder / "output").read_text().endswith("done\n"):
            ended.wait(0.2)
        assert process.returncode is None, (folder / "output").read_text()
        yield folder
    finally:
        with suppress(ProcessLookupError):  # the inlet outlives a script that failed
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def test_the_quick_start_brings_the_posted_events_into_duckdb(quick_start: Path) -> None:
    with duckdb.connect(str(quick_start / "webhooks.duckdb")) as tables:
        tables.execute((ROOT / "docs" / "sql" / "customerio-events.sql").read_text(encoding="utf-8"))
        counts = tables.execute(
            "select count(*), count(distinct record_id), count(metric) from webhook_events"
        ).fetchone()
        emails = tables.execute("select count(*) from email_event").fetchone()

    assert counts == (200, 200, 200)
    assert emails
    assert emails[0] > 0


def test_the_status_of_the_quick_start_has_the_fields_of_the_page(quick_start: Path) -> None:
    command = next(text for text in blocks("") if "/status" in text and "application/json" in text)
    status = json.loads(_shell(command, quick_start))

    assert status["ready"] is True
    (inlet,) = status["inlets"]
    page = PAGE.read_text(encoding="utf-8")
    for field in inlet.keys() - {"name", "source", "lanes_problem"}:
        assert f"`{field}`" in page, field
    assert inlet["posts"]["total"]["stored"] == 200
    assert {"5m", "1h", "24h", "total"} == inlet["posts"].keys()
    assert [reader["reader"] for reader in inlet["readers"]] == ["airbyte-source-customerio"]
    assert inlet["readers"][0].keys() <= {*re.findall(r"`(\w+)`", page), "reader"}


def test_every_metric_is_on_the_page_and_every_alert_uses_one_that_exists(quick_start: Path) -> None:
    port = int((quick_start / "port").read_text())
    text = answer(port, "GET", "/metrics")[1].decode()
    exposed = set(re.findall(r"^# TYPE (inlet_\w+)", text, re.MULTILINE))
    table = set(_METRIC.findall("".join(re.findall(r"^\| `inlet_.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))))

    assert exposed == table
    (alerts,) = [yaml.safe_load(text) for text in blocks("yaml") if "groups" in yaml.safe_load(text)]
    rules: list[dict[str, Any]] = alerts["groups"][0]["rules"]
    assert len(rules) >= 5
    for rule in rules:
        assert set(_METRIC.findall(rule["expr"])) <= exposed, rule["alert"]
        assert rule["annotations"]["summary"]
    outcomes = set(re.findall(r'outcome="(\w+)"', text))
    used = set(re.findall(r"\w+", " ".join(re.findall(r'outcome=~?"([\w|]+)"', json.dumps(rules).replace("\\", "")))))
    assert used <= outcomes


def test_the_log_of_the_quick_start_can_be_read_with_other_tools(quick_start: Path) -> None:
    _wait_for_sealed(quick_start)
    by_jq = next(text for text in blocks("") if text.startswith("zstd"))
    printed = _shell(by_jq.replace("data/prod/", "inlet-data/customerio/"), quick_start).splitlines()
    query = next(text for text in blocks("sql") if "read_json" in text)
    rows = duckdb.execute(query.replace("data/prod/", f"{quick_start}/inlet-data/customerio/")).fetchall()

    assert len(printed) == len(rows) == 200
    assert {line.split("\t")[1] for line in printed} == {row[3] for row in rows}
    assert {row[2] for row in rows} >= {"email"}


def _shell(command: str, folder: Path) -> str:
    port = (folder / "port").read_text().strip()
    variables = dict(line.partition("=")[::2] for line in (folder / "environment").read_text().splitlines())
    done = subprocess.run(
        ["bash", "-c", command.replace("8080", port)],
        cwd=folder,
        env={**os.environ, "INLET_READ_TOKEN": variables["INLET_READ_TOKEN"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _wait_for_sealed(folder: Path) -> None:
    """The open segment is sealed when it is some seconds old."""
    ended = threading.Event()
    for _ in range(100):
        if not list(folder.glob("inlet-data/customerio/lanes/*/*.ndjson")):
            return
        ended.wait(0.2)
    pytest.fail("the segment was not sealed")
