"""docs/webhooks.md: every example is run, and every option and command is on the page with its default."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import orjson
import pytest
import yaml
from backports import zstd
from harness.sentences import VALUE, flat, pattern, sentences
from pydantic import BaseModel
from s3_servers import MotoServer
from source_customerio.config import Config as CustomerioConfig
from source_pendo.config import Config as PendoConfig
from webhook_inlet import lines
from webhook_inlet.config import BucketConfig, Config, InletConfig
from webhooks.inlet_process import answer
from webhooks.page_examples import BIN, PAGE, ROOT, blocks
from webhooks.sample_rows import customerio_rows

SECRETS = {"INLET_READ_TOKEN": "token-of-a-test", "CUSTOMERIO_SIGNING_KEY": "key-of-a-test"}
#: Modules whose sentences need no explanation: they begin with the option, answer a request, describe a metric, or are
#: about positions that only a broken reader asks for
_NOT_EXPLAINED = (
    "receiving/answers.py",
    "stores/bucket.py",
    "stores/bucket_writer.py",
    "config",
    "pages/log_pages.py",
    "pages/metrics.py",
    "pages/routes.py",
    "pages/status",
    "stores/volume_lane.py",
)
CONFIGS: dict[str, Any] = {"source_customerio": CustomerioConfig, "source_pendo": PendoConfig}


def _configurations() -> list[str]:
    examples = [*blocks("yaml"), *blocks("yaml", ROOT / "webhook-inlet" / "README.md")]
    return [text for text in examples if "inlets" in yaml.safe_load(text)]


def _check(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`webhook-inlet check` on a configuration, whose /run/secrets is in `folder`."""
    for name in ("pendo", "customerio", "read-token"):
        (folder / name).write_text("made-up-secret\n", encoding="utf-8")
    file = folder / "inlet.yaml"
    file.write_text(text.replace("/run/secrets", str(folder)).replace("/data", str(folder / "data")), encoding="utf-8")
    command: list[str | Path] = [BIN / "webhook-inlet", "check", "--config", file]
    return subprocess.run(command, env={**os.environ, **SECRETS}, capture_output=True, text=True, check=False)


def test_every_sentence_of_the_inlet_about_its_store_and_posts_is_explained() -> None:
    page = flat(PAGE.read_text(encoding="utf-8"))
    found = {re.sub(r"%([sd]|\.0f)", VALUE, text) for text in sentences("webhook-inlet/webhook_inlet", _NOT_EXPLAINED)}
    found.discard("Receives webhooks and keeps them until the connectors have read them.")  # of --help
    assert len(found) > 25

    assert [sentence for sentence in sorted(found) if not re.search(pattern(sentence), page)] == []


def test_the_commands_for_compose_and_kubernetes_name_what_exists() -> None:
    commands = [line for text in [*blocks(""), *blocks("sh")] for line in text.splitlines()]
    makes = [shlex.split(line) for line in commands if line.startswith("make ")]
    assert ["make", "inlet-config"] in makes
    for make in makes:
        done = subprocess.run([*make, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    profiles = {profile for service in compose["services"].values() for profile in service.get("profiles", ())}
    composed = [shlex.split(line) for line in commands if line.startswith("docker compose")]
    assert {line[line.index("--profile") + 1] for line in composed if "--profile" in line} == profiles
    assert {line[-1] for line in composed} - {"--detach"} <= compose["services"].keys()
    inlets = yaml.safe_load((ROOT / "deploy" / "inlet.yaml").read_text(encoding="utf-8"))["inlets"]
    asked = {found for line in commands for found in re.findall(r"localhost:8080/log/v1/([a-z-]+)", line)}
    assert asked
    assert asked <= {inlet["name"] for inlet in inlets}
    for folder in (line.removeprefix("cd ") for line in commands if line.startswith("cd ")):
        assert (ROOT / folder / "inlet.example.yaml").is_file()


def test_the_page_has_a_configuration_for_each_store() -> None:
    stores = [yaml.safe_load(text)["store"]["type"] for text in _configurations()]

    assert sorted(stores) == ["bucket", "volume", "volume"]


@pytest.fixture(scope="module")
def store_of_the_page(webhook_moto: MotoServer) -> Iterator[str]:
    """The address of an S3 server that has the bucket of the example."""
    webhook_moto.client().create_bucket(
        Bucket="my-webhooks", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", webhook_moto.admin.access_key)
        environment.setenv("AWS_SECRET_ACCESS_KEY", webhook_moto.admin.secret_key)
        yield webhook_moto.endpoint


@pytest.mark.parametrize("number", range(3))
def test_each_configuration_passes_the_check(number: int, tmp_path: Path, store_of_the_page: str) -> None:
    example = _configurations()[number].replace("  region:", f"  endpoint_url: {store_of_the_page}\n  region:")
    done = _check(example, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_option_in_an_example_would_be_found(tmp_path: Path) -> None:
    done = _check(_configurations()[0].replace("retention_days", "retention_dais"), tmp_path)

    assert done.returncode != 0
    assert "retention_dais" in done.stdout + done.stderr


@pytest.mark.parametrize("section", [Config, InletConfig, BucketConfig], ids=lambda section: section.__name__)
def test_every_option_of_the_configuration_is_on_the_page_with_its_default(section: type[BaseModel]) -> None:
    rows = re.findall(r"^\| `(\w+)`(?: or `(\w+)`)? \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    options = {name: default for first, second, default in rows for name in (first, second) if name}

    for name, field in section.model_fields.items():
        if name == "type":  # stands in the text before the table
            continue
        assert name in options, name
        if field.is_required():
            assert options[name].startswith("required"), name
        elif isinstance(field.default, int | float):
            assert float(options[name]) == field.default, name


@pytest.mark.parametrize("command", ["serve", "check", "new", "url"])
def test_every_argument_of_a_command_is_on_the_page(command: str) -> None:
    shown = subprocess.run([BIN / "webhook-inlet", command, "--help"], capture_output=True, text=True, check=True)
    row = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"| `webhook-inlet {command} " in line)

    arguments = set(re.findall(r"--[a-z]+", shown.stdout)) - {"--help"}
    assert arguments == set(re.findall(r"--[a-z]+", row))


@pytest.mark.parametrize("example", blocks("json")[:2])
def test_each_webhook_store_fits_the_specification_of_its_connector(example: str) -> None:
    options = json.loads(example)
    connector = "source_customerio" if "app_api_key" in options else "source_pendo"
    file = ROOT / connector.replace("_", "-") / connector / "spec.yaml"
    specification = yaml.safe_load(file.read_text(encoding="utf-8"))["connectionSpecification"]

    jsonschema.validate(options, specification)
    assert CONFIGS[connector].parse(options).webhook_store
    assert options.keys() <= specification["properties"].keys()
    store = options["webhook_store"]
    kinds = specification["properties"]["webhook_store"]["oneOf"]
    kind = next(kind for kind in kinds if kind["properties"]["type"]["const"] == store["type"])
    assert store.keys() <= kind["properties"].keys()
    file = file.with_name("schemas") / "webhook_events.json"
    taken = json.loads(file.read_text(encoding="utf-8"))["properties"].keys()
    assert not taken & {column.rpartition("=")[2] for column in options.get("webhook_columns", [])}


@pytest.mark.parametrize("connector", ["source_customerio", "source_pendo"])
def test_every_column_of_the_stream_is_on_the_page(connector: str) -> None:
    file = ROOT / connector.replace("_", "-") / connector / "schemas" / "webhook_events.json"
    columns = json.loads(file.read_text(encoding="utf-8"))["properties"]
    section = PAGE.read_text(encoding="utf-8").split("\n## Columns\n")[1].split("\n## ")[0]

    named = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in section.splitlines() if row.startswith("|")))
    assert set(columns) - set(named) == set()


def test_the_line_of_the_log_is_written_like_this() -> None:
    example = blocks("json")[2].strip().encode()
    shown = orjson.loads(example)

    made = lines.line(
        key=shown["key"],
        at=shown["at"],
        inlet=shown["inlet"],
        sig=shown["sig"],
        headers=shown["headers"],
        body=orjson.dumps(shown["body"]),
        embed=True,
        truncated=False,
    )

    assert made == example
    assert shown["v"] == lines.VERSION


def test_the_queries_over_the_table_run() -> None:
    queries = [text for text in blocks("sql") if "webhook_events" in text]
    connection = duckdb.connect()
    connection.execute(
        "create table webhook_events"
        " (record_id varchar, received_at timestamptz, object_type varchar, metric varchar, cio_id varchar)"
    )
    rows = list(customerio_rows())
    names = ("record_id", "received_at", "object_type", "metric", "cio_id")
    for row in [*rows, *rows]:
        connection.execute("insert into webhook_events values (?, ?, ?, ?, ?)", [*map(row.get, names)])

    delete, once = queries

    assert len(connection.execute(once).fetchall()) == len(rows)
    connection.execute(delete)
    assert len(connection.execute("select * from webhook_events").fetchall()) == 2  # of a body that is no JSON


def test_the_unit_of_systemd_serves_on_the_socket_that_it_is_given(tmp_path: Path) -> None:
    units = [_unit(text) for text in blocks("ini")]
    assert [list(unit) for unit in units] == [["DEFAULT", "Socket", "Install"], ["DEFAULT", "Service"]]
    program, *arguments = shlex.split(units[1]["Service"]["ExecStart"])
    assert Path(program).name == "webhook-inlet"
    file = tmp_path / "inlet.yaml"
    file.write_text(_configurations()[2].replace("/data", str(tmp_path / "data")), encoding="utf-8")
    arguments[arguments.index("--config") + 1] = str(file)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        arguments[arguments.index("--fd") + 1] = str(listening.fileno())
        command: list[str | Path] = [BIN / "webhook-inlet", *arguments]
        with _running(command, (listening.fileno(),)):
            assert answer(listening.getsockname()[1], "GET", "/readyz") == (200, b"ready\n")


def _unit(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(text)
    return unit


@contextmanager
def _running(command: Sequence[str | Path], descriptors: Sequence[int]) -> Iterator[None]:
    """A server, from its first line on stdout to its end by SIGTERM."""
    environment = {**os.environ, **SECRETS}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, pass_fds=descriptors) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith(b"listening on ")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()


def test_the_query_over_the_log_takes_bodies_that_are_no_json(tmp_path: Path) -> None:
    events = [("a", b'{"metric":\n"sent"}'), ("b", b"\xff\x00"), ("c", b"no JSON"), ("d", b'{"metric":"opened"}')]
    written = [
        lines.line(key=key, at=1, inlet="i", sig=0, headers={}, body=body, embed=key == "d", truncated=False) + b"\n"
        for key, body in events
    ]
    (tmp_path / "1.ndjson.zst").write_bytes(zstd.compress(b"".join(written)))
    query = next(text for text in blocks("sql") if "read_json" in text)

    rows = duckdb.execute(query.replace("data/prod/lanes/*/*", str(tmp_path / "*"))).fetchall()

    assert [(row[0], row[3]) for row in rows] == [("a", "sent"), ("b", None), ("c", None), ("d", "opened")]
