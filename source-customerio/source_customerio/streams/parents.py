"""The objects below which a stream's lists lie: listed once a sync, and those of them that were deleted meanwhile.

Parents are always read unfiltered: a campaign's `updated` stays where it is when one of its actions is edited (certain:
recorded answers), so a parent that looks unchanged may have changed children.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from source_kit.activity import Stopped

from source_customerio.errors import Malformed, NotFound, contradiction
from source_customerio.streams.base import CustomerIoStream, integer_or_same

#: How many parents a log line names
_NAMED = 20
#: How long a look at a list serves when parents answer 400: many may, and each would cost a look. One that was deleted
#: after the look counts as listed, so that it is read again at the next sync.
_LOOK_AGAIN_SECONDS = 30.0


class Parent(NamedTuple):
    """One object with a list below it.

    Its id (a number, or a text where the vendor has texts), when it was created, what it is, and the object in whose
    list it is, if it is in one. `created` is in epoch seconds, None where unknown; it is that of the topmost object,
    before which nothing can have happened: what is below may be moved or copied.
    """

    id: Any
    created: int | None
    kind: str
    above: Parent | None = None

    @property
    def ids(self) -> tuple[Any, ...]:
        """The ids from the topmost object down to this one."""
        return (*(self.above.ids if self.above else ()), self.id)

    def __str__(self) -> str:
        return " ".join([*([str(self.above)] if self.above else []), f"{self.kind} {self.id}"])


class Unlisted(NamedTuple):
    """A parent whose own list, below which others lie, could not be read, and why."""

    parent: Parent
    error: Exception

    def __str__(self) -> str:
        return str(self.parent)


Found: TypeAlias = Parent | Unlisted


def path_below(endpoint: str, parent: Parent | None) -> str:
    """A path that holds the ids of the parent, and of those above it, as `{}`."""
    return endpoint.format(*(quote(str(number), safe="") for number in parent.ids)) if parent else endpoint


def columns_of(stream: type[CustomerIoStream]) -> tuple[str, ...]:
    """The columns that name an object of a stream in the rows below it, as `Parent.ids`."""
    return (*(columns_of(stream.parent) if stream.parent else ()), stream.id_in_children)


class Parents:
    """The objects of the stream `kind`, below which the lists of the stream `below` lie.

    Streams of one sync share their lists. The objects are listed by a stream of its own: it fails in the parents' name,
    and tries as often as usual after parts of `below` that failed.
    """

    def __init__(self, kind: type[CustomerIoStream], below: CustomerIoStream) -> None:
        self._above = Parents(kind.parent, below) if kind.parent else None
        self._stream = kind(below.client.connection)
        self._called = kind.endpoint.rpartition("/")[2]
        self._texts = self._stream.key_types["id"] is str
        self._below = below
        self._seen: set[Parent] = set()
        self._gone: set[Parent] = set()

    def all(self) -> Iterator[Found]:
        """All parents. One whose list is refused comes as Unlisted, one that is gone is counted."""
        if self._above is None:
            found = self.listed(None)
            self._below.logger.info(f"Stream {self._below.name}: {len(found)} {self._called} to read")
            yield from found.values()
            return
        for above in self._above.all():
            yield from [above] if isinstance(above, Unlisted) else self._below_one(self._above, above)

    def _below_one(self, parents: Parents, above: Parent) -> list[Found]:
        """What is in the list of one of the `parents`, or why it cannot be read; nothing where that one is gone.

        Not a part of the generator: the engine clears the frames through which an error went.
        """
        try:
            try:
                return list(self.listed(above).values())
            except (NotFound, Malformed) as error:
                if parents.is_gone(above, error):
                    return []
                raise
        except Stopped:
            raise
        except Exception as error:
            return [Unlisted(above, error)]

    def listed(self, above: Parent | None, looked_since: float | None = None) -> dict[Any, Parent]:
        """The parents in one list, by id; with `looked_since` as a look since then has found them."""
        kind, parents = self._stream.id_in_children.removesuffix("_id"), {}
        for number, created in self._stream.objects(path_below(self._stream.endpoint, above), looked_since):
            if not isinstance(number, int | str):
                raise contradiction(
                    self._below.name,
                    f"Customer.io listed one of the {self._called} without an id, so {self._below.name} below it "
                    "cannot be read. The stream stopped there, so that nothing is skipped for ever: report it.",
                    f"a row of {self._called} has no id",
                )
            key = str(number) if self._texts else integer_or_same(number)
            own = created if isinstance(created, int) else None
            parents[key] = Parent(key, above.created or own if above else own, kind, above)
        if looked_since is None:
            self._seen.update(parents.values())
        return parents

    def is_gone(self, parent: Parent, error: Exception) -> bool:
        """Whether an error of a request below a parent means that the parent was deleted; if so, it is counted.

        404 does, and 400 where the parent is not listed any more: the vendor documents 400 for ids that it does not
        know, beside 404.
        """
        gone = isinstance(error, NotFound) or (
            isinstance(error, Malformed) and not self._still_listed({parent}, _LOOK_AGAIN_SECONDS)
        )
        if gone:
            self._gone.add(parent)
        return gone

    def was_gone(self, parent: Parent) -> bool:
        """Whether the parent was counted as gone."""
        return parent in self._gone

    def _still_listed(self, parents: Collection[Parent], age: float = 0.0) -> set[Parent]:
        """Those of some parents that a look at the list finds now, or found at most `age` seconds ago."""
        found: set[Parent] = set()
        for above in {parent.above for parent in parents}:
            try:
                listed = self.listed(above, time.monotonic() - age)
            except (NotFound, Malformed) as error:
                if self._above is None or above is None or not self._above.is_gone(above, error):
                    raise
                continue
            found |= {parent for parent in parents if parent.above == above and parent.id in listed}
        return found

    def report(self) -> None:
        """Logs how many parents were gone, or fails where the server refuses the path and not a parent."""
        if self._gone:
            listed = self._still_listed(self._gone)
            deleted, refused = ([parent.id for parent in parents] for parents in (self._gone - listed, listed))
            report_gone(self._below, self._called, deleted, refused, len(self._seen))
        if self._above is not None:
            self._above.report()


def report_gone(
    stream: CustomerIoStream, called: str, deleted: Collection[Any], refused: Collection[Any], asked: int
) -> None:
    """Logs which of the `asked` objects answered 404 (or 400), or fails where the server refuses the path to all.

    Those that are `refused` exist all the same. Raises a system_error.
    """
    if refused and len(deleted) + len(refused) == asked:
        raise contradiction(
            stream.name,
            f"Customer.io answered 404 for every one of the {asked} {called} that {stream.name} asks about, although "
            "they exist. If api_url is set, check it; otherwise report it.",
            f"404 for each of {asked} {called}",
        )
    if deleted:
        stream.logger.info(
            f"Stream {stream.name}: {len(deleted)} {called} were deleted during the sync and skipped: "
            f"{first_of(deleted)}"
        )
    if refused:
        stream.logger.warning(
            f"Stream {stream.name}: {len(refused)} {called} were skipped because Customer.io answered 404 for them, "
            f"although they exist: {first_of(refused)}"
        )


def first_of(ids: Iterable[Any]) -> str:
    """The first few ids, for a log line."""
    return ", ".join(sorted(map(str, ids), key=lambda text: (len(text), text))[:_NAMED])
