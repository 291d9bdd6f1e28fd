"""`make try C=...`, as each connector's README.md has it: the lines that it prints are run as they stand."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.suite import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_LAST = "pyairbyte_sync.py"


@dataclass(frozen=True)
class Trial:
    """A simulated vendor that runs, and the lines that were printed for it."""

    vendor: str
    folder: Path
    lines: list[str]

    def run(self, *words: str) -> str:
        """Runs the lines with one of these words, in their order, in the root. Returns what they wrote to stdout."""
        chosen = [line for line in self.lines if any(word in line for word in words)]
        assert chosen
        return "".join(map(_run, chosen))

    def messages(self, text: str, kind: str) -> list[str]:
        """The lines with messages of a type."""
        return [line for line in text.splitlines() if json.loads(line).get("type") == kind]


def _run(line: str) -> str:
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module", params=["pendo", "customerio", "heap"])
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """`make try` of each vendor, with few data and on a free port."""
    folder = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o755)  # a container's user reads the files
    command = ["make", "--no-print-directory", "try", f"C={request.param}"]
    command += [f"ARGS=--size tiny --port 0 --folder {folder}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        printed: list[str] = []
        for line in process.stdout:
            printed.append(line)
            if _LAST in line:
                break
        try:
            yield Trial(request.param, folder, [line.strip() for line in printed if line.startswith("    ")])
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C
            process.wait(20)


@pytest.mark.jq
def test_the_lines_check_discover_and_read_and_read_again(trial: Trial) -> None:
    printed = trial.run(f".venv/bin/source-{trial.vendor} ", "jq -c 'select(.type")

    (status,) = trial.messages(printed, "CONNECTION_STATUS")
    assert json.loads(status)["connectionStatus"]["status"] == "SUCCEEDED"
    (catalog,) = trial.messages(printed, "CATALOG")
    offered = {stream["name"] for stream in json.loads(catalog)["catalog"]["streams"]}
    first = [json.loads(line) for line in (trial.folder / "messages.jsonl").read_text(encoding="utf-8").splitlines()]
    read = {line["record"]["stream"] for line in first if line["type"] == "RECORD"}
    assert len(read) > len(offered) / 2
    again = trial.messages(printed, "RECORD")  # of the second read, and of the one with a single stream
    assert 0 < len(again) < sum(line["type"] == "RECORD" for line in first)
    (chosen,) = json.loads((trial.folder / "one.json").read_text(encoding="utf-8"))["streams"]
    assert chosen["stream"]["name"] in offered


@pytest.mark.docker
def test_the_lines_for_docker_reach_the_vendor(trial: Trial) -> None:
    (trial.folder / "state.json").write_text("[]", encoding="utf-8")

    printed = trial.run("docker run")

    assert '"SUCCEEDED"' in printed
    assert len(trial.messages(printed, "RECORD")) > 100


@pytest.mark.pyairbyte
def test_the_lines_for_pyairbyte_fill_a_duckdb_file(trial: Trial) -> None:
    assert " records" in trial.run("pyairbyte")
    assert (trial.folder / f"{trial.vendor}.duckdb").is_file()


@pytest.mark.serverless
def test_the_lines_for_airbyte_serverless_print_the_rows(trial: Trial) -> None:
    assert trial.run("serverless").rstrip().endswith("SUCCESS: OK")


@pytest.mark.parametrize("chosen", ["", "C=mixpanel"])
def test_without_one_of_the_connectors_it_says_what_to_give(chosen: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "try_connector.py"), *chosen.removeprefix("C=").split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    sentence = "make try needs C, one of pendo, customerio, heap. For example: make try C=pendo\n"
    assert done.stderr == sentence


def test_a_port_that_is_taken_is_named_in_a_sentence(trial: Trial) -> None:
    config = json.loads((trial.folder / "config.json").read_text(encoding="utf-8"))
    taken = (config.get("api_url") or config["endpoint_url"]).rpartition(":")[2]
    command = [sys.executable, str(ROOT / "tools" / "try_connector.py"), trial.vendor, "--size", "tiny"]
    done = subprocess.run([*command, "--port", taken], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode != 0
    assert done.stderr == (
        "Address already in use: give another address or port (--host, --port; 0 takes a free port)\n"
    )


def test_a_usual_port_that_is_taken_is_answered_with_the_line_for_a_free_one() -> None:
    command = [sys.executable, str(ROOT / "tools" / "try_connector.py"), "pendo", "--size", "tiny"]
    with socket.socket() as holder:
        with suppress(OSError):  # somebody else holds it, which is as good
            holder.bind(("127.0.0.1", 8101))
            holder.listen()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode != 0
    assert done.stderr.endswith('\nOn a free port: make try C=pendo ARGS="--port 0"\n')
