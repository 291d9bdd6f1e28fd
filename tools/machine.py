"""What tests need of a machine: a pytest marker each, how to find out whether it is there, and what to prepare.

A program that tests drive in an environment of its own, `integration_tests/clients/NAME/`, has the marker NAME
(with `_` for `-`) without a line here, and `make NAME-env` installs it.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from java import NEEDED

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Tool:
    """What the tests with one marker need. `check` is a shell command that succeeds where it is there."""

    marker: str
    needs: str
    check: str
    prepare: tuple[str, ...] = ()
    """Targets of make that come before the tests."""

    @property
    def is_here(self) -> bool:
        """Whether this machine has it."""
        return _succeeds(self.check)


@functools.cache
def _succeeds(command: str) -> bool:
    """Within a minute."""
    try:
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, check=False, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _programs(*names: str) -> str:
    return " && ".join(f"command -v {name}" for name in names)


def _client(name: str) -> Tool:
    """Meltano, PyAirbyte and others do not install on every Python; an older one is found where there is one."""
    find = "PYTHON_MAX=3.12 tools/bootstrap.sh python"
    return Tool(name.replace("-", "_"), "Python 3.11 or 3.12", find, (f"{name}-env",))


_FUZZER = "int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return data && size > 9; }"
CEPH = Tool(
    "ceph",
    "Ceph (packages ceph-mon, ceph-osd, radosgw, ceph-common)",
    _programs("ceph", "ceph-mon", "ceph-osd", "radosgw"),
)
SPARK = Tool("spark", NEEDED, f"'{sys.executable}' tools/java.py", ("spark-env", "spark-oldest-env"))
TOOLS = (
    Tool(
        "compiler",
        "a C compiler and Python's headers (packages gcc, libc6-dev, libpython3-dev)",
        f"command -v cc && test -e '{sysconfig.get_path('include')}/Python.h'",
    ),
    Tool("docker", "a Docker engine", "docker info", ("images",)),
    CEPH,
    # Debian keeps the server's programs off the PATH, one directory a version
    Tool(
        "postgres",
        "a PostgreSQL server (package postgresql)",
        "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb",
    ),
    Tool(
        "compose",
        "Docker Compose (package docker-compose)",
        "docker info && { docker compose version || docker-compose version; }",
    ),
    Tool("jq", "jq, curl, openssl and zstd (packages of these names)", _programs("jq", "curl", "openssl", "zstd")),
    Tool("nginx", "nginx (package nginx-light)", _programs("nginx")),
    Tool("kubernetes", "kubectl (package kubernetes-client)", _programs("kubectl"), ("kubernetes-env",)),
    Tool("caddy", "Caddy, which `make caddy` installs", "true", ("caddy",)),
    Tool("plots", "matplotlib, which `make plots-env` installs", "true", ("plots-env",)),
    Tool(
        "clang",
        "clang with libFuzzer and the sanitizers (packages clang, libclang-rt-dev)",
        f"echo '{_FUZZER}' | clang -x c - -o /dev/null -fsanitize=fuzzer,address,undefined",
    ),
    Tool("browser", "Chromium (package chromium)", _programs("chromium")),
    SPARK,
    *(_client(path.parent.name) for path in sorted(ROOT.glob("integration_tests/clients/*/pyproject.toml"))),
)
