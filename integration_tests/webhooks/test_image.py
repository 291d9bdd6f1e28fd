"""The image webhook-inlet: as small, unprivileged and read-only as those of the connectors, with one volume."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.models.containers import Container
from harness.containers import IMAGE_MEGABYTES, STRICT, UNWANTED, engine, in_image, inspected, ran
from harness.suite import ROOT
from test_kit.command import run_process
from webhooks.behind_proxy import PATH, event, signed
from webhooks.inlet_process import Reader, answer, eventually, write_config
from webhooks.kept_log import by_http, lines

pytestmark = pytest.mark.docker

IMAGE = "webhook-inlet:dev"
_BILL = "/opt/connector/share/sbom/webhook-inlet.cdx.json"


@dataclass
class InletContainer:
    """A running inlet with a volume of its own. Containers of one volume come one after the other."""

    folder: Path
    volume: str
    container: Container | None = None
    port: int = 0

    def start(self) -> None:
        """Starts it as strictly as it can be started, and waits until it is ready."""
        self.container = engine().containers.run(
            IMAGE,
            detach=True,
            ports={"8080/tcp": ("127.0.0.1", None)},
            volumes=[f"{self.volume}:/data", f"{self.folder}:/config:ro"],
            **STRICT,
        )
        self.container.reload()
        self.port = int(self.container.ports["8080/tcp"][0]["HostPort"])
        assert eventually(self._is_ready), self.container.logs()

    def stop(self) -> int:
        """Ends it as Docker does: SIGTERM first, and SIGKILL after a minute. Its exit code."""
        assert self.container
        self.container.stop(timeout=60)
        code: int = self.container.wait()["StatusCode"]
        self.remove()
        return code

    def remove(self) -> None:
        """It is gone, whether it runs or not."""
        if self.container:
            self.container.remove(force=True)
            self.container = None

    def _is_ready(self) -> bool:
        return answer(self.port, "GET", "/readyz")[0] == 200


@pytest.fixture
def container(tmp_path: Path) -> Iterator[InletContainer]:
    """A running inlet."""
    write_config(tmp_path, {"type": "volume", "path": "/data"})
    tmp_path.chmod(0o755)
    volume = engine().volumes.create()
    inlet = InletContainer(tmp_path, volume.name)
    try:
        inlet.start()
        yield inlet
    finally:
        inlet.remove()
        volume.remove()


def test_it_stores_in_its_volume_read_only_and_unprivileged_and_the_next_container_goes_on(
    container: InletContainer,
) -> None:
    for number in range(2):
        body = event(f"event-{number}")
        assert answer(container.port, "POST", f"/in/{PATH}", body, signed(body))[0] == 200
        assert container.stop() == 0
        container.start()

    kept = lines(by_http(Reader(container.port), "customerio"))
    assert [line.key for line in kept] == ["customerio:event-0", "customerio:event-1"]


def test_docker_sees_by_itself_that_it_is_healthy(container: InletContainer) -> None:
    check = inspected(IMAGE)["Config"]["Healthcheck"]["Test"]

    assert check[0] == "CMD"
    assert container.container
    assert container.container.exec_run(check[1:]).exit_code == 0
    assert ran(IMAGE, check[2:], entrypoint=check[1], **STRICT).code != 0


def test_its_labels_name_its_version_and_nothing_of_the_platform() -> None:
    configuration = inspected(IMAGE)["Config"]
    version = tomllib.loads((ROOT / "webhook-inlet" / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]

    assert configuration["Labels"]["org.opencontainers.image.title"] == "webhook-inlet"
    assert configuration["Labels"]["org.opencontainers.image.version"] == version
    assert not [name for name in configuration["Labels"] if name.startswith("io.airbyte")]
    assert not [line for line in configuration["Env"] if line.startswith("AIRBYTE_")]
    assert configuration["Entrypoint"] + configuration["Cmd"] == [
        "/opt/connector/bin/connector",
        "serve",
        "--config",
        "/config/inlet.yaml",
    ]
    assert list(configuration["ExposedPorts"]) == ["8080/tcp"]
    assert list(configuration["Volumes"]) == ["/data"]


def test_its_user_owns_the_volume_and_nothing_in_it_installs_builds_or_fetches() -> None:
    script = f'id -u; for name in {" ".join(UNWANTED)}; do command -v "$name"; done; true'

    assert in_image(IMAGE, script) == ["1000"]
    assert set(in_image(IMAGE, "find / -xdev -user airbyte", user="root")) <= {
        "/airbyte",
        "/config",
        "/secrets",
        "/data",
    }
    assert in_image(IMAGE, "stat -c %U /data") == ["airbyte"]
    assert in_image(IMAGE, "find / -xdev -type f -perm /6000", user="root") == []


def test_it_is_small_compiled_and_has_no_part_of_a_connector() -> None:
    script = "import importlib.metadata as m; [print(d.name.lower()) for d in m.distributions()]"
    names = set(in_image(IMAGE, f"/opt/connector/bin/python -c '{script}'"))

    assert inspected(IMAGE)["Size"] / 1e6 < IMAGE_MEGABYTES
    assert names >= {"webhook-inlet", "uvicorn"}
    assert names.isdisjoint({"airbyte-cdk", "source-kit", "simulators", "pytest", "moto"})
    assert in_image(IMAGE, "find /opt/connector -path '*webhook_inlet/__pycache__/cli.*.pyc' | wc -l") == ["1"]


def test_make_sbom_gives_the_bill_that_it_carries(tmp_path: Path) -> None:
    output = run_process([str(ROOT / "tools" / "sbom.sh"), "webhook-inlet"], env={**os.environ, "DIST": str(tmp_path)})
    assert output.code == 0, output.tail()
    written = (tmp_path / "webhook-inlet.cdx.json").read_text(encoding="utf-8")
    bill = json.loads(written)

    assert written == "\n".join(in_image(IMAGE, f"cat {_BILL}")) + "\n"
    assert {"uvicorn", "boto3", "libc6"} <= {part["name"] for part in bill["components"]}
    assert re.fullmatch(r"\d+\.\d+\.\d+", bill["metadata"]["component"]["version"])
