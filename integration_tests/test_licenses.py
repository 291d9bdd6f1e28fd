"""The license check of `make check`: what it lets through, and that it fails for what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness.suite import ROOT
from licenses import SHIPPED, permits

GPL = "Classifier: License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)"


def _checked(planted: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command, with packages before those of this environment."""
    environment = {**os.environ, "PYTHONPATH": str(planted or "")}
    command = [sys.executable, str(ROOT / "tools" / "licenses.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)


def _planted(folder: Path, name: str, *metadata: str) -> Path:
    """A directory with a package of this name and these lines in its metadata."""
    info = folder / f"{name}-99.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 99.0", *metadata, ""]
    (info / "METADATA").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_every_locked_package_has_an_allowed_license_and_make_check_asks() -> None:
    done = _checked()
    recipe = subprocess.run(["make", "-n", "check"], capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert "tools/licenses.py" in recipe


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("requests", ["License-Expression: GPL-3.0-or-later"]),
        ("requests", [GPL]),
        ("requests", ["License: MIT", GPL]),
        ("requests", ["License: GPL-3.0", "Classifier: License :: OSI Approved :: MIT License"]),
        ("requests", ["License-Expression: MIT AND LGPL-3.0-only"]),
        ("requests", ["License-Expression: MIT AND"]),
        ("requests", ["License: A license of our own"]),
        ("requests", ["License: BSD"]),
        ("requests", []),
        ("pytest", [GPL]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_package_whose_license_is_not_allowed_or_not_known_fails_the_check_by_name(
    tmp_path: Path, name: str, metadata: list[str]
) -> None:
    done = _checked(_planted(tmp_path, name, *metadata))

    assert done.returncode == 1, done.stderr
    assert f"licenses: {name}: " in done.stdout
    assert f"is not allowed {'in an image' if name == 'requests' else 'here'}" in done.stdout


def test_what_is_used_here_alone_may_carry_what_an_image_may_not(tmp_path: Path) -> None:
    done = _checked(_planted(tmp_path, "pytest", "License-Expression: LGPL-3.0-only"))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("MIT", True),
        ("GPL-2.0-only", False),
        ("GPL-2.0-only OR MIT", True),
        ("MIT OR GPL-2.0-only", True),
        ("MIT AND GPL-2.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("MIT OR GPL-2.0-only AND GPL-3.0-only", True),
        ("(MIT OR GPL-2.0-only) AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", False),
    ],
)
def test_an_expression_is_read_as_spdx_means_it(expression: str, met: bool) -> None:
    assert permits(SHIPPED, expression) is met
