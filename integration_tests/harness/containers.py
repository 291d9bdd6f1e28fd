"""Docker, by its Python package: networks that reach only this machine, and images run as the platform runs them.

What a user types, `docker run`, is in one test of test_images.py; test_compose.py needs the command of Compose, which
has no package.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from harness.runner import Runner
from harness.suite import Connector
from harness.vendors import Vendor
from test_kit.command import arguments
from test_kit.messages import Output

#: The address of this machine on Docker's default network
BRIDGE = "172.17.0.1"
_MOUNTED = "/config"
#: As strict as a platform can be: nothing can be written but /tmp, no right can be gained
STRICT: Mapping[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
#: What the platform gets when it kills a container that does not end by itself
KILLED = 137
IMAGE_MEGABYTES = 350
#: Programs that could install, build or fetch more software, or change the user
UNWANTED = (
    *("pip", "pip3", "uv", "poetry", "apt", "apt-get", "gcc", "cc", "make", "perl", "curl", "wget", "git"),
    *("su", "sudo", "mount", "passwd", "chsh", "newgrp", "nc", "ssh", "bash"),
)


@functools.cache
def engine() -> docker.DockerClient:
    """The engine of this machine. No call may take more than two minutes."""
    return docker.from_env(timeout=120)


def inspected(image: str) -> dict[str, Any]:
    """What Docker knows about an image."""
    found: dict[str, Any] = engine().images.get(image).attrs
    return found


@contextmanager
def started(image: str, command: Sequence[str], **settings: Any) -> Iterator[Container]:
    """A container that runs, with the settings of the package's `containers.run`; it is gone at the end."""
    container = engine().containers.create(image, list(command), **settings)
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True)


def ran(image: str, command: Sequence[str], **settings: Any) -> Output:
    """A container, to its end."""
    with started(image, command, **settings) as container:
        code = container.wait()["StatusCode"]
        stderr = container.logs(stdout=False).decode("utf-8", "replace")
        return Output(code, container.logs(stderr=False), stderr)


def in_image(image: str, script: str, user: str = "airbyte") -> list[str]:
    """The lines that a shell script in an image prints; for root, who sees all of it, without the tightest limits."""
    limits = STRICT if user == "airbyte" else {}
    output = ran(image, ["-c", script], entrypoint="/bin/sh", network_mode="none", user=user, **limits)
    assert output.code == 0, output.stderr
    return output.stdout.decode().splitlines()


@contextmanager
def isolated_network() -> Iterator[tuple[str, str]]:
    """A network that reaches only this machine: its name, and this machine's address in it."""
    network = engine().networks.create(f"isolated-{uuid.uuid4().hex[:8]}", internal=True)
    try:
        network.reload()
        yield network.name, network.attrs["IPAM"]["Config"][0]["Gateway"]
    finally:
        network.remove()


class ImageRunner(Runner):
    """A connector's image on its simulator, which must listen where the container's network reaches it."""

    def __init__(self, connector: Connector, vendor: Vendor, folder: Path, network: str = "bridge") -> None:
        super().__init__(connector, vendor, folder)
        folder.chmod(0o755)  # the container's user is another
        self.settings = {**STRICT, "network": network, "volumes": [f"{folder}:{_MOUNTED}:ro"]}

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        return self.start(arguments(self.folder, verb, flags, files, _MOUNTED))

    def start(self, argv: Sequence[str], **more: Any) -> Output:
        """The image with this command line and more of a container's settings, to its end."""
        return ran(self.connector.image, argv, **self.settings, **more)

    def shell(self, script: str) -> Output:
        """A script in the image's own POSIX shell, in another directory than the image's, as Kubernetes runs it."""
        return self.start(["-c", script], entrypoint="/bin/sh", working_dir="/tmp")
