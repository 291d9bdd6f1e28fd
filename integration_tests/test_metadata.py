"""What a registry of connectors reads: metadata.yaml, the icon, and the page that it links to."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from harness.suite import ROOT, Connector

#: Until the owner of the repository writes its address, see CONTRIBUTING.md
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/(?:blob/main/([\w./-]+)(?:#([\w-]+))?|security/)")
MODELS = ROOT / "integration_tests" / "clients" / "airbyte-cdk" / ".venv" / "bin" / "python"
#: Airbyte's own models of the file, from standard input; the version of the rules is the client's lock
VALIDATE = """
import sys, yaml
from airbyte_connector_models.metadata.v0.connector_metadata_definition_v0 import ConnectorMetadataDefinitionV0
ConnectorMetadataDefinitionV0.model_validate(yaml.safe_load(sys.stdin))
"""


def _validated(metadata: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MODELS, "-c", VALIDATE], input=metadata, capture_output=True, text=True, check=False)


@pytest.mark.airbyte_cdk
def test_the_registry_accepts_the_metadata_and_refuses_a_field_that_it_does_not_know(connector: Connector) -> None:
    metadata = (connector.folder / "metadata.yaml").read_text(encoding="utf-8")

    assert _validated(metadata).stderr == ""
    assert "dockerImageTagg" in _validated(metadata.replace("dockerImageTag:", "dockerImageTagg:")).stderr


def test_the_metadata_agrees_with_the_files_that_it_is_about(connector: Connector) -> None:
    metadata = connector.metadata
    project = tomllib.loads((connector.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = re.search(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    changelog = (connector.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert base is not None

    assert metadata["connectorBuildOptions"]["baseImage"] == f"docker.io/library/{base[1]}"
    assert metadata["dockerImageTag"] == project["version"]
    assert metadata["license"] == project["license"]["text"]
    assert metadata["remoteRegistries"]["pypi"]["packageName"] == project["name"] == metadata["dockerRepository"]
    assert metadata["releaseDate"] == re.findall(r"^## \S+ \((\S+)\)$", changelog, re.MULTILINE)[-1]


def test_the_icon_is_a_square_svg(connector: Connector) -> None:
    icon = ElementTree.parse(connector.folder / connector.metadata["icon"]).getroot()  # noqa: S314 - our own file

    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    assert icon.get("width") == icon.get("height")
    assert re.fullmatch(r"0 0 (\d+) \1", icon.get("viewBox", ""))


def _addresses() -> dict[str, list[tuple[str, str, str]]]:
    """Repository, file and heading of every address of this repository, by the file that has it."""
    files = [*ROOT.glob("source-*/metadata.yaml"), *ROOT.glob("source-*/source_*/spec.yaml")]
    files += [*ROOT.glob("*/pyproject.toml"), ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"]
    found = {str(file.relative_to(ROOT)): ADDRESS.findall(file.read_text(encoding="utf-8")) for file in files}
    return {file: addresses for file, addresses in found.items() if addresses}


def test_every_address_of_this_repository_is_the_same_one_and_leads_to_a_page_and_heading_that_exist() -> None:
    addresses = _addresses()
    linked = {(page, heading) for each in addresses.values() for _, page, heading in each if page}

    assert len(addresses) == 3 + 3 + 6 + 1
    assert len({repository for each in addresses.values() for repository, _, _ in each}) == 1
    assert [page for page, _ in linked if not (ROOT / page).is_file()] == []
    assert [it for it in linked if it[1] and f"\n## {it[1].title()}\n" not in (ROOT / it[0]).read_text()] == []


def test_specification_and_metadata_link_to_the_connectors_page(connector: Connector) -> None:
    specification = yaml.safe_load((connector.folder / connector.package / "spec.yaml").read_text(encoding="utf-8"))

    assert specification["documentationUrl"] == connector.metadata["documentationUrl"]
    assert connector.metadata["documentationUrl"].endswith(f"/docs/{connector.vendor}.md")


def _sections(page: Path) -> dict[str, str]:
    parts = re.split(r"^#{1,4} (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_page_has_the_headings_of_airbytes_template_in_its_order(connector: Connector) -> None:
    """As its QA checks want them; Prerequisites names what the specification requires."""
    name = connector.metadata["name"]
    sections = _sections(ROOT / "docs" / f"{connector.vendor}.md")
    wanted = [name, "Prerequisites", "Setup guide", f"Set up {name}", f"Set up the {name} connector in Airbyte"]
    wanted += ["Supported sync modes", "Supported Streams", "Changelog"]
    specification = yaml.safe_load((connector.folder / connector.package / "spec.yaml").read_text(encoding="utf-8"))
    options: dict[str, Any] = specification["connectionSpecification"]
    titles = [options["properties"][option]["title"] for option in options["required"]]

    assert [heading for heading in sections if heading in wanted] == wanted
    assert [title for title in titles if title.lower() not in sections["Prerequisites"].lower()] == []
