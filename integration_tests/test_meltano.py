"""Meltano runs the connectors into target-jsonl and target-postgres, with the file and the line of docs/meltano.md.

In place of tap-airbyte runs a tap with its conventions, see `clients/meltano/tap_airbyte.py`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from harness import postgres
from harness.suite import ROOT, connectors
from harness.vendors import Vendor, running
from test_kit.catalogs import Row, primary_key
from test_kit.messages import Output

pytestmark = [pytest.mark.meltano, pytest.mark.target_jsonl, pytest.mark.postgres, pytest.mark.slow]

_CLIENTS = ROOT / "integration_tests" / "clients"
_PROGRAMS = _CLIENTS / "meltano" / ".venv" / "bin"
_TAP = _CLIENTS / "meltano" / "tap_airbyte.py"
_PAGE = (ROOT / "docs" / "meltano.md").read_text(encoding="utf-8")
_SCHEMA = "product_analytics"


@pytest.fixture(scope="module")
def vendors() -> Iterator[Mapping[str, Vendor]]:
    """The three simulators, by the name of their connector."""
    with ExitStack() as stack:
        yield {one.name: stack.enter_context(running(one)) for one in connectors()}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server."""
    with postgres.running() as found:
        yield found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, vendors: Mapping[str, Vendor]) -> Path:
    """Meltano's project of the page, on the simulators. What a connector prints is also in `NAME.messages`."""
    folder = tmp_path_factory.mktemp("meltano")
    for one in connectors():
        script = folder / "connectors" / one.name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\n"{one.script}" "$@" | tee -a "{folder}/{one.name}.messages"\n', encoding="utf-8")
        script.chmod(0o755)
    (text,) = re.findall(r"```yaml\n(project_id.*?)```", _PAGE, re.DOTALL)
    file = yaml.safe_load(text)
    for plugin in (*file["plugins"]["extractors"], *file["plugins"]["loaders"]):
        del plugin["pip_url"]
        plugin["executable"] = str(_executable(plugin["name"]))
    for plugin in file["plugins"]["extractors"]:
        vendor = vendors[plugin["config"]["airbyte_spec"]["image"]]
        own = {
            name: value
            for name, value in vendor.config.items()
            if name not in ("credentials", "api_key", "app_api_key")
        }
        plugin["config"]["airbyte_config"] |= own
    (folder / "meltano.yml").write_text(yaml.safe_dump(file), encoding="utf-8")
    (folder / "output").mkdir()
    return folder


def _executable(plugin: str) -> Path:
    if plugin.startswith("tap-"):
        return _TAP
    return (_CLIENTS / "target-jsonl" / ".venv" / "bin" if plugin == "target-jsonl" else _PROGRAMS) / plugin


@pytest.fixture(scope="module")
def variables(project: Path, vendors: Mapping[str, Vendor], server: postgres.Postgres) -> dict[str, str]:
    """The variables that the file of the page needs."""
    pendo, customerio, heap = (vendors[f"source-{name}"].config for name in ("pendo", "customerio", "heap"))
    return {
        **os.environ,
        "PATH": f"{_PROGRAMS}:{os.environ['PATH']}",
        "CONNECTORS": str(project / "connectors"),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
        "PENDO_API_KEY": pendo["api_key"],
        "CUSTOMERIO_APP_API_KEY": customerio["app_api_key"],
        "HEAP_ACCESS_KEY_ID": heap["credentials"]["aws_access_key_id"],
        "HEAP_SECRET_ACCESS_KEY": heap["credentials"]["aws_secret_access_key"],
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.username,
        "PGPASSWORD": server.password,
        "PGDATABASE": server.database,
    }


@pytest.fixture(scope="module")
def read(project: Path, variables: dict[str, str]) -> Mapping[str, Output]:
    """What the connectors printed while the page's line ran, by their name."""
    (line,) = re.findall(r"```sh\n(meltano run .*)\n```", _PAGE)
    command = [*shlex.split(line)]
    command[2:2] = ["--no-install"]
    log = project / "meltano.log"
    with log.open("w") as out:
        done = subprocess.run(command, cwd=project, env=variables, stdout=out, stderr=out, check=False, timeout=300)
    assert done.returncode == 0, re.findall(r"^.*Error.*$", log.read_text(encoding="utf-8"), re.MULTILINE)
    return {one.name: Output(0, (project / f"{one.name}.messages").read_bytes(), "") for one in connectors()}


def _keys(output: Output, name: str) -> set[str]:
    """The keys of a stream's records."""
    (stream,) = [one for one in output.of_type("CATALOG")[0]["catalog"]["streams"] if one["name"] == name]
    key = primary_key(stream)
    return {json.dumps([row[column] for column in key]) for row in output.records[name]}


def _table(server: postgres.Postgres, name: str) -> list[Row]:
    with psycopg.connect(server.dsn, row_factory=psycopg.rows.dict_row) as connection:
        query = psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier(_SCHEMA, name))
        return connection.execute(query).fetchall()


def test_every_row_is_in_the_files_of_target_jsonl(project: Path, read: Mapping[str, Output]) -> None:
    records: Mapping[str, list[Row]] = read["source-pendo"].records

    assert set(records) == {"pages", "page_events", "metadata_visitors"}
    for name, rows in records.items():
        lines = (project / "output" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(rows), name


@pytest.mark.parametrize("name", ["source-customerio", "source-heap"])
def test_every_key_is_a_row_of_target_postgres(
    read: Mapping[str, Output], server: postgres.Postgres, name: str
) -> None:
    output = read[name]
    expected = {stream: len(_keys(output, stream)) for stream in output.records}

    assert len(expected) > 3
    assert {stream: len(_table(server, stream)) for stream in expected} == expected
    if name == "source-customerio":
        actions = _table(server, "campaign_actions")
        assert [json.loads(row["_key"]) for row in actions] == [[row["campaign_id"], row["id"]] for row in actions]


def test_without_the_option_only_one_row_of_each_first_key_column_is_left(
    project: Path, read: Mapping[str, Output], variables: dict[str, str], server: postgres.Postgres
) -> None:
    records = read["source-customerio"].records["campaign_actions"]
    campaigns = {row["campaign_id"] for row in records}
    assert len(campaigns) < len(records)

    file: Any = yaml.safe_load((project / "meltano.yml").read_text(encoding="utf-8"))
    (tap,) = [one for one in file["plugins"]["extractors"] if one["name"] == "tap-customerio"]
    config = tap["config"]
    config["airbyte_config"] |= {"app_api_key": variables["CUSTOMERIO_APP_API_KEY"], "single_column_keys": False}
    catalog = {
        "streams": [
            {"tap_stream_id": "campaign_actions", "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}]}
        ]
    }
    target = {"sqlalchemy_url": f"postgresql+psycopg://{server.username}@{server.host}:{server.port}/{server.database}"}
    target["default_target_schema"] = "collapsed"
    for name, content in (("tap", config), ("catalog", catalog), ("target", target)):
        (project / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    tap_line = [str(_TAP), "--config", "tap.json", "--catalog", "catalog.json"]
    singer = subprocess.run(tap_line, cwd=project, env=variables, check=True, capture_output=True, timeout=120).stdout
    target_line = [str(_executable("target-postgres")), "--config", "target.json"]
    subprocess.run(target_line, cwd=project, input=singer, check=True, capture_output=True, timeout=120)

    with psycopg.connect(server.dsn) as connection:
        rows = connection.execute("SELECT campaign_id FROM collapsed.campaign_actions").fetchall()
    assert sorted(rows) == sorted((campaign,) for campaign in campaigns)
