"""What a machine lacks: its tests are skipped on a user's machine, and fail with CI=true, where none may be skipped."""

from __future__ import annotations

import os

import pytest
from s3_servers import missing_ceph_programs


def missing(reason: str) -> BaseException:
    """What ends a test that needs what is missing. `reason` says how to get it."""
    return pytest.fail.Exception(reason) if os.environ.get("CI") == "true" else pytest.skip.Exception(reason)


def require_ceph() -> None:
    """Goes on only where Ceph's programs are installed."""
    if programs := missing_ceph_programs():
        raise missing(
            f"Ceph is not installed ({', '.join(programs)}): apt-get install ceph-mon ceph-osd radosgw ceph-common"
        )
