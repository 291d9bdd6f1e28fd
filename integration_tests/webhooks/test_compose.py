"""compose.yaml, as a stranger starts it: the inlet behind Caddy, with simulated senders, and without any account."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness.containers import engine
from harness.suite import ROOT
from webhooks.behind_proxy import CADDY, Senders, held_back_by_caddy
from webhooks.inlet_process import Reader, answer, free_port
from webhooks.kept_log import by_http, lines

pytestmark = [pytest.mark.docker, pytest.mark.compose, pytest.mark.caddy]


@dataclass(frozen=True)
class Project:
    """A copy of what compose.yaml needs, with an .env and a name of its own."""

    folder: Path
    name: str
    port: int
    environment: dict[str, str]

    def compose(self, *arguments: str) -> str:
        """What a compose command prints; fails the test if it fails."""
        command = [*_compose(), "-p", self.name, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def settings(self) -> dict[str, str]:
        """The lines of its .env."""
        lines = (self.folder / ".env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def inspected(self, service: str) -> dict[str, Any]:
        """What Docker knows about a service's container."""
        found: dict[str, Any] = engine().containers.get(self.compose("ps", "-q", service).strip()).attrs
        return found

    @property
    def reader(self) -> Reader:
        """Asks through the proxy."""
        return Reader(self.port, self.settings["INLET_READ_TOKEN"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with the demo's senders, up."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "compose.yaml", folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    (folder / "tools").mkdir()
    subprocess.run([shutil.copy(ROOT / "tools" / "inlet-config.sh", folder / "tools")], check=True, timeout=240)
    port = free_port()
    with (folder / ".env").open("a", encoding="utf-8") as file:
        file.write(f"INLET_HTTP=127.0.0.1:{port}\nINLET_HTTPS=127.0.0.1:{free_port()}\n")
    environment = {**os.environ, "CADDY_IMAGE": _caddy_image()}
    project = Project(folder, f"inlet-{uuid.uuid4().hex[:8]}", port, environment)
    try:
        project.compose("--profile", "demo", "up", "--detach", "--no-build")
        yield project
    finally:
        project.compose("--profile", "demo", "down", "--volumes", "--timeout", "3")


def test_events_of_both_senders_arrive_through_the_proxy(project: Project) -> None:
    deadline = time.monotonic() + 120
    while True:
        status, body = _settled(project)
        arrived = {
            inlet["name"]: inlet["posts"]["total"] for inlet in (json.loads(body)["inlets"] if status == 200 else ())
        }
        if arrived and all(posts["stored"] > 3 for posts in arrived.values()):
            break
        assert time.monotonic() < deadline, (status, body, project.compose("logs"))
        time.sleep(0.2)
    assert set(arrived) == {"pendo", "customerio"}
    assert {posts["bad_signature"] for posts in arrived.values()} == {0}
    assert project.reader.get("/log/v1/pendo")[0] == 200
    assert answer(project.port, "GET", "/log/v1/pendo")[0] == 401
    assert project.reader.get("/metrics")[0] == 404


def test_a_new_container_of_the_inlet_takes_over_and_no_sender_notices(project: Project) -> None:
    settings = project.settings
    url = f"http://127.0.0.1:{project.port}/in/{settings['CUSTOMERIO_PATH']}"
    senders = Senders(url, settings["CUSTOMERIO_SECRET"])
    before = project.inspected("inlet")["Id"]
    with senders.posting():
        time.sleep(1)
        project.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "inlet")
        time.sleep(4)

    assert project.inspected("inlet")["Id"] != before
    held_back_by_caddy(senders.ledger)
    acknowledged = {digest for entry in senders.ledger.entries for digest in entry.acknowledged}
    assert acknowledged <= {line.sha256 for line in lines(by_http(project.reader, "customerio"))}


@pytest.mark.parametrize("service", ["inlet", "proxy", "demo-pendo", "demo-customerio"])
def test_a_service_can_write_to_its_volumes_only_and_gains_no_rights(project: Project, service: str) -> None:
    container = project.inspected(service)
    host = container["HostConfig"]

    assert container["State"]["Running"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert (host["CapAdd"] or []) == (["NET_BIND_SERVICE"] if service == "proxy" else [])
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert list(host["PortBindings"] or {}) == (["443/tcp", "80/tcp"] if service == "proxy" else [])
    secrets = {value for name, value in project.settings.items() if name.endswith(("_SECRET", "_TOKEN"))}
    seen = {line.split("=", 1)[1] for line in container["Config"]["Env"]}
    assert secrets & seen == (secrets if service == "inlet" else set())


def test_without_an_env_file_compose_says_how_to_make_one(tmp_path: Path) -> None:
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INLET_")}
    done = subprocess.run(
        [*_compose(), "config"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=240
    )

    assert done.returncode != 0
    assert "make inlet-config" in done.stderr


def test_the_secrets_are_fresh_readable_by_their_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    found: list[str] = []
    for name in ("one", "other"):
        (tmp_path / name / "tools").mkdir(parents=True)
        script = shutil.copy(ROOT / "tools" / "inlet-config.sh", tmp_path / name / "tools")
        subprocess.run([script, "inlet.example.com"], check=True, timeout=240)
        env = tmp_path / name / ".env"
        assert env.stat().st_mode & 0o777 == 0o600
        text = env.read_text(encoding="utf-8")
        assert "INLET_HOST=inlet.example.com\n" in text
        found += [
            line.split("=")[1]
            for line in text.splitlines()
            if line.partition("=")[0].endswith(("TOKEN", "PATH", "SECRET"))
        ]
        again = subprocess.run([script], capture_output=True, text=True, check=False, timeout=240)
        assert again.returncode == 1
        assert env.read_text(encoding="utf-8") == text
    assert len(found) == len(set(found)) == 10
    assert {len(value) for value in found} == {64}


def _compose() -> list[str]:
    """Docker's plugin, or else the older program."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=240)
    return ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]


def _caddy_image() -> str:
    """An image of the Caddy of `make caddy`, laid out like the public image, which cannot be pulled everywhere."""
    program = CADDY.read_bytes()
    tag = f"local/caddy:{hashlib.sha256(program).hexdigest()[:12]}"
    if not engine().images.list(tag):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("usr/bin/caddy")
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program))
        changes = (
            'CMD ["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]',
            "ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data",
        )
        engine().api.import_image_from_data(archive.getvalue(), *tag.split(":"), changes=changes)
    return tag


def _settled(project: Project) -> tuple[int, bytes]:
    """The status page's answer, 0 while nothing listens."""
    try:
        return project.reader.get("/status")
    except OSError:
        return 0, b""
