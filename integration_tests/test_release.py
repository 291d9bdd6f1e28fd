"""The release workflow without its hosting: the commands of its jobs, as they stand in the file, on a copy.

The copy has the address of a repository, as its owner would have written it. Nothing is uploaded, and the package index
is not asked what it has: a stand-in for `python3` answers for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.suite import ROOT

pytestmark = [pytest.mark.twine, pytest.mark.slow]

PLACEHOLDER, REPOSITORY = "OWNER/REPOSITORY", "acme/product-analytics"
_NOT_COPIED = shutil.ignore_patterns(
    *(
        ".git",
        ".cache",
        ".demo",
        ".venv",
        ".uv",
        "__pycache__",
        ".*_cache",
        "build",
        "dist",
        "*.so",
        "unit_tests",
        "benchmarks",
    )
)
#: Package, its folder, and the wheels that its release has. The others are built by the same lines.
PACKAGES = {
    "source-kit": ("source-kit", {"source_kit"}),
    "source-customerio": ("source-customerio", {"source_kit"}),
    "product-analytics-spark": ("spark", {"product_analytics_spark", "source_kit"}),
}
#: Answers for `pip download`: the index has the packages that INDEX names
PIP = """#!/bin/sh
for it; do last=$it; done
case " $INDEX " in *" $last "*) ;; *) echo "No matching distribution found for $last" >&2; exit 1 ;; esac
"""


def _steps(job: str) -> dict[str, str]:
    """The commands of a job, by the step's name or the command itself."""
    workflow: Any = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    return {step.get("name", step["run"]): step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step}


@dataclass(frozen=True)
class Repository:
    """The copy, on a runner of the hosting service."""

    folder: Path
    package: str
    version: str

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A step, as the runner starts it."""
        given = {
            "GITHUB_REF_NAME": f"{self.package}-v{self.version}",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_OUTPUT": str(self.folder.parent / "output"),
            "RUNNER_TEMP": str(self.folder.parent),
            "PACKAGE": self.package,
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
        environment = {**os.environ, **given, **environment}
        return subprocess.run(
            shell, capture_output=True, text=True, check=False, cwd=self.folder, env=environment, timeout=240
        )

    @property
    def built(self) -> set[str]:
        """What lies in dist/."""
        return {path.name for path in (self.folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def placeholder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository as it stands."""
    folder = tmp_path_factory.mktemp("release") / "repository"
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED, symlinks=True)
    for shared in (".uv", "integration_tests/clients/twine/.venv"):
        (folder / shared).symlink_to(ROOT / shared)
    return folder


@pytest.fixture(scope="module")
def folder(placeholder: Path) -> Path:
    """The copy after the command of CONTRIBUTING.md, which needs a repository of git."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    command = re.search(r"`(git grep -lE '\S+' \| xargs sed \S+ '[^']+')`", contributing)
    assert command is not None
    done = _step(placeholder, "source-kit", "source-kit", "notes, and whether the tag is right")
    assert done.returncode == 1
    assert f"links to https://github.com/{PLACEHOLDER}, not to https://github.com/{REPOSITORY}" in done.stderr
    for line in ("git init -q", "git add --all", command[1].replace("your-name/your-repository", REPOSITORY)):
        subprocess.run(["sh", "-ec", line], check=True, cwd=placeholder, capture_output=True)
    return placeholder


def _version(folder: Path) -> str:
    return str(tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _step(folder: Path, package: str, home: str, name: str) -> subprocess.CompletedProcess[str]:
    return Repository(folder, package, _version(folder / home)).run(_steps("parts")[name])


@pytest.fixture(scope="module", params=PACKAGES)
def released(request: pytest.FixtureRequest, folder: Path) -> Repository:
    """The copy after the job `parts` for the package's tag."""
    shutil.rmtree(folder / "dist", ignore_errors=True)
    repository = Repository(folder, request.param, _version(folder / PACKAGES[request.param][0]))
    for command in _steps("parts").values():
        done = repository.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
    return repository


def test_a_release_has_notes_wheels_that_the_index_takes_and_the_locked_versions(released: Repository) -> None:
    package, version = released.package, released.version
    wheels = list((released.folder / "dist").glob("*.whl"))
    requirements = (released.folder / "dist" / f"{package}.requirements.txt").read_text(encoding="utf-8")
    notes = (released.folder / "dist" / "notes.md").read_text(encoding="utf-8")

    assert (released.folder.parent / "output").read_text().endswith(f"package={package}\nversion={version}\n")
    assert {path.name.partition("-")[0] for path in wheels} == PACKAGES[package][1]
    assert f"{package.replace('-', '_')}-{version}.tar.gz" in released.built
    assert "==" in requirements
    assert notes.strip()
    for wheel in wheels:
        metadata = _metadata(wheel)
        assert PLACEHOLDER not in metadata
        assert re.findall(r"^Requires-Dist: .* @ .*$", metadata, re.MULTILINE) == [], "the index refuses these"


def _metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def test_only_the_package_is_uploaded_and_not_before_what_it_needs(released: Repository, tmp_path: Path) -> None:
    step = _steps("index")["only this package, and what it needs comes first"]
    program = tmp_path / "python3"
    program.write_text(PIP, encoding="utf-8")
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    name = released.package.replace("-", "_")
    if not list((released.folder / "dist").glob(f"{name}-*.whl")):  # it comes from the job `compiled`
        (released.folder / "dist" / f"{name}-{released.version}-cp311-abi3-manylinux.whl").touch()
    needed = {"source-customerio": ["source-kit"], "product-analytics-spark": ["source-kit", "source-heap"]}
    first = needed.get(released.package, [])
    known = [f"{it}=={_version(released.folder / it)}" for it in first]

    shutil.rmtree(released.folder / "upload", ignore_errors=True)
    done = released.run(step, PATH=path, INDEX=" ".join(known))
    uploaded = {file.name.partition("-")[0] for file in (released.folder / "upload").iterdir()}
    refused = released.run(step, PATH=path, INDEX=" ".join(known[:-1]))

    assert done.returncode == 0, done.stderr
    assert uploaded == {name}
    assert refused.returncode == (1 if first else 0)
    if first:
        assert f"release {first[-1]}-v{_version(released.folder / first[-1])} first." in refused.stdout


def test_every_package_that_has_a_wheel_can_be_released() -> None:
    wheels = re.search(r"^WHEELS +:= (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    workflow: Any = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    patterns = workflow[True]["push"]["tags"]  # `on` is a boolean of YAML 1.1

    assert wheels is not None
    assert wheels[1] == "source-kit $(SHIPPED) product-analytics-spark"
    assert patterns == [f"{name}-v[0-9]*" for name in ("source-*", "webhook-inlet", "product-analytics-spark")]
