"""The generator of the bills of materials, without an image; test_images.py holds those in images to their contents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.suite import ROOT, Connector

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: arm64
Source: glibc (2.41-11)
Version: 2.41-12+deb13u5
Description: GNU C Library: Shared libraries
 Package: not-a-package
 .
 Contains the standard libraries.

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: prose
Status: install ok installed
Architecture: all
Version: 1:2~3

Package: silent
Status: install ok installed
Architecture: all
Version: 4
"""


def _generated(connector: Connector, *options: str) -> str:
    command = [sys.executable, str(ROOT / "tools" / "sbom.py"), connector.name, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _bill(connector: Connector, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_generated(connector, *options))
    return document


def _file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_same_lock_gives_the_same_bytes(connector: Connector) -> None:
    first = _generated(connector)

    assert first == _generated(connector)
    assert "serialNumber" not in first
    assert "timestamp" not in first


def test_every_package_has_its_license_and_no_edge_leads_nowhere(connector: Connector) -> None:
    bill = _bill(connector)
    parts = [bill["metadata"]["component"], *bill["components"]]
    known = {part["bom-ref"] for part in parts}

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert all(part["licenses"] for part in parts)
    assert len(known) == len(parts)
    for edge in bill["dependencies"]:
        assert {edge["ref"], *edge.get("dependsOn", ())} <= known


def test_without_an_image_the_bill_says_that_it_is_not_whole(connector: Connector, tmp_path: Path) -> None:
    """As on a machine without Docker: the command behind `make sbom` finds no image."""
    _file(tmp_path / "docker", "#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "DIST": str(tmp_path)}
    command = [ROOT / "tools" / "sbom.sh", connector.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240, env=environment)
    written = (tmp_path / f"{connector.name}.cdx.json").read_text(encoding="utf-8")

    assert "For the interpreter and the system packages build" in done.stdout
    assert written == _generated(connector)
    assert [part["aggregate"] for part in json.loads(written)["compositions"]] == ["incomplete"]


def test_a_system_is_listed_with_what_dpkg_counts_as_installed_and_its_licenses(
    connector: Connector, tmp_path: Path
) -> None:
    _file(tmp_path / "usr/lib/os-release", 'PRETTY_NAME="Debian GNU/Linux 13"\nID=debian\nVERSION_ID="13"\n')
    _file(tmp_path / "var/lib/dpkg/status", STATUS)
    documents = tmp_path / "usr/share/doc"
    _file(documents / "libc6/copyright", "Format: x\n\nFiles: *\nLicense: LGPL-2.1+\n free text\n\nLicense:  GPL-2\n")
    _file(documents / "prose/copyright", "License: none of these words\nsee /usr/share/common-licenses/GPL-3.\n")
    bill = _bill(connector, "--system", str(tmp_path))
    debian = {
        part["name"]: (part["purl"], [entry["license"]["name"] for entry in part["licenses"]])
        for part in bill["components"]
        if part.get("purl", "").startswith("pkg:deb/")
    }
    kinds = {part["type"]: (part["name"], part["version"]) for part in bill["components"]}

    assert debian == {
        "libc6": (
            "pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=arm64&distro=debian-13&upstream=glibc",
            ["GPL-2", "LGPL-2.1+"],
        ),
        "prose": ("pkg:deb/debian/prose@1%3A2~3?arch=all&distro=debian-13", ["GPL-3"]),
        "silent": ("pkg:deb/debian/silent@4?arch=all&distro=debian-13", ["not stated"]),
    }
    assert kinds["operating-system"] == ("debian", "13")
    assert kinds["platform"] == ("cpython", ".".join(str(part) for part in sys.version_info[:3]))
    assert "compositions" not in bill
