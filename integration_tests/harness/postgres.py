"""A PostgreSQL server from the distribution's packages, for as long as a test session lasts."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Users that run the server where the tests run as root, which PostgreSQL refuses
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Postgres:
    """A running server on loopback that needs no password."""

    port: int
    host: str = "127.0.0.1"
    database: str = "postgres"
    username: str = "airbyte"
    password: str = "unused"

    @property
    def dsn(self) -> str:
        """For psycopg."""
        return f"host={self.host} port={self.port} dbname={self.database} user={self.username}"


def program(name: str) -> str:
    """The newest of the installed programs of this name; Debian keeps them off the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which(name)
    assert found, f"{name} is not installed: apt-get install postgresql"
    return found


@contextmanager
def running() -> Iterator[Postgres]:
    """The server, from an empty directory to its end."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        user = _user()
        if user:
            shutil.chown(folder, user)
        data, server = Path(folder, "data"), Postgres(_free_port())
        _as(user, program("initdb"), "-D", str(data), "-U", server.username, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-h {server.host} -p {server.port} -k {folder} -c fsync=off"
        control = (program("pg_ctl"), "-D", str(data), "-w")
        _as(user, *control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield server
        finally:
            _as(user, *control, "-m", "immediate", "stop")
            time.sleep(0.1)


def _user() -> str | None:
    """Somebody else where we are root; None where we are not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in known)


def _as(user: str | None, *command: str) -> None:
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=240, user=user, cwd="/"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
