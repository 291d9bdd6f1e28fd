"""Every shell command in the READMEs and in docs/ is run: here, or by the test that the page names above the block.

`<!-- run by integration_tests/test_try.py -->` in the line above a block names such a test, which must name the page in
turn. All other commands are run here, in a folder with links to the repository, with a `config.json` that reads the
simulator of the page's connector. What cannot be run is in NOT_RUN, with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from harness.shell_blocks import Block, blocks, commands, pages
from harness.suite import ROOT, connectors
from harness.vendors import Vendor, running
from test_kit.catalogs import configured_stream

pytestmark = [pytest.mark.jq, pytest.mark.slow, pytest.mark.timeout(300)]

_IMAGE = "an image; test_images.py and test_try.py run such commands with those of `make images`"
_SUITE = "starts this suite, or a part of it"
_AIRBYTE = "an instance of Airbyte, or a registry of yours"
_CLUSTER = "a cluster, or an environment of its own"
_POSTS = "posts to an address of yours; test_webhook_command.py runs such commands"
_KUBERNETES = "a cluster; test_kubernetes.py checks what it would get"
_SERVES = "no end; test_quick_start.py runs such a command"
_INSTALLS = "installs from the package index; `make NAME-env` installs the same for the tests"
_COMPOSE = "Compose; test_compose.py runs the services, test_docs_examples.py checks their names"


class NotRun(NamedTuple):
    """Commands of a page that begin alike, and what they need."""

    page: str
    begins: str
    needs: str


NOT_RUN = (
    NotRun("README.md", "make ", _SUITE),
    NotRun("README.md", "docker run", _IMAGE),
    NotRun("benchmarks/README.md", "make bench", _SUITE),
    NotRun("dbt/README.md", "make demo", "a minute; test_demo.py runs it"),
    NotRun("dbt/README.md", "pip install", _INSTALLS),
    NotRun("docs/airbyte-serverless.md", "pip install", _INSTALLS),
    NotRun("docs/field-report.md", "docker run", _IMAGE),
    NotRun("docs/running-in-airbyte.md", "make images", _IMAGE),
    NotRun("docs/running-in-airbyte.md", "DOCKER_BUILDKIT=1 docker build", _IMAGE),
    NotRun("docs/running-in-airbyte.md", "docker run", _IMAGE),
    NotRun("docs/running-in-airbyte.md", "docker buildx", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "docker save", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "gunzip", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "docker tag", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "docker push", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "kubectl", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "kind ", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "docker exec", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "AIRBYTE=", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "TOKEN=", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "api", _AIRBYTE),
    NotRun("docs/running-in-airbyte.md", "eval", _AIRBYTE),
    NotRun("docs/spark.md", "make ", _CLUSTER),
    NotRun("docs/spark.md", ".cache/spark-venv", _CLUSTER),
    NotRun("docs/spark.md", ".uv/bin/uv export", _CLUSTER),
    NotRun("docs/spark.md", "pip install", _CLUSTER),
    NotRun("docs/spark.md", "python3.11 -m venv", _CLUSTER),
    NotRun("docs/spark.md", "analytics/", _CLUSTER),
    NotRun("docs/spark.md", "export PYSPARK", _CLUSTER),
    NotRun("docs/spark.md", "spark-submit", _CLUSTER),
    NotRun("docs/webhooks.md", "make inlet-config", _COMPOSE),
    NotRun("docs/webhooks.md", "docker compose", _COMPOSE),
    NotRun("docs/webhooks.md", ". ./.env", _COMPOSE),
    NotRun("docs/webhooks.md", "curl", _COMPOSE),
    NotRun("docs/webhooks.md", "cd deploy/kubernetes", _KUBERNETES),
    NotRun("docs/webhooks.md", "cp inlet.example.yaml", _KUBERNETES),
    NotRun("docs/webhooks.md", "kubectl", _KUBERNETES),
    NotRun("simulators/README.md", "python -m simulators", _POSTS),
    NotRun("source-pendo/README.md", "docker ", _IMAGE),
    NotRun("source-pendo/README.md", "make unit", _SUITE),
    NotRun("source-pendo/README.md", ".venv/bin/python -m pytest", _SUITE),
    NotRun("source-customerio/README.md", "docker ", _IMAGE),
    NotRun("source-customerio/README.md", "make unit", _SUITE),
    NotRun("source-customerio/README.md", ".venv/bin/python -m pytest", _SUITE),
    NotRun("source-heap/README.md", "docker ", _IMAGE),
    NotRun("source-heap/README.md", "make unit", _SUITE),
    NotRun("source-heap/README.md", ".venv/bin/python -m pytest", _SUITE),
    NotRun("webhook-inlet/README.md", "webhook-inlet serve", _SERVES),
    NotRun("webhook-inlet/README.md", "make unit", _SUITE),
    NotRun("webhook-inlet/README.md", ".venv/bin/python -m pytest", _SUITE),
)


class Sandbox(NamedTuple):
    """A folder with links to the folders of the repository, and what a page's commands expect to find."""

    folder: Path

    def run(self, script: list[str]) -> None:
        """Runs the commands one after the other, in one shell; the first that fails is an error."""
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **SECRETS}
        text = "\n".join(["set -eo pipefail", "set -- 2026-01-01 2026-02-01", "set -v", *script])
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]


#: What make looks at, beside folders
_FILES = {"Makefile", "pyproject.toml", "uv.lock"}
#: What the inlet's configuration names
SECRETS = {"INLET_READ_TOKEN": "token-of-a-test", "CUSTOMERIO_SIGNING_KEY": "key-of-a-test"}
#: The stream of the catalog that a page does not make itself
_STREAMS = {"pendo": "pages", "customerio": "campaigns", "heap": "users"}
#: The vendor of a page whose name has none, where it is not Pendo
_OTHERS = {"docs/field-report.md": "customerio"}


@pytest.fixture(scope="module")
def vendors() -> Iterator[dict[str, Vendor]]:
    """The simulators of all vendors."""
    with ExitStack() as stack:
        yield {connector.vendor: stack.enter_context(running(connector)) for connector in connectors()}


@pytest.fixture
def sandbox(vendors: dict[str, Vendor], request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    """A sandbox for the page that the test is for. No file of a user, such as config.json in the root, is in it."""
    for entry in ROOT.iterdir():
        if entry.is_dir() or entry.name in _FILES:
            (tmp_path / entry.name).symlink_to(entry)
    page = str(request.getfixturevalue("page"))
    vendor = next((vendor for vendor in _STREAMS if vendor in page), _OTHERS.get(page, "pendo"))
    write = {
        "config.json": vendors[vendor].config,
        "catalog.json": {"streams": [configured_stream(_STREAMS[vendor], incremental=False)]},
        "state.json": [],
    }
    for name, content in write.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "last.ndjson").touch()
    _, _, inlet = (ROOT / "webhook-inlet" / "README.md").read_text(encoding="utf-8").partition("```yaml\n")
    (tmp_path / "inlet.yaml").write_text(inlet.partition("```")[0].replace("/data", str(tmp_path)), encoding="utf-8")
    return Sandbox(tmp_path)


def _left(block: Block) -> list[str]:
    """The commands of a block that are run here."""
    reasons = [one for one in NOT_RUN if one.page == block.page]
    return [command for command in block.commands if not any(command.startswith(one.begins) for one in reasons)]


def _run_here() -> dict[str, list[str]]:
    found = {str(page.relative_to(ROOT)): blocks(page) for page in pages()}
    here = {page: [line for block in of if block.test is None for line in _left(block)] for page, of in found.items()}
    return {page: lines for page, lines in here.items() if lines}


@pytest.mark.parametrize("page", _run_here())
def test_the_commands_of_a_page_work_as_they_stand(page: str, sandbox: Sandbox) -> None:
    sandbox.run(_run_here()[page])


def test_a_page_names_the_test_that_runs_its_commands_and_that_test_the_page() -> None:
    named = [block for page in pages() for block in blocks(page) if block.test is not None]
    assert named

    for block in named:
        file = ROOT / str(block.test)
        assert file.is_file(), f"{block.page} names {block.test}"
        assert Path(block.page).name in file.read_text(encoding="utf-8"), f"{block.test} does not name {block.page}"


def test_each_reason_is_about_a_command_that_stands_on_the_page() -> None:
    found = [(block.page, command) for page in pages() for block in blocks(page) for command in block.commands]

    unused = [
        one for one in NOT_RUN if not any(page == one.page and line.startswith(one.begins) for page, line in found)
    ]

    assert unused == []


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no-such-command"):
        Sandbox(tmp_path).run(["no-such-command | cat"])
    assert list(commands("a |\n  b\nc <<END\nd\nEND\n\ne \\\n  f 'g\nh'\n")) == [
        "a |\n  b",
        "c <<END\nd\nEND",
        "e \\\n  f 'g\nh'",
    ]
