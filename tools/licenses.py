"""Checks the licenses of the locked packages against an allow-list. Part of `make check`; needs no network.

Packages in the images must have a license of `SHIPPED`. Packages for tests and tools only are not distributed, so they
may have any license of `ALLOWED`. An unknown license is refused. `sbom.py` takes the licenses for the bills of
materials from here.

It reads the metadata of the installed packages, so it runs in their environment (`.venv`). uv lists the packages of the
images. It uses the standard library only, because the build of an image runs it too.
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

#: SPDX identifiers that are allowed in an MIT-licensed image. MPL-2.0 applies to changed files of the package only.
SHIPPED = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MPL-2.0", "PSF-2.0"})
#: Further licenses, of packages that are not distributed
ALLOWED = SHIPPED | {
    "0BSD",
    "CC0-1.0",
    "CNRI-Python",
    "ISC",
    "LGPL-3.0-only",
    "LicenseRef-BSD",
    "MIT-0",
    "MIT-CMU",
    "Zlib",
}

#: Packages without a clear license in their metadata: the license, and where it was read
BY_NAME: Mapping[str, tuple[str, str]] = {
    "colorama": ("BSD-3-Clause", "its LICENSE.txt; for Windows only, so it is not installed here"),
    "contourpy": ("BSD-3-Clause", "its LICENSE; only in the environment of the benchmarks' plots"),
    "cycler": ("BSD-3-Clause", "its LICENSE; only in the environment of the benchmarks' plots"),
    "fonttools": ("MIT", "its metadata; only in the environment of the benchmarks' plots"),
    "importlib-resources": ("Apache-2.0", "its metadata; only in the environment of make kubernetes-env"),
    "isal": ("PSF-2.0 AND BSD-3-Clause", "its metadata, and isa-l/LICENSE of the library that is compiled into it"),
    "jinja2": ("BSD-3-Clause", "its LICENSE.txt"),
    "kiwisolver": ("BSD-3-Clause", "its LICENSE; only in the environment of the benchmarks' plots"),
    "kubernetes-validate": ("Apache-2.0", "its LICENSE; only in the environment of make kubernetes-env"),
    "matplotlib": ("PSF-2.0", "its LICENSE, which is Python's; only in the environment of the benchmarks' plots"),
    "numpy": (
        "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
        "its metadata; only in the environment of the benchmarks' plots",
    ),
    "pillow": ("MIT-CMU", "its metadata; only in the environment of the benchmarks' plots"),
    "py4j": ("BSD-3-Clause", "its LICENSE.txt; only in the environments of make spark-env"),
    "pyarrow": ("Apache-2.0", "its metadata; only in the environments of make spark-env"),
    "pyspark": ("Apache-2.0", "its metadata; only in the environments of make spark-env"),
    "python-dateutil": (
        "BSD-3-Clause",
        '"Dual License"; its LICENSE puts all of the code under BSD, newer parts under both',
    ),
    "pywin32": ("PSF-2.0", "its classifier; for Windows only, so it is not installed here"),
    "uvloop": ("MIT OR Apache-2.0", "its classifiers and LICENSE-APACHE, LICENSE-MIT: either"),
}

#: A BSD license; the metadata do not say which one
_SOME_BSD = "LicenseRef-BSD"
#: A longer value of the field `License` is the text of a license, not its name
_LONGEST_NAME = 60
#: Names in older metadata (field `License` or classifier), in lower case, and their SPDX identifiers
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
    """The name of a package as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def license_of(package: importlib.metadata.Distribution) -> str:
    """The SPDX expression of a package; `LicenseRef-...` if its metadata are unknown words or contradict each other.

    Metadata of version 2.4 have an expression (certain: PEP 639). Older metadata have classifiers and the field
    `License`, which holds a name or the whole text of the license.
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
    """Whether these identifiers satisfy an SPDX expression: all parts of an AND, one part of an OR.

    `X WITH Y` counts as one identifier. Raises ValueError if the text is not an expression.
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
        packages.setdefault(normalized(package.name), package)  # Python imports the first one
    return packages


def problems(
    locked: Iterable[str], shipped: frozenset[str], packages: Mapping[str, importlib.metadata.Distribution]
) -> Iterator[str]:
    """A line for each locked package whose license is not allowed."""
    for name in sorted(locked):
        if name in packages:
            expression = license_of(packages[name])
        elif name in BY_NAME:
            expression = BY_NAME[name][0]
        else:
            yield f"{name}: is not installed, so its license cannot be read; add it to BY_NAME"
            continue
        try:
            if permits(SHIPPED if name in shipped else ALLOWED, expression):
                continue
        except ValueError:
            pass
        yield f"{name}: {expression} is not allowed {'in an image' if name in shipped else 'here'}"


def _shipped() -> frozenset[str]:
    """The packages that the lock installs with a connector or the webhook inlet, on any system."""
    names: set[str] = set()
    for folder in (*sorted(path.parent for path in ROOT.glob("*/metadata.yaml")), ROOT / "webhook-inlet"):
        options = ["--frozen", "--offline", "--quiet", "--no-dev", "--no-hashes", "--no-annotate", "--no-header"]
        lines = subprocess.run(
            [ROOT / ".uv/bin/uv", "export", *options, "--no-emit-workspace", "--package", folder.name],
            capture_output=True,
            check=True,
            cwd=ROOT,
            text=True,
        ).stdout.splitlines()
        names |= {normalized(line.split("==")[0]) for line in lines}
    return frozenset(names)


def main() -> int:
    """Prints a line for each package with a license that is not allowed. The exit code is 1 if there is one."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"] for package in lock["package"] if "registry" in package["source"]}
    found = list(problems(locked, _shipped(), installed()))
    for line in found:
        print(f"licenses: {line}")
    if found:
        print("licenses: do not use the package, or read its license and add it to tools/licenses.py")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
