"""The connectors that `acceptance-test-config.yml` names, and where their parts are."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ROOT / "integration_tests" / "releases"


@dataclass(frozen=True)
class Connector:
    """One entry of the suite."""

    name: str
    image: str
    package: str
    vendor: str
    size: str
    seed: int
    address_option: str
    secret_options: tuple[str, ...]
    scenarios: frozenset[str]
    empty_streams: frozenset[str]
    """Streams that have no rows on the simulator."""
    undeclared_fields: tuple[str, ...]
    """Patterns of `stream.field` for what records may hold beyond the discovered schema."""
    keys_come_again: bool
    """Whether a first read may hold a key more than once: later rows replace earlier ones."""

    @property
    def folder(self) -> Path:
        """Its directory in the repository."""
        return ROOT / self.name

    @property
    def script(self) -> Path:
        """Its console script in this environment."""
        return Path(sys.executable).parent / self.name

    @property
    def source(self) -> Callable[[], Any]:
        """The class of the source, as Airbyte's test kit finds it: exported by the package, whatever its capitals."""
        module = importlib.import_module(self.package)
        wanted = self.package.replace("_", "")
        name = next(name for name in module.__all__ if name.lower() == wanted)
        made: Callable[[], Any] = getattr(module, name)
        return made

    @property
    def metadata(self) -> dict[str, Any]:
        """`data` of its metadata.yaml."""
        loaded: dict[str, Any] = yaml.safe_load((self.folder / "metadata.yaml").read_text())["data"]
        return loaded

    def sample(self, name: str) -> Path:
        """A file of its integration_tests folder."""
        return self.folder / "integration_tests" / name


@cache
def connectors() -> tuple[Connector, ...]:
    """Every connector of the suite."""
    suite = yaml.safe_load((ROOT / "acceptance-test-config.yml").read_text())
    known = set(suite["scenarios"])
    made = []
    for name, entry in suite["connectors"].items():
        unknown = set(entry["scenarios"]) - known
        assert not unknown, f"{name} lists scenarios that the suite does not describe: {sorted(unknown)}"
        simulator = entry["simulator"]
        made.append(
            Connector(
                name=name,
                image=entry["image"],
                package=entry["package"],
                vendor=simulator["vendor"],
                size=simulator["size"],
                seed=simulator["seed"],
                address_option=entry["address_option"],
                secret_options=tuple(entry["secret_options"]),
                scenarios=frozenset(entry["scenarios"]),
                empty_streams=frozenset(entry.get("empty_streams", ())),
                undeclared_fields=tuple(entry.get("undeclared_fields", ())),
                keys_come_again=entry.get("keys_come_again", False),
            )
        )
    return tuple(made)


def connectors_in(scenario: str) -> list[Connector]:
    """The connectors that list a scenario."""
    return [connector for connector in connectors() if scenario in connector.scenarios]
