"""A step of a scenario, and the builder that collects steps and computes their live rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from simulators.heap.account import Account
from simulators.heap.layout import DataFile, Dump, StoredObject
from simulators.heap.replay import LiveTable, replay
from simulators.heap.stores import Store


class Trouble(StrEnum):
    """The reason why a table cannot be read after a step."""

    MISSING_FILE = "a file that the manifest names does not exist"
    UNREADABLE_FILE = "a file is not a whole Avro file"
    BAD_CHECKSUM = "a block's checksum is wrong; a reader that does not check it sees the right rows"
    ARCHIVED_FILE = "a file was archived and cannot be fetched"
    NO_FLAG = "the manifest does not say whether the table is incremental"


@dataclass(frozen=True)
class Step:
    """A change of the bucket between two syncs."""

    note: str
    put: tuple[StoredObject, ...]
    delete: tuple[str, ...]
    live: Mapping[str, LiveTable]
    """The live rows after the step. For a table in `fails`: the rows after its files were repaired."""
    fails: Mapping[str, Trouble] = field(default_factory=dict)
    """Tables that cannot be read completely, and why."""
    dumps: tuple[Dump, ...] = ()
    """The finished dumps in the bucket, sorted by id."""

    def apply(self, store: Store) -> None:
        """Delete and store the objects."""
        store.delete(self.delete)
        store.put(self.put)


Scenario = Callable[[str, int], list[Step]]


class ScenarioBuilder:
    """Collects steps and the finished dumps. A dump with a known id replaces the earlier one."""

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
        """Add a step: finished dumps and other objects arrive, other keys are deleted."""
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
        """Add a step without a finished dump: objects arrive, other keys are deleted."""
        known = tuple(self.published[dump_id] for dump_id in sorted(self.published))
        self.steps.append(Step(note, tuple(put), tuple(delete), replay(known), dict(fails or {}), known))
        return self

    def repair(self, note: str, files: Iterable[DataFile]) -> "ScenarioBuilder":
        """Add a step: undamaged copies of the files arrive under the same keys."""
        whole = [replace(file, damage=None, storage_class=None).stored() for file in files]
        return self.add(note, whole)
