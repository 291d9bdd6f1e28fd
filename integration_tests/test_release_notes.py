"""The notes of a release, and what they refuse to be written for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from harness.suite import ROOT, Connector
from release_notes import main

CHANGELOG = """\
# Changelog

What changes for you.

## 0.2.0 (2026-12-01)

- **A column more**, see [the page](../docs/toy.md#columns) and [elsewhere](https://example.com/x).

## 0.1.0 (2026-11-01)

The first version.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one connector, at 0.2.0."""
    folder = tmp_path / "source-toy"
    folder.mkdir()
    (folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (folder / "metadata.yaml").write_text("data:\n  dockerImageTag: 0.2.0\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n', encoding="utf-8")
    return tmp_path


def test_the_notes_are_the_part_of_that_version(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["source-toy-v0.2.0"], root) == 0
    assert capsys.readouterr().out == (
        "- **A column more**, see [the page](../docs/toy.md#columns) and [elsewhere](https://example.com/x).\n"
    )


def test_links_to_files_of_the_repository_become_whole(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["source-toy-v0.2.0", "--links", "https://example.com/blob/v"], root) == 0
    written = capsys.readouterr().out
    assert "[the page](https://example.com/blob/v/docs/toy.md#columns)" in written
    assert "[elsewhere](https://example.com/x)" in written


def test_the_inlet_needs_no_metadata_of_the_platform(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = (root / "source-toy").rename(root / "webhook-inlet")
    (folder / "metadata.yaml").unlink()

    assert main(["webhook-inlet-v0.2.0"], root) == 0
    assert "A column more" in capsys.readouterr().out
    (folder / "pyproject.toml").write_text('[project]\nversion = "0.3.0"\n', encoding="utf-8")
    assert main(["webhook-inlet-v0.2.0"], root) == 1
    assert "webhook-inlet/pyproject.toml has version 0.3.0, not 0.2.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tag", "file", "old", "new", "said"),
    [
        (
            "source-toy-v0.2.0",
            "metadata.yaml",
            "0.2.0",
            "0.1.0",
            "source-toy/metadata.yaml has version 0.1.0, not 0.2.0",
        ),
        ("source-toy-v0.2.0", "metadata.yaml", "dockerImageTag", "other", "metadata.yaml has version none, not 0.2.0"),
        ("source-toy-v0.2.0", "pyproject.toml", "0.2.0", "0.3.0", "pyproject.toml has version 0.3.0, not 0.2.0"),
        ("source-toy-v0.2.0", "CHANGELOG.md", "## 0.2.0", "## 0.2.1", "CHANGELOG.md says nothing below a heading"),
        ("source-toy-v0.2.0", "CHANGELOG.md", " (2026-12-01)", "", "CHANGELOG.md says nothing below a heading"),
        ("source-toy-v0.1.0", "CHANGELOG.md", "", "", "source-toy/metadata.yaml has version 0.2.0, not 0.1.0"),
        ("source-other-v0.2.0", "CHANGELOG.md", "", "", "is not a package and its version"),
        ("webhook-inlet-v0.2.0", "CHANGELOG.md", "", "", "is not a package and its version"),
        ("v0.2.0", "CHANGELOG.md", "", "", "is not a package and its version"),
        ("source-toy-v0.2", "CHANGELOG.md", "", "", "is not a package and its version"),
    ],
)
def test_a_tag_that_a_file_contradicts_is_refused_by_name(
    root: Path, capsys: pytest.CaptureFixture[str], tag: str, file: str, old: str, new: str, said: str
) -> None:
    path = root / "source-toy" / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new) if old else path.read_text(), encoding="utf-8")

    assert main([tag], root) == 1
    written = capsys.readouterr()
    assert said in written.err
    assert written.out == ""


def test_every_connector_as_it_stands_could_be_released(
    connector: Connector, capsys: pytest.CaptureFixture[str]
) -> None:
    version = connector.metadata["dockerImageTag"]

    assert main([f"{connector.name}-v{version}"]) == 0
    assert len(capsys.readouterr().out) > 100


@pytest.mark.parametrize("folder", ["source-kit", "webhook-inlet", "spark"])
def test_every_other_package_as_it_stands_could_be_released(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert main([f"{project['name']}-v{project['version']}"]) == 0
    assert capsys.readouterr().out


def test_a_package_that_links_to_another_repository_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metadata = root / "source-toy" / "metadata.yaml"
    page = "documentationUrl: https://example.com/OWNER/REPOSITORY/blob/main/docs/toy.md"
    metadata.write_text(f"data:\n  dockerImageTag: 0.2.0\n  {page}\n", encoding="utf-8")

    assert main(["source-toy-v0.2.0", "--links", "https://example.com/OWNER/REPOSITORY/blob/v"], root) == 0
    assert main(["source-toy-v0.2.0", "--links", "https://example.com/acme/sources/blob/v"], root) == 1
    assert (
        "source-toy/metadata.yaml links to https://example.com/OWNER/REPOSITORY, not to https://example.com/acme/sources"
        in capsys.readouterr().err
    )
