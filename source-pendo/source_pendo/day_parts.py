"""Divides what is too much for Pendo into smaller parts, and remembers it for the next days."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import Throttled, config_error

from source_pendo.aggregation import EventSource, HourSpan, Row, Scope, Stage, app_id_of, spans_of_a_day
from source_pendo.client import BadQuery, BadRequest, NoAnswerInTime, NotOffered, PendoClient, QueryTooBig
from source_pendo.day_notes import DayNotes
from source_pendo.paging import KeyTooLarge

#: Pendo does not understand what was asked for, or does not allow it
REFUSED: Final = (BadRequest, BadQuery, NotOffered)
#: Object ids in one request. How many Pendo takes is not documented; a refusal halves them.
_MOST_IDS: Final = 200

K = TypeVar("K")
#: Asks for groups of a scope, by a label and a pipeline
Question = Callable[[Scope, str, Sequence[Stage]], list[Row]]


class DayParts:
    """The parts of one source's days in one sync, for several threads at a time.

    A scope is divided by application while there are several; then by the ids of its pages, features or track types,
    still by day; then by hour. Pendo's API documentation (August 2025) allows hours of these three sources only
    together with ids. Clients in production ask for them without, so it may not be enforced everywhere: without ids
    hours are asked for once, and if Pendo refuses them, never again in this sync.

    The ids come from a question for the groups of the scope. If Pendo does not answer that, hours without ids are
    tried, and then the ids of the objects' list. A list lacks deleted objects, so the day may lack rows and is doubted.
    """

    def __init__(self, source: EventSource, client: PendoClient, notes: DayNotes, ask: Question) -> None:
        self._source = source
        self._client = client
        self._logger = client.logger
        self._notes = notes
        self._ask = ask
        self._lock = threading.Lock()
        self._apps_at_once: int | None = None
        self._ids_at_once: dict[tuple[str, ...], int] = {}  # by applications
        self._hours_at_once: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}  # by applications and ids
        self._ungrouped: set[str] = set()  # columns whose groups Pendo refuses
        self._recounted: set[str] = set()
        self._listed: tuple[str, ...] | None = None
        self._hours_refusal: AirbyteTracedException | None = None  # of hours without ids
        self._ids_refusal: AirbyteTracedException | None = None

    @property
    def refusals(self) -> int:
        """How many of the ways to divide Pendo has refused. It only grows."""
        return (self._hours_refusal is not None) + (self._ids_refusal is not None)

    def known(self, scope: Scope) -> list[Scope] | None:
        """The parts of a scope that is known to be too much, or to be refused. None: ask for it as it is."""
        if scope.hours is not None:
            return None
        if not scope.ids:
            at_once = self._apps_at_once  # it may shrink meanwhile
            apps = (scope.apps or self._apps(scope)) if at_once else ()
            if at_once and apps and (not scope.apps or len(apps) > at_once):
                return [replace(scope, apps=some) for some in _chunks(apps, at_once)]
            refused = self._hours_refusal if self._source.period == "hour" else None
            if refused or scope.apps in self._ids_at_once:
                ids = self._ids(scope)
                if ids is not None:
                    return self._by_ids(scope, ids)
                if refused:
                    raise refused
        hours = self._hours_at_once.get((scope.apps, scope.ids))
        if hours is None or (self._hours_refusal and not scope.ids):
            return None
        return [replace(scope, hours=span, rows=()) for span in spans_of_a_day(hours)]

    def smaller(self, scope: Scope, cause: Exception) -> list[Scope]:
        """The parts of a scope that is too much. Raises an error that says what to do if it cannot be divided."""
        learn = isinstance(cause, QueryTooBig)
        whole = (scope.apps, scope.ids)
        if len(scope.ids) > 1:
            return self._halves(scope, f"too much at once ({cause})", learn)
        if not scope.ids:
            apps = scope.apps or self._apps(scope)
            if len(apps) > 1:
                middle = len(apps) // 2
                if learn:
                    with self._lock:
                        self._apps_at_once = min(len(apps) - middle, self._apps_at_once or len(apps))
                self._logger.info(f"{scope}: too much at once ({cause}), split into groups of applications")
                return [replace(scope, apps=half) for half in (apps[:middle], apps[middle:])]
            ids = self._ids(scope) if scope.hours is None else None
            if ids is not None:
                half = (len(ids) + 1) // 2
                if learn:
                    self._learn(self._ids_at_once, scope.apps, half if len(ids) > 1 else _MOST_IDS)
                self._logger.info(f"{scope}: too much at once ({cause}), split into groups of ids")
                return self._by_ids(scope, ids, half)
            scope = replace(scope, apps=apps)
        halves = (scope.hours or HourSpan()).halves()
        if halves is None and isinstance(cause, NoAnswerInTime):
            raise cause  # not even an hour was answered: Pendo or the network is probably down
        if halves is None:
            raise _cannot_split(self._source.name, scope, cause)
        if learn:
            self._learn(self._hours_at_once, whole, len(halves[0].hours()))
        self._logger.info(f"{scope}: too much at once ({cause}), split into hours")
        return [replace(scope, hours=span, rows=()) for span in halves]

    def after(self, scope: Scope, refusal: AirbyteTracedException) -> list[Scope]:
        """What to ask for in place of a scope that Pendo refuses. Raises the first refusal if there is nothing."""
        if len(scope.ids) > 1:
            return self._halves(scope, f"refused ({refusal.internal_message})", True)
        by_hour = self._source.period == "hour" or scope.hours is not None
        if scope.ids:
            self._ids_refusal = self._ids_refusal or refusal
            raise self._hours_refusal or refusal
        if not by_hour or self._source.objects is None:
            raise refusal
        if self._hours_refusal is None:
            self._logger.info(f"{scope}: Pendo does not answer hours ({refusal.internal_message}), asked for by ids")
            self._hours_refusal = refusal
        if scope.hours is not None:
            raise self._hours_refusal  # the whole day is asked for by ids
        parts = self.known(scope)
        if parts is None:
            raise refusal
        return parts

    def check(self, scope: Scope, rows: int) -> None:
        """Doubts the day if a scope that was read by ids has fewer rows than Pendo counted.

        A row of a day may be several by hour, which would hide that other objects have none. So by hour Pendo counts
        once more, by ids, unless it did so for each of these ids.
        """
        counted = sum(scope.rows)
        if self._source.period == "hour" and 0 < counted <= rows and not self._recounted.issuperset(scope.ids):
            rows = self._recount(scope)
        if rows < counted:
            self._doubt(scope, f"Pendo counted {counted} and answered {rows}")

    def _recount(self, scope: Scope) -> int:
        """The rows of a day that Pendo counts for the ids of a scope; those that it counted before if it refuses."""
        assert self._source.objects  # noqa: S101 - there are ids
        self._recounted.update(scope.ids)
        column = self._source.objects.column
        try:
            return sum(map(_number, self._ask(scope, f"{column} by ids", self._source.groups(scope, column))))
        except Throttled:
            raise
        except AirbyteTracedException as error:
            self._logger.info(f"{scope}: Pendo does not count rows by ids ({error.internal_message})")
            return sum(scope.rows)

    def _halves(self, scope: Scope, why: str, learn: bool) -> list[Scope]:
        middle = len(scope.ids) // 2
        if learn:
            self._learn(self._ids_at_once, scope.apps, len(scope.ids) - middle)
        self._logger.info(f"{scope}: {why}, split into groups of ids")
        first, second = slice(middle), slice(middle, None)
        return [replace(scope, ids=scope.ids[half], rows=scope.rows[half]) for half in (first, second)]

    def _by_ids(self, scope: Scope, ids: Mapping[str, int], most: int = _MOST_IDS) -> list[Scope]:
        """The scope in groups of ids. One that is known to be too much for a day is alone in its group."""
        most = max(1, min(most, self._ids_at_once.get(scope.apps, most)))
        alone = [name for name in ids if (scope.apps, (name,)) in self._hours_at_once]
        others = [name for name in ids if name not in alone]
        groups = [*((name,) for name in alone), *_chunks(others, most)]
        return [replace(scope, ids=group, rows=tuple(map(ids.__getitem__, group))) for group in groups]

    def _learn(self, at_once: dict[K, int], of: K, number: int) -> None:
        with self._lock:
            at_once[of] = min(number, at_once.get(of, number), _MOST_IDS)

    def _apps(self, scope: Scope) -> tuple[str, ...]:
        """The applications that have rows in a scope; empty if Pendo cannot say it for all rows."""
        rows = self._groups(scope, "appId")
        found = {app_id_of(row) for row in rows or ()}
        if None in found:
            self._logger.info(f"{scope}: some rows belong to no application, so it cannot be split by application")
            return ()
        return tuple(sorted(app for app in found if app))

    def _ids(self, scope: Scope) -> Mapping[str, int] | None:
        """The objects that have rows in a day, each with their number, 0 if it is not known. None: not known."""
        objects = self._source.objects
        if objects is None or self._ids_refusal:
            return None
        rows = self._groups(scope, objects.column)
        if rows is not None:
            ids = {row[objects.column]: _number(row) for row in rows if _is_id(row.get(objects.column))}
            if len(ids) < len(rows) and self._hours_refusal:
                self._doubt(scope, f"some rows have no {objects.column}, by which alone Pendo answers them")
            return ids if len(ids) == len(rows) or self._hours_refusal else None
        if self._hours_refusal is None:
            return None
        names = self._ids_of_the_list(objects.path)
        if names:
            self._doubt(scope, "Pendo does not answer which ids have rows, and the list of ids lacks deleted objects")
        return dict.fromkeys(names, 0) if names else None

    def _doubt(self, scope: Scope, why: str) -> None:
        self._notes.doubt(scope.day)
        self._logger.warning(
            f"Stream {self._client.name}: rows of {scope} may be missing: {why}. The state stays before that day, so "
            "the next sync reads it again. Restrict app_ids, or report it."
        )

    def _ids_of_the_list(self, path: str) -> tuple[str, ...]:
        """The ids of all objects that Pendo lists; empty if it does not."""
        if self._listed is None:
            try:
                answer = self._client.list_objects(path)
                found = [item.get("id") for items in answer.rows(None) for item in items]
            except Throttled:
                raise
            except AirbyteTracedException as error:
                self._logger.info(f"Stream {self._client.name}: no list of ids ({error.internal_message})")
                found = []
            self._listed = tuple(sorted({name for name in found if _is_id(name)}))
        return self._listed

    def _groups(self, scope: Scope, column: str) -> list[Row] | None:
        """The values of a column in a scope; None if Pendo does not answer.

        The scope can still be read by hours then. A query that Pendo refused for another reason than its size is not
        sent again.
        """
        if column in self._ungrouped:
            return None
        try:
            return self._ask(scope, column, self._source.groups(scope, column))
        except Throttled:
            raise
        except AirbyteTracedException as error:
            if not isinstance(error, QueryTooBig):
                self._ungrouped.add(column)
            self._logger.info(f"{scope}: Pendo does not list each {column} ({error.internal_message})")
            return None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _number(row: Row) -> int:
    """The number of rows that a group says; 0 if it says none."""
    rows = row.get("rows")
    return int(rows) if isinstance(rows, int | float) else 0


def _chunks(items: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))


def _cannot_split(source: str, scope: Scope, cause: Exception) -> AirbyteTracedException:
    what = "has more rows of one visitor than a page can hold" if isinstance(cause, KeyTooLarge) else "is too much"
    one, way_out = " of one application", "Exclude that application by app_ids"
    if scope.ids:
        one, way_out = " of one object", "Exclude its application by app_ids"
    elif not scope.apps:  # Pendo could not say which applications have rows
        one, way_out = "", "Name the applications in app_ids, so that each can be read alone"
    detail: Any = f"visitor {cause.key!r}" if isinstance(cause, KeyTooLarge) else getattr(cause, "internal_message", "")
    return config_error(
        f"Even one hour{one} {what} for Pendo ({source}, {scope}). {way_out}, or set start_date to a later day; "
        "for such volumes Pendo offers Data Sync. Nothing was skipped: the state stays before that day.",
        f"{source}, {scope}: {detail}",
    )
