"""S3 servers as fixtures: `ceph` (real), `moto_s3` (AWS's shapes), `s3`, each of them in turn, and `best_s3`, one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import CEPH

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests import `s3_servers` by its name

from s3_servers import CephServer, MotoServer, S3Server, ceph_server, moto_server


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephServer]:
    """Ceph's RADOS Gateway."""
    with ceph_server() as server:
        yield server


@pytest.fixture(scope="session")
def moto_process() -> Iterator[MotoServer]:
    """One moto for the session; tests take `moto_s3`."""
    with moto_server() as server:
        yield server


@pytest.fixture
def moto_s3(moto_process: MotoServer) -> MotoServer:
    """moto, empty and without checks until `moto_s3.enforce()`."""
    moto_process.reset()
    return moto_process


@pytest.fixture(params=[pytest.param("ceph", marks=pytest.mark.ceph), "moto_s3"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    """Each server in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def best_s3(request: pytest.FixtureRequest) -> S3Server:
    """Ceph where it is installed, else moto: for long tests that look at rows and not at what a server answers."""
    server: S3Server = request.getfixturevalue("ceph" if CEPH.is_here else "moto_s3")
    return server
