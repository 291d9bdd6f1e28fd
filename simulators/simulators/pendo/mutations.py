"""What can happen to a subscription between two syncs. Names and arguments are the ones of `POST /_sim/mutate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from simulators.pendo.activity import GROUPED, Cell
from simulators.pendo.definitions import KINDS, Definition
from simulators.pendo.directory import APPS, iso
from simulators.pendo.periods import DAY_MS, HOUR_MS, Calendar
from simulators.pendo.tables import as_answered
from simulators.pendo.world import World
from simulators.server import Row


class Mutations:
    """Changes to one world. Each is done under its lock and makes earlier tables stale."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._done = 0
        self._known: Mapping[str, Callable[..., Any]] = {
            "advance": self.advance,
            "touch_visitor": self.touch_visitor,
            "touch_account": self.touch_account,
            "touch_definition": self.touch_definition,
            "remove_visitor": self.remove_visitor,
            "grow": self.grow,
            "late": self.late,
            "retag": self.retag,
            "map_identity": self.map_identity,
            "cut_id": self.cut_id,
            "time_zone": self.time_zone,
        }

    def run(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run a mutation by name; KeyError for an unknown one, TypeError or ValueError for wrong arguments."""
        with self._world.lock:
            result = self._known[name](**arguments)
            self._done += 1
            self._world.changed()
            return result

    def advance(self, hours: float = 0, days: float = 0, to: str | None = None) -> str:
        """Move the clock forward, by a span or to an instant (RFC 3339); returns the new present.

        Visitors who came meanwhile have a later `lastvisit`; whether that moves `lastupdated` is not known, so it
        stays.
        """
        world = self._world
        target = world.now + int(hours * HOUR_MS + days * DAY_MS)
        if to is not None:
            target = int(datetime.fromisoformat(to).astimezone(UTC).timestamp() * 1000)
        if target < world.now:
            message = "the clock does not go back"
            raise ValueError(message)
        before, world.now = world.now, target
        world.visit(before)
        return iso(target)

    def touch_visitor(self, visitor_id: str) -> Row:
        """Change a visitor's metadata, which moves `lastupdated` to the present; returns the row."""
        return self._touch(self._world.visitors, "visitorId", visitor_id)

    def touch_account(self, account_id: str) -> Row:
        """Change an account's metadata, which moves `lastupdated` to the present; returns the row."""
        return self._touch(self._world.accounts, "accountId", account_id)

    def _touch(self, rows: list[Row], column: str, wanted: str) -> Row:
        for position, row in enumerate(rows):
            if row[column] == wanted:
                metadata = row["metadata"] or {}
                auto = {**metadata.get("auto", {}), "id": wanted, "lastupdated": self._world.now}
                custom = {**metadata.get("custom", {}), "touched": self._done}
                rows[position] = {**row, "metadata": {**metadata, "auto": auto, "custom": custom}}
                return rows[position]
        raise KeyError(wanted)

    def touch_definition(self, kind: str, object_id: str | None = None) -> Row:
        """Rename a page, feature, guide, ...

        (the first one unless told), which moves `lastUpdatedAt`; returns the row.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        items = self._world.definitions[kind]
        for position, item in enumerate(items):
            if object_id in (None, item.row["id"]):
                changed = {"name": f"{item.row['name']} (renamed)", "lastUpdatedAt": self._world.now}
                items[position] = Definition(item.row | changed, item.app)
                return items[position].row
        raise KeyError(object_id)

    def remove_visitor(self, visitor_id: str, history_only: bool = False) -> str:
        """Delete a visitor, or only what its own endpoints know of it: it is listed still, and by id it is gone."""
        world = self._world
        if world.visitor(visitor_id) is None:
            raise KeyError(visitor_id)
        world.gone.add(visitor_id)
        if not history_only:
            world.visitors = [row for row in world.visitors if row["visitorId"] != visitor_id]
        return visitor_id

    def _day(self, day: str) -> int:
        return self._world.calendar.midnight(date.fromisoformat(day))

    def grow(self, source: str = "pageEvents", day: str | None = None, rows: int = 3) -> int:
        """Give the first visible rows of a day (today unless told) one more event each; returns how many grew."""
        world = self._world
        start = world.calendar.start_of("day", world.now) if day is None else self._day(day)
        grown = [cell for cell in world.cells[source].get(start, []) if cell.visible_at <= world.now][:rows]
        for cell in grown:
            cell.events += 1
            cell.first = max(cell.hour, cell.first - 1000)
            cell.last = min(cell.hour + HOUR_MS - 1, cell.last + 1000)
        return len(grown)

    def late(self, source: str, day: str, rows: int = 3) -> int:
        """Let rows arrive now that belong to an old day; returns how many."""
        world = self._world
        start = self._day(day)
        maker = world.maker(f"late/{self._done}")
        if source in GROUPED:
            made = maker.crowd_of_cells(source, start, rows)
            for cell in made:
                cell.visible_at = world.now
            world.cells[source].setdefault(start, []).extend(made)
            return len(made)
        events = [event.visible(world.now) for event in maker.crowd_of_events(source, start, rows)]
        world.events[source].setdefault(start, []).extend(events)
        return len(events)

    def retag(self, page_id: str | None = None) -> str:
        """Edit the rules of a page (the first one unless told): its past is matched anew. Returns its id.

        In every past day a third of its rows vanish, and three other rows appear in every second day.
        """
        world = self._world
        page = self.touch_definition("pages", page_id)
        maker = world.maker(f"retag/{self._done}")
        for number, (day, cells) in enumerate(world.cells["pageEvents"].items()):
            if day > world.now:
                continue
            matched = [cell for cell in cells if cell.identity["pageId"] == page["id"]]
            vanished = {id(cell) for cell in matched[::3]}
            kept = [cell for cell in cells if id(cell) not in vanished]
            world.cells["pageEvents"][day] = kept + (self._matched(maker, day, page) if number % 2 else [])
        return str(page["id"])

    def _matched(self, maker: Any, day: int, page: Row) -> list[Cell]:
        cells: list[Cell] = maker.crowd_of_cells("pageEvents", day, 3)
        for cell in cells:
            cell.identity |= {"pageId": page["id"], "appId": page["appId"]}
            cell.visible_at = max(cell.hour, self._world.now)
        return cells

    def map_identity(self, visitor_id: str, to: str) -> int:
        """Identity mapping, or a merge of visitors: what one id did becomes what another did, the past included.

        Returns how many stored hours and events went over.
        """
        moved = self._rename(visitor_id, to)
        self._world.visitors = [row for row in self._world.visitors if row["visitorId"] != visitor_id]
        return moved

    def cut_id(self, visitor_id: str) -> str:
        """Make a visitor's id longer than the 128 bytes that Pendo keeps, and cut it in the middle of a letter.

        Pendo sorts and compares by the bytes; its answers hold U+FFFD in the last one's place. Returns the id as
        answers hold it.
        """
        cut = visitor_id + "x" * (127 - len(visitor_id.encode())) + "\udcc3"
        self._rename(visitor_id, cut)
        for position, row in enumerate(self._world.visitors):
            if row["visitorId"] == visitor_id:
                self._world.visitors[position] = {**row, "visitorId": cut}
        return str(as_answered(cut))

    def _rename(self, visitor_id: str, to: str) -> int:
        moved = 0
        for cells in (cell for days in self._world.cells.values() for cell in days.values()):
            for cell in cells:
                if cell.identity["visitorId"] == visitor_id:
                    cell.identity = cell.identity | {"visitorId": to}
                    moved += 1
        for days in self._world.events.values():
            for day, events in days.items():
                days[day] = [event.of(to) if event.row["visitorId"] == visitor_id else event for event in events]
                moved += sum(event.row["visitorId"] == visitor_id for event in events)
        return moved

    def time_zone(self, zone: str) -> str:
        """Change the subscription's time zone: what happened stays, and belongs to other days. Returns the zone."""
        self._world.calendar = Calendar(zone)
        return zone


def app_ids(text: str | None) -> frozenset[int] | None:
    """Apps of a `truth` request: a list with commas, all of them unless told; KeyError for an unknown app."""
    if text is None:
        return None
    known = {app["id"] for app in APPS}
    wanted = frozenset(int(part) for part in text.split(","))
    if wanted - known:
        raise KeyError(str(wanted - known))
    return wanted
