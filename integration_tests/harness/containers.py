"""Docker: networks that reach only this machine, and images run as the platform runs them."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.runner import Runner
from harness.suite import Connector
from harness.vendors import Vendor
from test_kit.command import arguments, run_process
from test_kit.messages import Output

#: The address of this machine on Docker's default network
BRIDGE = "172.17.0.1"
_MOUNTED = "/config"
#: As strict as a platform can be: nothing can be written but /tmp, no right can be gained
STRICT = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
IMAGE_MEGABYTES = 350
#: Programs that could install, build or fetch more software, or change the user
UNWANTED = (
    *("pip", "pip3", "uv", "poetry", "apt", "apt-get", "gcc", "cc", "make", "perl", "curl", "wget", "git"),
    *("su", "sudo", "mount", "passwd", "chsh", "newgrp", "nc", "ssh", "bash"),
)


def docker(*command: str) -> str:
    """What a docker command prints; fails the test if it fails."""
    done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def inspected(image: str) -> dict[str, Any]:
    """What Docker knows about an image."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return found


def in_image(image: str, script: str, user: str = "airbyte") -> list[str]:
    """The lines that a shell script in an image prints; for root, who sees all of it, without the tightest limits."""
    limits = STRICT if user == "airbyte" else ()
    options = ["--rm", "--network", "none", *limits, "--user", user, "--entrypoint", "/bin/sh"]
    output = run_process(["docker", "run", *options, image, "-c", script])
    assert output.code == 0, output.stderr
    return output.stdout.decode().splitlines()


@contextmanager
def isolated_network() -> Iterator[tuple[str, str]]:
    """A network that reaches only this machine: its name, and this machine's address in it."""
    name = f"isolated-{uuid.uuid4().hex[:8]}"
    docker("network", "create", "--internal", name)
    try:
        yield name, docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name)
    finally:
        docker("network", "rm", name)


class ImageRunner(Runner):
    """A connector's image on its simulator, which must listen where the container's network reaches it."""

    def __init__(self, connector: Connector, vendor: Vendor, folder: Path, network: str = "bridge") -> None:
        super().__init__(connector, vendor, folder)
        self.options: Sequence[str] = ("--network", network, *STRICT)
        folder.chmod(0o755)  # the container's user is another

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        argv = arguments(self.folder, verb, flags, files, _MOUNTED)
        return self.start(argv)

    def start(self, argv: Sequence[str], *more: str) -> Output:
        """The image with this command line and more of Docker's options."""
        mount = f"{self.folder}:{_MOUNTED}:ro"
        return run_process(
            ["docker", "run", "--rm", "-i", *self.options, *more, "-v", mount, self.connector.image, *argv]
        )

    def shell(self, script: str, environment: Mapping[str, str] | None = None) -> Output:
        """A script in the image's own POSIX shell, in another directory than the image's, as Kubernetes runs it."""
        options = [part for name, value in (environment or {}).items() for part in ("-e", f"{name}={value}")]
        return self.start(["-c", script], "--entrypoint", "/bin/sh", "--workdir", "/tmp", *options)
