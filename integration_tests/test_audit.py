"""`make audit` against a vulnerability service of the test's own: what it asks about, and when it fails.

Whether there are known vulnerabilities today only the real service can say; that is `make audit`, not a test.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from harness.suite import ROOT, connectors
from simulators.server import Request, Response, Simulator

PLANTED = {
    "id": "OSV-2026-0001",
    "published": "2026-01-01T00:00:00Z",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "planted",
    "details": "planted",
    "affected": [
        {
            "package": {"name": "requests", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


class Osv(Simulator):
    """A service in the format of osv.dev (certain: its API documentation) that knows what `vulnerable` names."""

    def __init__(self) -> None:
        super().__init__()
        self.vulnerable: dict[str, Any] = {}
        self.asked: set[str] = set()

    def answer(self, request: Request) -> Response:
        name = request.json()["package"]["name"]
        self.asked.add(name)
        return Response.json({"vulns": [self.vulnerable[name]]} if name in self.vulnerable else {})


@pytest.fixture
def service() -> Iterator[Osv]:
    """A service that knows nothing bad."""
    with Osv() as running:
        yield running


def _audit(url: str) -> subprocess.CompletedProcess[str]:
    """The command behind `make audit`, on another service."""
    options = ["--vulnerability-service", "osv", "--osv-url", f"{url}/v1/query"]
    return subprocess.run(
        [ROOT / "tools" / "audit.sh", *options], capture_output=True, text=True, check=False, timeout=180
    )


def test_the_audit_asks_about_every_locked_package_and_passes_where_nothing_is_known(service: Osv) -> None:
    done = _audit(service.url)

    assert done.returncode == 0, done.stderr
    for connector in connectors():
        assert _locked(connector.name) <= service.asked, connector.name


def test_a_known_vulnerability_fails_the_audit(service: Osv) -> None:
    service.vulnerable["requests"] = PLANTED
    done = _audit(service.url)

    assert done.returncode == 1
    assert "OSV-2026-0001" in done.stdout + done.stderr


def test_a_service_that_does_not_answer_fails_the_audit(service: Osv) -> None:
    url = service.url
    service.stop()
    done = _audit(url)

    assert done.returncode != 0


def test_every_accepted_vulnerability_has_a_reason() -> None:
    lines = (ROOT / "tools" / "audit-accepted.txt").read_text(encoding="utf-8").splitlines()

    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[A-Z][A-Za-z0-9-]+ \S.{20,}", line), line


def _locked(connector: str) -> set[str]:
    """The packages that the lock installs with a connector on every system."""
    options = ["--frozen", "--quiet", "--no-dev", "--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header"]
    command = [str(ROOT / ".uv" / "bin" / "uv"), "export", *options, "--package", connector]
    lines = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True).stdout.splitlines()
    return {line.split("==")[0] for line in lines if ";" not in line}
