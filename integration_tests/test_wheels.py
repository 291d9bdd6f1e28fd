"""Packages with a module in C as pip installs them: where a compiler is with it, elsewhere without it, but working."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness.compiled import COMPILED, CompiledModule
from harness.suite import ROOT, Connector, connectors
from harness.vendors import running
from test_kit.catalogs import configured
from test_kit.command import arguments, run_process
from test_kit.messages import Output

SLOW = "read slowly"
#: What differs from one sync to the next
_TIMES = {"read_at"}


@dataclass(frozen=True, slots=True)
class Built:
    """What `uv build` made: the source distribution, the wheel that was built from it, and the wheel's contents."""

    module: CompiledModule
    source: Path
    wheel: Path
    unpacked: Path

    @property
    def environment(self) -> dict[str, str]:
        """With the wheel in place of the package in this environment."""
        return {**os.environ, "PYTHONPATH": str(self.unpacked)}

    def reads_by(self, way: str) -> None:
        """Reads a little."""
        package = self.module.package
        command = [sys.executable, str(ROOT / "tools" / "try_compiled.py"), package, way]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment, timeout=240)
        assert (done.stdout, done.returncode) == (f"try_compiled: {package} in the {way} way works\n", 0), done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository: builds write into their folder, and other tests copy that at the same time."""
    folder = tmp_path_factory.mktemp("wheels") / "repository"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "*.so", "*.duckdb*")
    return Path(shutil.copytree(ROOT, folder, ignore=left_out))


def _built(module: CompiledModule, checkout: Path, folder: Path, **environment: str) -> Built:
    command = [ROOT / ".uv/bin/uv", "build", "--python", sys.executable, "--out-dir", folder]
    command += ["--package", module.package]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout,
        env={**os.environ, **environment},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    shutil.unpack_archive(wheel, folder / "unpacked", "zip")
    return Built(module, source, wheel, folder / "unpacked")


@pytest.fixture(scope="module", params=COMPILED)
def module(request: pytest.FixtureRequest) -> CompiledModule:
    """Each module."""
    return COMPILED[request.param]


@pytest.fixture(scope="module")
def without_compiler(module: CompiledModule, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """As on a machine that has none."""
    return _built(module, checkout, tmp_path_factory.mktemp("without"), CC="/bin/false")


def test_without_a_compiler_a_package_installs_and_reads_in_python(without_compiler: Built) -> None:
    assert not (without_compiler.unpacked / without_compiler.module.file).exists()
    without_compiler.reads_by("reference")


@pytest.mark.compiler
def test_with_a_compiler_one_wheel_serves_every_python(module: CompiledModule, checkout: Path, tmp_path: Path) -> None:
    built = _built(module, checkout, tmp_path)

    assert "-cp311-abi3-" in built.wheel.name
    assert (built.unpacked / module.file).is_file()
    built.reads_by("native")


@pytest.mark.compiler
def test_a_sync_without_the_module_emits_the_same_records_and_says_once_that_it_is_slow(
    without_compiler: Built, tmp_path: Path
) -> None:
    """Both in processes of their own, from one vendor."""
    connector = next(one for one in connectors() if one.name == without_compiler.module.package)
    with running(connector) as vendor:
        fast = _read(connector, vendor.config, tmp_path / "fast", dict(os.environ))
        slow = _read(connector, vendor.config, tmp_path / "slow", without_compiler.environment)

    assert fast.logged(SLOW) == []
    assert len(slow.logged(SLOW)) == 1
    assert _without_times(slow) == _without_times(fast) != {}


def _read(connector: Connector, config: dict[str, Any], folder: Path, environment: dict[str, str]) -> Output:
    """All streams that the metadata suggests."""
    folder.mkdir()

    def run(verb: str, **files: Any) -> Output:
        return run_process([str(connector.script), *arguments(folder, verb, (), files)], env=environment).succeeded()

    catalog = run("discover", config=config).catalog
    offered = {stream["name"] for stream in catalog["streams"]}
    suggested = [name for name in connector.metadata["suggestedStreams"]["streams"] if name in offered]
    return run("read", config=config, catalog=configured(catalog, suggested))


def _without_times(output: Output) -> dict[str, list[dict[str, Any]]]:
    """The records of each stream in an order of their own: streams are read side by side."""
    return {
        name: sorted(({key: row[key] for key in row if key not in _TIMES} for row in rows), key=repr)
        for name, rows in output.records.items()
    }


def test_a_wheel_has_every_file_of_the_package(without_compiler: Built) -> None:
    """Schemas in folders of their own, the specification and the mark of typed packages are easily left out."""
    module = without_compiler.module
    package = module.folder / module.name.partition(".")[0]
    files = {path.relative_to(module.folder) for path in package.rglob("*") if path.is_file() and path.suffix != ".so"}
    kept = {path for path in files if path.parent.name != "__pycache__"}

    assert {"py.typed", "spec.yaml"} <= {path.name for path in kept}
    assert {path for path in kept if not (without_compiler.unpacked / path).is_file()} == set()


def test_a_wheel_requires_the_kit_by_its_name_alone(without_compiler: Built) -> None:
    """A folder of the machine that built it would be of no use elsewhere."""
    (metadata,) = without_compiler.unpacked.glob("*.dist-info/METADATA")
    required = [line for line in metadata.read_text(encoding="utf-8").splitlines() if line.startswith("Requires-Dist:")]

    assert "Requires-Dist: source-kit" in required
    assert not any("@" in line for line in required)


def test_pip_takes_the_kit_from_the_checkout(checkout: Path, tmp_path: Path) -> None:
    """Without the other requirements, which come from the index."""
    packages = [f"./{name}" for name in ("source-pendo", "source-customerio", "source-heap", "webhook-inlet")]
    pip = [ROOT / ".uv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--dry-run", "--ignore-installed", "--no-deps", "--report", tmp_path / "report.json", *packages]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr

    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    found = [part["metadata"] for part in report["install"]]
    kits = {part["name"]: [line for line in part["requires_dist"] if "source-kit" in line] for part in found}
    kit = [f"source-kit @ {(checkout / 'source-kit').as_uri()}"]
    assert kits == {"source-pendo": kit, "source-customerio": kit, "source-heap": kit, "webhook-inlet": []}


@pytest.mark.parametrize("name", ["source-pendo", "source-customerio", "source-heap"])
def test_pip_takes_no_folder_beside_a_source_distribution(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip unpacks it into the system's temporary folder, where everybody may have made a folder of the kit's name."""
    unpacked = tmp_path / name
    required: list[dict[str, list[str]]] = []
    unpacked.mkdir()
    shutil.copy(ROOT / name / "setup.py", unpacked)
    (unpacked / "PKG-INFO").touch()
    (tmp_path / "source-kit").mkdir()
    monkeypatch.setenv("PIP_BUILD_TRACKER", "/")
    monkeypatch.delenv("CIBUILDWHEEL", raising=False)
    monkeypatch.setitem(sys.modules, "setuptools", SimpleNamespace(setup=lambda **given: required.append(given)))
    runpy.run_path(str(unpacked / "setup.py"))
    assert [line for line in required[0]["install_requires"] if "source-kit" in line] == ["source-kit"]


def test_the_source_distribution_has_every_file_that_the_compiler_reads(without_compiler: Built) -> None:
    with tarfile.open(without_compiler.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert without_compiler.module.read_by_the_compiler <= names
    assert not any(name.endswith(".so") for name in names)
