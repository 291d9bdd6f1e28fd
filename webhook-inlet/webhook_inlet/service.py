"""One running inlet process: what the parts of it share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webhook_inlet.stats import CommitStats, InletStats

if TYPE_CHECKING:
    from webhook_inlet.config import Config, InletConfig
    from webhook_inlet.store import Store
    from webhook_inlet.window import KeyWindow
    from webhook_inlet.writer import Writer


@dataclass(slots=True)
class Inlet:
    """A configured inlet at work. A reload replaces `config`; the window and the counts stay."""

    config: InletConfig
    window: KeyWindow
    stats: InletStats = field(default_factory=InletStats)


@dataclass(slots=True)
class Service:
    """The process. `inlets` is by name, `paths` by path; both are replaced as a whole by a reload."""

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
