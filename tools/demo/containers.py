"""Connectors and webhook-inlet in their containers, by the Docker engine of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import LogConfig

from demo.programs import Program


def engine() -> docker.DockerClient | None:
    """A client of the engine, if one runs whose containers can use the network of this machine."""
    if sys.platform != "linux":
        return None
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        return None
    return client


def missing_images(client: docker.DockerClient, packages: Sequence[str]) -> list[str]:
    """The images that `make images` has not built."""
    missing = []
    for package in packages:
        try:
            client.images.get(image(package))
        except ImageNotFound:
            missing.append(image(package))
    return missing


def built(client: docker.DockerClient, packages: Sequence[str]) -> datetime:
    """When the oldest of the images was built, in UTC."""
    return min(datetime.fromisoformat(client.images.get(image(package)).attrs["Created"]) for package in packages)


def image(package: str) -> str:
    """The image that `make images` builds of a package."""
    return f"{package}:dev"


class Containers:
    """As on the platform, but read-only and with the network of this machine."""

    name = "in containers"

    def __init__(self, client: docker.DockerClient, log: IO[bytes]) -> None:
        self._client, self._log = client, log

    @contextmanager
    def start(self, package: str, arguments: Sequence[str], folders: Mapping[Path, str]) -> Iterator[Program]:
        """See `Place`. A folder has the same name in the container."""
        container = self._client.containers.create(
            image(package),
            list(arguments),
            network_mode="host",
            read_only=True,
            tmpfs={"/tmp": ""},
            # who owns a folder that is written to
            user=f"{os.getuid()}:{os.getgid()}" if "rw" in folders.values() else None,
            volumes={str(folder): {"bind": str(folder), "mode": mode} for folder, mode in folders.items()},
            log_config=LogConfig(type=LogConfig.types.NONE),  # it would keep every record once more
        )
        try:
            # before the start, so that no line is missed
            output = container.attach(stdout=True, stderr=True, stream=True, demux=True)
            container.start()
            yield _Container(container, _lines(output, self._log))
        finally:
            container.remove(force=True)

    def path(self, file: Path) -> str:
        """Its own name."""
        return str(file)


class _Container:
    def __init__(self, container: Any, lines: Iterable[bytes]) -> None:
        self._container, self.lines = container, lines

    def wait(self) -> int:
        return int(self._container.wait()["StatusCode"])


def _lines(output: Iterable[tuple[bytes | None, bytes | None]], log: IO[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for out, err in output:
        if err:
            log.write(err)
        *ends, last = (out or b"").split(b"\n")
        for end in ends:
            yield b"".join([*rest, end])
            rest = []
        if last:
            rest.append(last)
    if rest:
        yield b"".join(rest)
