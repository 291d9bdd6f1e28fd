"""Writes a package's bill of materials (CycloneDX 1.5, JSON) to stdout.

    tools/sbom.py source-pendo [--environment DIR] [--uv FILE] [--system DIR] [--same-packages FILE]

The Python packages and their dependencies come from the lock (`uv export`), their licenses from the metadata in the
environment. `--system` is the root directory of the image's system. With it (as the Dockerfile does) the bill also
lists the Python that runs this file, the operating system and Debian's packages. Without it the bill is marked as
incomplete. `--same-packages` writes nothing; the exit code is 1 if the Python packages of another bill are different.

The same inputs give the same bytes, so there is no time and no serial number. The build of an image runs this file, so
it uses the standard library only, and `packaging`, which pip contains.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import licenses

try:
    from packaging.markers import Marker
except ImportError:
    from pip._vendor.packaging.markers import Marker

Component = dict[str, Any]
#: The system of the images; this machine can have another one
_LINUX = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}
#: SPDX has one name for CPython and the older licenses in it
_INTERPRETER_LICENSE = "Python-2.0.1"
_COMMON_LICENSE = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[0-9.]*[0-9])?)")
_DEBIAN_LICENSE = re.compile(r"^License:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)


def bill(package: str, environment: Path, uv: Path, system: Path | None) -> dict[str, Any]:
    """The whole document."""
    options = ["--frozen", "--offline", "--no-dev", "--quiet", "--format", "cyclonedx1.5", "--package", package]
    exported = subprocess.run([uv, "export", *options], capture_output=True, check=True, cwd=licenses.ROOT)
    document: dict[str, Any] = json.loads(exported.stdout)
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    packages = licenses.installed(environment.glob("lib/python3*/site-packages"))
    root = document["metadata"]["component"]
    root["type"] = "application"
    components = [component for component in document["components"] if _is_for_linux(component)]
    for component in (root, *components):
        component["licenses"] = _license(licenses.license_of(packages[licenses.normalized(component["name"])]))
    if system is None:
        document["compositions"] = [{"aggregate": "incomplete", "assemblies": [root["bom-ref"]]}]
    else:
        components += [_interpreter(), *_system(system)]
    document["components"] = components
    document["dependencies"] = list(_among(document["dependencies"], {part["bom-ref"] for part in (root, *components)}))
    return document


def python_packages(document: dict[str, Any]) -> set[str]:
    """The Python packages of a bill, as package URLs."""
    return {part["purl"] for part in document["components"] if part.get("purl", "").startswith("pkg:pypi/")}


def _is_for_linux(component: Component) -> bool:
    """Whether a package is installed on Linux. The lock also has packages for other systems."""
    markers = [part["value"] for part in component.get("properties", ()) if part["name"] == "uv:package:marker"]
    return all(Marker(marker).evaluate(_LINUX) for marker in markers)


def _among(dependencies: list[Component], known: set[str]) -> Iterator[Component]:
    """The dependencies between components of the bill."""
    for entry in dependencies:
        if entry["ref"] in known:
            needs = [ref for ref in entry.get("dependsOn", ()) if ref in known]
            yield {"ref": entry["ref"], **({"dependsOn": needs} if needs else {})}


def _license(expression: str) -> list[Component]:
    return [{"expression": expression} if " " in expression else {"license": {"id": expression}}]


def _interpreter() -> Component:
    version = platform.python_version()
    return {
        "type": "platform",
        "bom-ref": f"pkg:generic/cpython@{version}",
        "name": "cpython",
        "version": version,
        "licenses": _license(_INTERPRETER_LICENSE),
        "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/cpython@{version}",
    }


def _system(root: Path) -> Iterator[Component]:
    """The operating system, and each package that dpkg lists as installed."""
    release = _os_release(root)
    name, version = release["ID"], release.get("VERSION_ID", "")
    yield {
        "type": "operating-system",
        "bom-ref": f"{name}-{version}",
        "name": name,
        "version": version,
        "description": release["PRETTY_NAME"],
    }
    entries = (root / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n")
    for entry in sorted(entries):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", entry, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            yield _debian_package(fields, f"{name}-{version}", _debian_licenses(root, fields["Package"]))


def _os_release(root: Path) -> dict[str, str]:
    text = (root / "usr/lib/os-release").read_text(encoding="utf-8")
    return {key: value.strip('"') for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)}


def _debian_package(fields: dict[str, str], distribution: str, names: list[str]) -> Component:
    """A Debian package. `upstream` names its source package, because scanners look up vulnerabilities by it."""
    package, version = fields["Package"], fields["Version"]
    qualifiers = f"arch={fields['Architecture']}&distro={distribution}"
    if source := fields.get("Source"):
        qualifiers += f"&upstream={quote(source.split()[0], safe='')}"
    purl = f"pkg:deb/debian/{quote(package, safe='')}@{quote(version, safe='')}?{qualifiers}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package,
        "version": version,
        "licenses": [{"license": {"name": name}} for name in names],
        "purl": purl,
    }


def _debian_licenses(root: Path, package: str) -> list[str]:
    """The licenses in the copyright file of a Debian package, with Debian's names.

    A file in free form gives the common licenses that it refers to.
    """
    place = f"usr/share/doc/{package}/copyright"
    path = root / place
    if not Path(os.path.realpath(path)).is_relative_to(root.resolve()) or not path.is_file():
        return ["not stated"]
    text = path.read_text(encoding="utf-8", errors="replace")
    found = (_DEBIAN_LICENSE if text.startswith("Format:") else _COMMON_LICENSE).findall(text)
    return sorted(set(found)) or [f"see /{place}"]


def main() -> int:
    """Prints the bill, or compares it with another one. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", help="a connector, or webhook-inlet")
    parser.add_argument("--environment", type=Path, default=licenses.ROOT / ".venv")
    parser.add_argument("--uv", type=Path, default=licenses.ROOT / ".uv/bin/uv")
    parser.add_argument("--system", type=Path)
    parser.add_argument("--same-packages", type=Path)
    options = parser.parse_args()
    document = bill(options.package, options.environment, options.uv, options.system)
    if options.same_packages:
        other = json.loads(options.same_packages.read_text(encoding="utf-8"))
        return int(python_packages(other) != python_packages(document))
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
