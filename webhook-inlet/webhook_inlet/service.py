"""One running inlet process: what the parts of it share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from webhook_inlet.signatures import Verifier, verifier
from webhook_inlet.stats import CommitStats, InletStats

if TYPE_CHECKING:
    from webhook_inlet.config import Config, InletConfig
    from webhook_inlet.store import Store
    from webhook_inlet.writer import Writer


@dataclass(slots=True)
class Inlet:
    """A configured inlet at work. A reload replaces `config`; the counts stay."""

    config: InletConfig
    stats: InletStats = field(default_factory=InletStats)
    verifier: Verifier | None = field(init=False)  # None: posts need no signature

    def __post_init__(self) -> None:
        self.verifier = verifier(self.config)

    def configure(self, config: InletConfig) -> None:
        """Takes over a new configuration."""
        self.config, self.verifier = config, verifier(config)


@dataclass(slots=True)
class Service:
    """The process. `inlets` is by name, `paths` by `path_digest`; both are replaced as a whole by a reload."""

    config: Config
    store: Store
    writer: Writer
    inlets: dict[str, Inlet] = field(default_factory=dict)
    paths: dict[bytes, Inlet] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    draining: bool = False
    #: `commits.committed` is the writer's observer
    commits: CommitStats = field(default_factory=CommitStats)

    def not_ready(self) -> str | None:
        """Why `/readyz` says no, in words; None if posts are stored."""
        if self.draining:
            return "draining"
        return self.writer.fatal or self.store.problem()

    def configure(self, config: Config) -> None:
        """Takes over a configuration, also a new one while posts come in. Counts of inlets that stay are kept."""
        inlets: dict[str, Inlet] = {}
        for section in config.inlets:
            inlet = self.inlets.get(section.name)
            if inlet is None:
                inlet = Inlet(section)
            else:
                inlet.configure(section)
            inlets[section.name] = inlet
        self.config, self.inlets = config, inlets
        self.paths = {path_digest(inlet.config.path.get_secret_value()): inlet for inlet in inlets.values()}


def path_digest(path: str) -> bytes:
    """What an inlet is looked up by. The time that it takes tells nothing about how much of a path was right."""
    return blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).digest()
