"""S3 servers as fixtures: `ceph` (real), `moto_s3` (AWS's shapes) and `s3`, which is each of them in turn."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
