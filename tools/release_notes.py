"""Writes the notes of a release to stdout: the part of a changelog that a tag names.

    tools/release_notes.py source-pendo-v0.1.0 [--links URL]      or source-kit-v0.1.0, webhook-inlet-v0.1.0, ...

The tag's version must be that of pyproject.toml, of a dated heading of the changelog, and of a connector's
metadata.yaml; else it ends with 1 and a line for each that differs, so that nothing is released that names itself
otherwise. `--links` is the address of the repository's files at that tag; links to files of the repository become whole
with it, and the addresses of the repository in pyproject.toml and metadata.yaml must be of that repository.

Standard library only.
"""

from __future__ import annotations

import argparse
import posixpath
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_TAG = re.compile(r"(source-[a-z0-9-]+|webhook-inlet|product-analytics-spark)-v(\d+\.\d+\.\d+)")
#: Packages whose folder has another name
_FOLDERS = {"product-analytics-spark": "spark"}
_NO_CONNECTORS = {"source-kit", "webhook-inlet", "product-analytics-spark"}
_HEADING = re.compile(r"^## (\S+) \(\d{4}-\d{2}-\d{2}\)$", re.MULTILINE)
_IMAGE_TAG = re.compile(r"^ *dockerImageTag: *[\"']?([^\"'\s]+)", re.MULTILINE)
_ADDRESS = re.compile(r"https?://[^\s\"]+(?=/blob/main/)")
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s]+)\)")


def sections(changelog: str) -> dict[str, str]:
    """The text below each dated heading, by version."""
    parts = _HEADING.split(changelog)[1:]
    return {version: text.strip() for version, text in zip(parts[::2], parts[1::2], strict=True)}


def problems(folder: Path, version: str) -> list[str]:
    """A line for each file of a package that does not have this version."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = {"pyproject.toml": project["version"]}
    if (folder / "metadata.yaml").is_file():
        metadata = _IMAGE_TAG.search((folder / "metadata.yaml").read_text(encoding="utf-8"))
        stated["metadata.yaml"] = metadata[1] if metadata else "none"
    lines = [f"{folder.name}/{name} has version {it}, not {version}" for name, it in stated.items() if it != version]
    if not sections((folder / "CHANGELOG.md").read_text(encoding="utf-8")).get(version):
        lines.append(f"{folder.name}/CHANGELOG.md says nothing below a heading `## {version} (year-month-day)`")
    return lines


def foreign_addresses(folder: Path, links: str) -> list[str]:
    """A line for each file whose readers would be led to another repository than the one of `links`."""
    repository = links.partition("/blob/")[0]
    files = [path for name in ("pyproject.toml", "metadata.yaml") if (path := folder / name).is_file()]
    found = {(path.name, it) for path in files for it in _ADDRESS.findall(path.read_text(encoding="utf-8"))}
    return [
        f"{folder.name}/{name} links to {address}, not to {repository}: CONTRIBUTING.md has the command that changes it"
        for name, address in sorted(found)
        if address != repository
    ]


def folder_of(package: str, root: Path) -> Path | None:
    """The folder of a package that has releases of its own."""
    folder = root / _FOLDERS.get(package, package)
    mark = "pyproject.toml" if package in _NO_CONNECTORS else "metadata.yaml"
    return folder if (folder / mark).is_file() else None


def whole_links(text: str, folder: str, address: str) -> str:
    """The text with links that are relative to a folder of the repository made into addresses."""
    return _LINK.sub(lambda link: f"]({address}/{posixpath.normpath(posixpath.join(folder, link[1]))})", text)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag")
    parser.add_argument("--links")
    options = parser.parse_args(arguments)
    tag = _TAG.fullmatch(options.tag)
    folder = folder_of(tag[1], root) if tag else None
    if tag is None or folder is None:
        found = [f"{options.tag} is not a package and its version, such as source-pendo-v0.1.0 or webhook-inlet-v0.1.0"]
    else:
        found = problems(folder, tag[2]) + (foreign_addresses(folder, options.links) if options.links else [])
    for line in found:
        print(f"release: {line}", file=sys.stderr)
    if tag is None or folder is None or found:
        return 1
    notes = sections((folder / "CHANGELOG.md").read_text(encoding="utf-8"))[tag[2]]
    print(whole_links(notes, folder.name, options.links) if options.links else notes)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
