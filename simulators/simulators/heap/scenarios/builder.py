"""The pieces of a scenario: a step, and the builder that collects steps and replays what the bucket holds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from simulators.heap.account import Account
from simulators.heap.layout import DataFile, Dump, StoredObject
from simulators.heap.replay import LiveTable, replay
from simulators.heap.stores import Store


class Trouble(StrEnum):
    """Why a table cannot be read after a step."""

    MISSING_FILE = "a file that the manifest names does not exist"
    UNREADABLE_FILE = "a file is not a whole Avro file"
    BAD_CHECKSUM = "a block's checksum is wrong; a reader that does not check it sees the right rows"
    ARCHIVED_FILE = "a file was archived and cannot be fetched"
    NO_FLAG = "the manifest does not say whether the table is incremental"


@dataclass(frozen=True)
class Step:
    """What happens to the bucket between two syncs."""

    note: str
    put: tuple[StoredObject, ...]
    delete: tuple[str, ...]
    live: Mapping[str, LiveTable]
    """The live rows afterwards. For a table in `fails`: once the cause is mended."""
    fails: Mapping[str, Trouble] = field(default_factory=dict)
    """Tables of which a part cannot be read, and why."""
    dumps: tuple[Dump, ...] = ()
    """The finished dumps that the bucket holds, by ascending id."""

    def apply(self, store: Store) -> None:
        """Do it."""
        store.delete(self.delete)
        store.put(self.put)


Scenario = Callable[[str, int], list[Step]]


class ScenarioBuilder:
    """Collects steps. It knows the finished dumps; a dump with an id that it knows takes the old one's place."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.steps: list[Step] = []
        self.published: dict[int, Dump] = {}

    def step(
        self,
        note: str,
        *dumps: Dump,
        more: Iterable[StoredObject] = (),
        delete: Iterable[str] = (),
        fails: Mapping[str, Trouble] | None = None,
    ) -> "ScenarioBuilder":
        """Finished dumps arrive, with objects besides them; others go."""
        self.published.update({dump.id: dump for dump in dumps})
        put = [item for dump in dumps for item in dump.objects()]
        return self.add(note, (*put, *more), delete, fails)

    def add(
        self,
        note: str,
        put: Iterable[StoredObject] = (),
        delete: Iterable[str] = (),
        fails: Mapping[str, Trouble] | None = None,
    ) -> "ScenarioBuilder":
        """Objects come and go; the finished dumps are what they were."""
        known = tuple(self.published[dump_id] for dump_id in sorted(self.published))
        self.steps.append(Step(note, tuple(put), tuple(delete), replay(known), dict(fails or {}), known))
        return self

    def repair(self, note: str, files: Iterable[DataFile]) -> "ScenarioBuilder":
        """The files arrive whole, under the names that they have already."""
        whole = [replace(file, damage=None, storage_class=None).stored() for file in files]
        return self.add(note, whole)
