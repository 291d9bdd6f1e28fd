"""The modules in C: tests run what the sources here are, and every recipe knows every one of them."""

from __future__ import annotations

import re

import pytest
import yaml
from harness.compiled import COMPILED, CompiledModule
from harness.suite import ROOT


@pytest.fixture(params=COMPILED)
def module(request: pytest.FixtureRequest) -> CompiledModule:
    """Each module."""
    return COMPILED[request.param]


def test_every_folder_of_c_belongs_to_a_module() -> None:
    assert {path.parent.name for path in ROOT.glob("*/native")} == set(COMPILED) != set()


def test_every_source_is_declared_so_that_a_change_of_it_builds_the_module(module: CompiledModule) -> None:
    found = {path.relative_to(module.folder).as_posix() for path in (module.folder / "native").glob("*.[ch]")}

    assert found == module.read_by_the_compiler


def test_the_module_is_not_older_than_its_sources(module: CompiledModule) -> None:
    built = module.folder / module.file
    if not built.exists():
        pytest.skip("there was no C compiler when `tools/bootstrap.sh` ran")
    sources = [module.folder / name for name in module.read_by_the_compiler]
    newer = [path.name for path in sources if path.stat().st_mtime > built.stat().st_mtime]

    assert newer == [], "run tools/bootstrap.sh"


def test_all_modules_are_compiled_alike() -> None:
    """Strangers' bytes go to each of them, so none does without a check that another has."""
    own = {"name", "sources", "depends"}
    settings = [
        {key: value for key, value in module.described.items() if key not in own} for module in COMPILED.values()
    ]

    assert all(setting == settings[0] for setting in settings)
    assert settings[0]["optional"] is True
    assert settings[0]["py-limited-api"] is True


def test_images_the_setup_and_the_release_know_every_module() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    with_compiler = re.search(r"^ *(source-.*)\) /tmp/compiler\.sh", dockerfile, re.MULTILINE)
    checked = re.search(r"sed -n 's/(.*)/\\1/p' \"\$\{PACKAGE\}/pyproject", dockerfile)
    reinstalled = re.findall(
        r"--reinstall-package (\S+)", (ROOT / "tools" / "bootstrap.sh").read_text(encoding="utf-8")
    )
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    wheels = re.findall(r'"([\w-]+)"', yaml.safe_load(workflow)["jobs"]["compiled"]["if"])
    local = re.findall(r"dist/(\w+)-\*\.whl", workflow)

    assert with_compiler is not None
    assert checked is not None
    assert set(with_compiler[1].split(" | ")) == set(reinstalled) == set(wheels) == set(COMPILED)
    assert {name.replace("_", "-") for name in local} == set(COMPILED), "their wheels fit one machine only"
    pattern = checked[1].replace(r"\(", "(").replace(r"\)", ")")
    for module in COMPILED.values():
        text = (module.folder / "pyproject.toml").read_text(encoding="utf-8")
        assert re.findall(pattern, text, re.MULTILINE) == [module.name]
