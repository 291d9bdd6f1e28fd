"""The images, run as strictly as a platform may run them: what they are allowed, what they contain, what they say."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.compiled import COMPILED
from harness.containers import (
    BRIDGE,
    IMAGE_MEGABYTES,
    KILLED,
    UNWANTED,
    ImageRunner,
    engine,
    in_image,
    inspected,
    isolated_network,
    started,
)
from harness.suite import Connector
from harness.vendors import running
from test_kit.catalogs import configured
from test_kit.command import run_process, written

pytestmark = pytest.mark.docker


@pytest.fixture
def image_runner(connector: Connector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRunner]:
    """The image in a network that reaches its simulator and nothing else."""
    with isolated_network() as (network, address), running(connector, host=address) as vendor:
        yield ImageRunner(connector, vendor, tmp_path_factory.mktemp("image"), network)


def test_check_discover_and_read_work_read_only_unprivileged_and_with_no_network_but_the_simulators(
    image_runner: ImageRunner,
) -> None:
    config = image_runner.vendor.config
    assert image_runner.run("check", config=config).succeeded().connection_status["status"] == "SUCCEEDED"
    catalog = image_runner.catalog
    read = image_runner.run("read", config=config, catalog=_small(image_runner, catalog)).succeeded()

    assert read.records
    assert {statuses[-1] for statuses in read.statuses.values()} == {"COMPLETE"}
    assert read.stderr == ""


def test_the_way_out_is_closed_so_that_the_test_above_means_something(image_runner: ImageRunner) -> None:
    script = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=3)"
    output = image_runner.start(["-c", script], entrypoint="/opt/connector/bin/python")

    assert output.code != 0
    assert re.search("unreachable|timed out", output.stderr), output.stderr


def test_a_wrong_key_fails_the_check_in_the_image_too(image_runner: ImageRunner) -> None:
    output = image_runner.run("check", config=image_runner.vendor.wrong_config)

    assert output.code == 0
    assert output.connection_status["status"] == "FAILED"


def test_the_entry_point_runs_by_eval_in_a_posix_shell_with_output_to_pipes(image_runner: ImageRunner) -> None:
    """As the platform's orchestrator does it on Kubernetes."""
    image_runner.run("check", config=image_runner.vendor.config)  # writes config.json
    catalog = _small(image_runner, image_runner.catalog)
    (image_runner.folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
    output = image_runner.shell(
        "mkfifo out err && { cat out & cat err >&2 & } && "
        '(eval "$AIRBYTE_ENTRYPOINT read --config /config/config.json --catalog /config/catalog.json" '
        "2> err > out; echo $? > code); wait; exit $(cat code)"
    )

    assert output.succeeded().records


def test_the_entry_point_is_the_one_that_the_environment_names(connector: Connector) -> None:
    configuration = inspected(connector.image)["Config"]
    environment = dict(line.split("=", 1) for line in configuration["Env"])

    assert configuration["Entrypoint"] == [environment["AIRBYTE_ENTRYPOINT"]]
    assert environment["AIRBYTE_ENTRYPOINT"].startswith("/")


def test_the_labels_say_what_the_metadata_says(connector: Connector) -> None:
    labels = inspected(connector.image)["Config"]["Labels"]

    assert labels["io.airbyte.name"] == connector.metadata["dockerRepository"]
    assert labels["io.airbyte.version"] == connector.metadata["dockerImageTag"]


def test_it_runs_as_user_airbyte_who_owns_nothing_but_the_platforms_directories(connector: Connector) -> None:
    uid, name = _in(connector, "id -u && id -un")
    owned = _in(connector, "find / -xdev -user airbyte", user="root")

    assert (uid, name) == ("1000", "airbyte")
    assert set(owned) <= {"/airbyte", "/config", "/secrets"}


def test_nothing_in_it_installs_builds_fetches_or_changes_the_user(connector: Connector) -> None:
    script = f'for name in {" ".join(UNWANTED)}; do command -v "$name"; done; true'
    assert _in(connector, script) == []
    assert _in(connector, "find / -xdev -type f -perm /6000", user="root") == []
    assert _in(connector, "/opt/connector/bin/python -c 'import pip' 2>&1 | tail -n 1") == [
        "ModuleNotFoundError: No module named 'pip'"
    ]


def _bill(connector: Connector) -> str:
    """The bill of materials that an image carries."""
    return "\n".join(_in(connector, f"cat /opt/connector/share/sbom/{connector.name}.cdx.json")) + "\n"


def test_the_bill_of_materials_lists_what_is_installed_with_its_licenses(connector: Connector) -> None:
    script = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    lines = _in(connector, f"/opt/connector/bin/python -I -c '{script}'")
    installed = {re.sub("[-_.]+", "-", line.split()[0]).lower() + f"@{line.split()[1]}" for line in lines}
    status = _in(connector, "cat /var/lib/dpkg/status")
    system = sorted(line.removeprefix("Package: ") for line in status if line.startswith("Package: "))
    parts = json.loads(_bill(connector))["components"]
    purls = [part.get("purl", "") for part in parts]
    own = {text for text in installed if text.startswith(("source-kit@", f"{connector.name}@"))}

    assert len(own) == 2
    assert {purl.removeprefix("pkg:pypi/") for purl in purls if purl.startswith("pkg:pypi/")} == installed - own
    assert sorted(part["name"] for part in parts if part.get("purl", "").startswith("pkg:deb/")) == system
    assert {part["type"] for part in parts} == {"library", "platform", "operating-system"}
    assert [part["name"] for part in parts if part["type"] != "operating-system" and not part.get("licenses")] == []
    assert len(system) > 40


def test_the_bill_of_materials_names_the_interpreter_that_runs_the_connector(connector: Connector) -> None:
    (interpreter,) = [part for part in json.loads(_bill(connector))["components"] if part["type"] == "platform"]

    assert _in(connector, "/opt/connector/bin/python --version") == [f"Python {interpreter['version']}"]


def test_make_sbom_gives_the_bill_that_the_image_carries(connector: Connector, tmp_path: Path) -> None:
    command = [str(connector.folder.parent / "tools" / "sbom.sh"), connector.name]
    output = run_process(command, env={**os.environ, "DIST": str(tmp_path)})
    written = (tmp_path / f"{connector.name}.cdx.json").read_text(encoding="utf-8")

    assert output.code == 0, output.tail()
    assert written == _bill(connector)


def test_the_image_is_small(connector: Connector) -> None:
    assert inspected(connector.image)["Size"] / 1e6 < IMAGE_MEGABYTES


def test_it_ends_at_once_when_the_platform_says_so(image_runner: ImageRunner) -> None:
    """As the container's first process, to which a signal means nothing unless it asks for it."""
    pipe = image_runner.folder / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o644)
    command = ["check", "--config", "/config/pipe"]
    with started(image_runner.connector.image, command, **image_runner.settings) as container:
        writer = _opened_by_a_reader(pipe)
        try:
            container.stop(timeout=60)
            assert container.wait()["StatusCode"] != KILLED
        finally:
            os.close(writer)


def _opened_by_a_reader(pipe: Path) -> int:
    """The other end of a named pipe, when somebody reads it."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody reads the pipe"
            time.sleep(0.1)


def test_the_commands_of_the_readme_work_as_a_user_types_them(connector: Connector, tmp_path: Path) -> None:
    """Elsewhere the tests drive the engine by its Python package."""
    with running(connector, host=BRIDGE) as vendor:
        tmp_path.chmod(0o755)  # the container's user is another
        written(tmp_path / "config.json", vendor.config)
        run = ["docker", "run", "--rm", "-v", f"{tmp_path}:/config:ro", connector.image]
        config = ["--config", "/config/config.json"]
        assert run_process([*run, "spec"]).succeeded().spec
        assert run_process([*run, "check", *config]).succeeded().connection_status["status"] == "SUCCEEDED"
        catalog = run_process([*run, "discover", *config]).succeeded().catalog
        written(tmp_path / "catalog.json", configured(catalog, [catalog["streams"][0]["name"]]))
        read = run_process([*run, "read", *config, "--catalog", "/config/catalog.json"]).succeeded()

    assert read.records
    assert read.stderr == ""


def test_everything_is_read_within_512_megabytes(image_runner: ImageRunner) -> None:
    image_runner.settings |= {"mem_limit": "512m", "memswap_limit": "512m"}
    catalog = _small(image_runner, image_runner.catalog)

    assert image_runner.run("read", config=image_runner.vendor.config, catalog=catalog).succeeded().records


def test_byte_code_is_in_the_image_since_its_user_could_not_write_it(connector: Connector) -> None:
    found = _in(connector, f"find /opt/connector -name '*.pyc' -path '*{connector.package}*' | head -n 1")

    assert len(found) == 1


def test_what_the_connector_does_not_need_is_not_in_its_image(connector: Connector) -> None:
    script = "import importlib.metadata as m; [print(d.name.lower()) for d in m.distributions()]"
    names = set(_in(connector, f"/opt/connector/bin/python -c '{script}'"))

    assert names.isdisjoint({"pandas", "numpy", "nltk", "grpcio", "pytest", "mypy", "simulators", "duckdb"})
    assert names.isdisjoint({"boto3", "s3transfer"})
    assert names.isdisjoint({"unidecode", "xmltodict", "jinja2", "cryptography", "pyjwt", "setuptools", "rich"})


@pytest.mark.parametrize("package", COMPILED)
def test_an_image_has_the_module_in_c_of_its_connector_but_not_its_sources(package: str) -> None:
    module = COMPILED[package].name
    script = f"import {module} as native; print(native.__name__)"
    assert in_image(f"{package}:dev", f'/opt/connector/bin/python -c "{script}"') == [module]
    assert in_image(f"{package}:dev", "find /opt/connector -name '*.[cho]'", "root") == []


@pytest.mark.parametrize("image", ["source-pendo:dev", "source-customerio:dev", "source-heap:dev", "webhook-inlet:dev"])
def test_of_the_services_of_aws_those_are_in_an_image_that_reach_a_bucket_or_get_credentials(image: str) -> None:
    services = ["s3", "signin", "sso", "sso-oidc", "sts"]
    script = (
        "from botocore.session import Session; s = Session(); print(*sorted(s.get_available_services()));"
        "make = lambda name: s.create_client(name, region_name='eu-central-1');"
        f"[make(name) for name in {services}]; print(make('s3').meta.endpoint_url)"
    )
    assert in_image(image, f'/opt/connector/bin/python -c "{script}"') == [
        " ".join(services),
        "https://s3.eu-central-1.amazonaws.com",
    ]


def test_no_address_or_certificate_of_the_machine_that_built_it_is_in_the_image(connector: Connector) -> None:
    history = "\n".join(layer["CreatedBy"] for layer in engine().images.get(connector.image).history())
    assert not re.search(r"https?://(?!\S*(debian|python)\.org)\S+", history)
    assert _in(connector, "ls /run/secrets /root/.config /etc/pip.conf 2>/dev/null; true") == []


def _small(runner: ImageRunner, catalog: dict[str, object]) -> dict[str, object]:
    """The suggested streams where there are some, else all: Customer.io's pace makes a read of everything slow."""
    suggested = runner.connector.metadata.get("suggestedStreams", {}).get("streams", [])
    offered = {stream["name"] for stream in catalog["streams"]}  # without what an option adds
    return configured(catalog, [name for name in suggested if name in offered])


def _in(connector: Connector, script: str, user: str = "airbyte") -> list[str]:
    """The lines that a shell script in the connector's image prints."""
    return in_image(connector.image, script, user)


def test_the_base_image_is_pinned_by_digest_and_uv_by_hash(connector: Connector) -> None:
    root = connector.folder.parent
    text = (root / "Dockerfile").read_text(encoding="utf-8")

    assert re.search(r"^ARG BASE_IMAGE=python:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    for recipe in (text, (root / "tools" / "bootstrap.sh").read_text(encoding="utf-8")):
        assert re.search(r"--require-hashes[^&|]+tools/uv\.txt|--require-hashes[^&|]+/tmp/uv\.txt", recipe)
