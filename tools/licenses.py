"""Holds the licenses of the locked packages against an allow-list; a part of `make check`, needs no network.

What ships with a connector is judged by `SHIPPED`. What only tests and tools use never leaves this repository, so it is
judged by the wider `ALLOWED`. A license that nobody looked at is refused like a wrong one. `sbom.py` takes the licenses
for the bills of materials from here.

Needs the packages' metadata, so it runs in the environment that holds them (`.venv`), and uv for the list of what
ships. Standard library only: the build of an image runs this file, too.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: SPDX identifiers that an MIT-licensed image may carry. MPL-2.0 binds changed files of the package alone.
SHIPPED = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MPL-2.0", "PSF-2.0"})
#: Licenses of what is used here and not passed on
ALLOWED = SHIPPED | {"CNRI-Python", "ISC", "LGPL-3.0-only", "LicenseRef-BSD", "MIT-0"}

#: Packages whose metadata name no license, or not which one: the license and where it was read
BY_NAME: Mapping[str, tuple[str, str]] = {
    "colorama": ("BSD-3-Clause", "for Windows, so not installed to be read; its LICENSE.txt"),
    "python-dateutil": (
        "BSD-3-Clause",
        '"Dual License"; its LICENSE puts all of the code under BSD, newer parts under both',
    ),
    "pywin32": ("PSF-2.0", "for Windows, so not installed to be read; its classifier"),
}

#: One of the BSD licenses, and the metadata do not say which
_SOME_BSD = "LicenseRef-BSD"
#: What is longer in the field `License` is a text and not a name
_LONGEST_NAME = 60
#: What older metadata write in the field `License`, or as a classifier, and mean
_SPELLINGS: Mapping[str, str] = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd": _SOME_BSD,
    "bsd license": _SOME_BSD,
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
}
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def normalized(name: str) -> str:
    """A package's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def license_of(package: importlib.metadata.Distribution) -> str:
    """A package's SPDX expression; `LicenseRef-...` with the metadata's words where these are not known or disagree.

    Metadata of version 2.4 have an expression (certain: PEP 639). Older ones have classifiers and the field `License`,
    where some write a name and some the whole text.
    """
    if known := BY_NAME.get(normalized(package.name)):
        return known[0]
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    lines = metadata.get_all("Classifier") or ()
    claims = {line.rpartition(" :: ")[2] for line in lines if line.startswith("License :: ")} - {"DFSG approved"}
    field = str(metadata.get("License") or "")
    if field and (len(field) <= _LONGEST_NAME or not claims):
        claims.add(field)
    meant = {_SPELLINGS.get(claim.lower(), claim) for claim in claims}
    if any(license_.startswith("BSD-") for license_ in meant):
        meant.discard(_SOME_BSD)
    if len(meant) == 1 and meant <= set(_SPELLINGS.values()):
        return meant.pop()
    return "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", " AND ".join(sorted(meant)) or "none")[:80].strip("-")


def permits(allowed: frozenset[str], expression: str) -> bool:
    """Whether an SPDX expression can be met by these identifiers: all parts of an AND, one part of an OR.

    Raises ValueError for what is no expression. `X WITH Y` is taken as the identifier of that name.
    """
    tokens = _TOKEN.findall(re.sub(r"\s+WITH\s+", "-WITH-", expression))
    met = _either(tokens, allowed)
    if tokens:
        raise ValueError(expression)
    return met


def _either(tokens: list[str], allowed: frozenset[str]) -> bool:
    met = _both(tokens, allowed)
    while tokens[:1] == ["OR"]:
        del tokens[0]
        met = _both(tokens, allowed) or met
    return met


def _both(tokens: list[str], allowed: frozenset[str]) -> bool:
    met = _one(tokens, allowed)
    while tokens[:1] == ["AND"]:
        del tokens[0]
        met = _one(tokens, allowed) and met
    return met


def _one(tokens: list[str], allowed: frozenset[str]) -> bool:
    token = tokens.pop(0) if tokens else ")"
    if token != "(":
        if token in {")", "AND", "OR"}:
            raise ValueError(token)
        return token in allowed
    met = _either(tokens, allowed)
    if tokens[:1] != [")"]:
        raise ValueError(token)
    del tokens[0]
    return met


def installed(path: Iterable[Path] = ()) -> dict[str, importlib.metadata.Distribution]:
    """The packages in these directories, or of the running interpreter, by name."""
    folders = [str(folder) for folder in path] or sys.path
    packages: dict[str, importlib.metadata.Distribution] = {}
    for package in importlib.metadata.distributions(path=folders):
        packages.setdefault(normalized(package.name), package)  # the first one is the one that is imported
    return packages


def problems(
    locked: Iterable[str], shipped: frozenset[str], packages: Mapping[str, importlib.metadata.Distribution]
) -> Iterator[str]:
    """A line for each locked package that may not be here, or not be shipped."""
    for name in sorted(locked):
        if name in packages:
            expression = license_of(packages[name])
        elif name in BY_NAME:
            expression = BY_NAME[name][0]
        else:
            yield f"{name}: is not installed, so its license cannot be read; give it a line in BY_NAME"
            continue
        try:
            if permits(SHIPPED if name in shipped else ALLOWED, expression):
                continue
        except ValueError:
            pass
        yield f"{name}: {expression} is not allowed {'in an image' if name in shipped else 'here'}"


def _shipped() -> frozenset[str]:
    """What the lock installs with any connector, on any system."""
    names: set[str] = set()
    for metadata in sorted(ROOT.glob("source-*/metadata.yaml")):
        options = ["--frozen", "--offline", "--quiet", "--no-dev", "--no-hashes", "--no-annotate", "--no-header"]
        lines = subprocess.run(
            [ROOT / ".uv/bin/uv", "export", *options, "--no-emit-workspace", "--package", metadata.parent.name],
            capture_output=True,
            check=True,
            cwd=ROOT,
            text=True,
        ).stdout.splitlines()
        names |= {normalized(line.split("==")[0]) for line in lines}
    return frozenset(names)


def main() -> int:
    """The command: 0 where every license is allowed, else 1 with a line for each that is not."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"] for package in lock["package"] if "registry" in package["source"]}
    found = list(problems(locked, _shipped(), installed()))
    for line in found:
        print(f"licenses: {line}")
    if found:
        print("licenses: leave the package out, or add its license to tools/licenses.py after reading it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
