"""Changes to objects between two syncs: deletions, sharing, groups, feedback, answers of polls, odd shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulators.pendo.definitions import KINDS, Definition
from simulators.pendo.erasures import ID_COLUMNS, erased_row, request_row
from simulators.pendo.events import Event
from simulators.pendo.odd_shapes import odd_definitions, odd_metadata
from simulators.pendo.subscription import Subscription
from simulators.server import Row


class ObjectMutations:
    """Changes to one subscription, whose lock the caller holds. A kind is one of `KINDS` unless said otherwise."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._made = 0
        self.known: Mapping[str, Callable[..., Any]] = {
            "delete_definition": self.delete_definition,
            "restore_definition": self.restore_definition,
            "share": self.share,
            "reset_guide": self.reset_guide,
            "move_to_group": self.move_to_group,
            "do_not_process": self.do_not_process,
            "bulk_delete": self.bulk_delete,
            "finish_bulk_deletion": self.finish_bulk_deletion,
            "add_visitor": self.add_visitor,
            "visit": self.visit,
            "see_guide": self.see_guide,
            "answer_poll": self.answer_poll,
            "touch_feedback": self.touch_feedback,
            "odd_shapes": self.odd_shapes,
        }

    def _definition(self, kind: str, object_id: str | None, needed: Callable[[Row], bool] = lambda row: True) -> int:
        """The position of a definition; without an id of the first one in the list that fits."""
        if kind not in KINDS:
            raise KeyError(kind)
        for position, item in enumerate(self._subscription.definitions[kind]):
            is_wanted = object_id == item.row["id"] or (object_id is None and needed(item.row))
            if is_wanted and self._subscription.exists(item.row["id"]):
                return position
        raise KeyError(object_id)

    def _change(self, kind: str, position: int, changed: Row) -> Row:
        items = self._subscription.definitions[kind]
        old = items[position]
        items[position] = Definition(old.row | changed, old.app)
        if kind == "guides":
            self._subscription.versions.edited(old.row, items[position].row)
        return items[position].row

    def delete_definition(self, kind: str, object_id: str | None = None) -> str:
        """Delete an object (default: the first one). Its list and its group do not have it any more. Returns its id.

        Its events stay.
        """
        row = self._subscription.definitions[kind][self._definition(kind, object_id)].row
        self._subscription.deleted_definitions.add(row["id"])
        return str(row["id"])

    def restore_definition(self, object_id: str) -> str:
        """Bring a deleted object back, with its old `lastUpdatedAt`. KeyError if it is not deleted."""
        self._subscription.deleted_definitions.remove(object_id)
        return object_id

    def share(self, kind: str, object_id: str | None = None, shared: bool = True) -> str:
        """Make a report or a segment public or private (default: the first one that is not). Returns its id."""
        if kind not in ("reports", "segments"):
            raise KeyError(kind)
        position = self._definition(kind, object_id, lambda row: row["shared"] != shared)
        return str(self._change(kind, position, {"shared": shared, "lastUpdatedAt": self._subscription.now})["id"])

    def reset_guide(self, guide_id: str | None = None) -> str:
        """Reset a staged guide (default: the first one): its past events and poll answers are gone (documented).

        ValueError for a guide that is not staged. Returns its id.
        """
        subscription = self._subscription
        position = self._definition("guides", guide_id, lambda row: row["state"] == "staged")
        guide = subscription.definitions["guides"][position].row
        if guide["state"] != "staged":
            message = "only a staged guide is reset"
            raise ValueError(message)
        for source in ("guideEvents", "pollEvents"):
            for day, events in subscription.events[source].items():
                subscription.events[source][day] = [
                    event for event in events if event.row["guideId"] != guide["id"] or event.at > subscription.now
                ]
        self._change("guides", position, {"resetAt": subscription.now, "lastUpdatedAt": subscription.now})
        return str(guide["id"])

    def move_to_group(self, item_id: str, group_id: str) -> str:
        """Put an object into another product area or guide category. The `lastUpdatedAt` of both is the present."""
        self._subscription.groups.move(item_id, group_id, self._subscription.now)
        return group_id

    def _directory(self, kind: str) -> list[Row]:
        return {"visitor": self._subscription.visitors, "account": self._subscription.accounts}[kind]

    def do_not_process(self, kind: str, object_id: str, flag: bool = True) -> Row:
        """Set or take away the flag of a `visitor` or an `account`. Returns its row. KeyError if it is not known."""
        rows = self._directory(kind)
        for position, row in enumerate(rows):
            if row[ID_COLUMNS[kind]] == object_id:
                metadata = row["metadata"] or {}
                auto = {**metadata.get("auto", {}), "id": object_id, "lastupdated": self._subscription.now}
                pendo = {**metadata.get("pendo", {}), "donotprocess": flag}
                rows[position] = {**row, "metadata": {**metadata, "auto": auto, "pendo": pendo}}
                return rows[position]
        raise KeyError(object_id)

    def bulk_delete(self, kind: str, ids: Sequence[str]) -> str:
        """Ask for the deletion of visitors or accounts (`kind` is `visitor` or `account`). Their flags are set at once.

        Returns the id of the request.
        """
        for object_id in ids:
            self.do_not_process(kind, object_id)
        requests = self._subscription.erasures.requests
        request = request_row(f"bulk-deletion-{len(requests)}", kind, ids, self._subscription.now)
        requests.append(request)
        return str(request["id"])

    def finish_bulk_deletion(self, request_id: str) -> int:
        """Carry out a request: those whom it names are gone, and so are the events of visitors. Returns how many."""
        subscription = self._subscription
        requests = subscription.erasures.requests
        position = next(at for at, request in enumerate(requests) if request["id"] == request_id)
        request = requests[position]
        kind, ids = request["type"], set(request["ids"])
        requests[position] = {**request, "status": "finished"}
        if kind == "visitor":
            self._forget_events(ids)
        rows, column = self._directory(kind), ID_COLUMNS[kind]
        gone = [row[column] for row in rows if row[column] in ids]
        rows[:] = [row for row in rows if row[column] not in ids]
        subscription.erasures.gone[kind] += [erased_row(kind, object_id) for object_id in gone]
        return len(gone)

    def _forget_events(self, visitors: set[str]) -> None:
        for days in self._subscription.hourly_rows.values():
            for day, hourly_rows in days.items():
                days[day] = [row for row in hourly_rows if row.identity["visitorId"] not in visitors]
        for of_source in self._subscription.events.values():
            for day, events in of_source.items():
                of_source[day] = [event for event in events if event.row["visitorId"] not in visitors]

    def add_visitor(self, visitor_id: str) -> Row:
        """Add a visitor, for example with the id `.` or `..`. Returns its row. ValueError if it is known."""
        subscription = self._subscription
        if subscription.visitor(visitor_id) is not None:
            message = "the visitor is known"
            raise ValueError(message)
        # Rows that are made later would be drawn for other visitors.
        _ = subscription.hourly_rows, subscription.events
        now = subscription.now
        auto = {"id": visitor_id, "accountid": "", "accountids": [], "firstvisit": now, "lastvisit": now}
        row = {"visitorId": visitor_id, "metadata": {"auto": {**auto, "lastupdated": now}}}
        subscription.visitors.append(row)
        return row

    def visit(self, visitor_id: str) -> list[Row]:
        """Give a visitor's history two untagged pages and two track events in one millisecond, now. Returns them.

        Documented: an activity names its object or an `untaggedUrl`, and a page that is not tagged has no `uri`.
        """
        subscription, now = self._subscription, self._subscription.now
        position = next(at for at, row in enumerate(subscription.visitors) if row["visitorId"] == visitor_id)
        row = subscription.visitors[position]
        auto = {**(row["metadata"] or {}).get("auto", {}), "lastvisit": now}
        subscription.visitors[position] = {**row, "metadata": {**(row["metadata"] or {}), "auto": auto}}
        common: Row = {"ts": now, "appId": subscription.app_rows()[0]["id"]}
        url = "https://app.example.com/untagged/"
        rows = [{"type": "page", "lastTs": now, "untaggedUrl": f"{url}{number}", **common} for number in range(2)]
        for item in subscription.definitions["trackTypes"][:2]:
            object_id = item.row["id"]
            uri = f"https://app.pendo.io/api/v1/tracktype?id={object_id}"
            rows.append({"type": "tracktype", "lastTs": None, "trackTypeId": object_id, "uri": uri, **common})
        subscription.visits.setdefault(visitor_id, []).extend(rows)
        return rows

    def see_guide(self, visitor_id: str, guide_id: str | None = None, kind: str = "guideSeen") -> Row:
        """Let a visitor see a guide now (default: the first one). `kind` is the type of the event. Returns its row."""
        guide = self._guide(guide_id, lambda row: True)
        changed = {"guideStepId": guide["steps"][0]["id"], "type": kind}
        return self._add_event("guideEvents", visitor_id, guide, changed)

    def answer_poll(self, visitor_id: str, response: int | str, guide_id: str | None = None) -> Row:
        """Let a visitor answer a poll of a guide now (default: the first NPS guide). Returns the event's row.

        A number goes to the first poll of the guide, which is the score of an NPS guide; a text goes to the last one.
        """
        guide = self._guide(guide_id, lambda row: len(row["polls"]) > 1)
        poll = guide["polls"][0 if isinstance(response, int) else -1]
        changed = {"pollId": poll["id"], "pollType": poll["attributes"]["type"], "pollResponse": response}
        return self._add_event("pollEvents", visitor_id, guide, changed)

    def _guide(self, guide_id: str | None, needed: Callable[[Row], bool]) -> Row:
        return self._subscription.definitions["guides"][self._definition("guides", guide_id, needed)].row

    def _add_event(self, source: str, visitor_id: str, guide: Row, changed: Row) -> Row:
        subscription, now = self._subscription, self._subscription.now
        day = subscription.calendar.start_of("day", now)
        self._made += 1
        template = subscription.generator(f"now/{self._made}").events_of_one_visitor(source, day, 1)[0].row
        times = dict.fromkeys(("browserTime", "guideTimestamp", "receivedTime"), now)
        owner = {"visitorId": visitor_id, "appId": guide["appId"], "guideId": guide["id"]}
        row = template | times | owner | {"guideStepId": guide["steps"][0]["id"]} | changed
        subscription.events[source].setdefault(day, []).append(Event(row, now, now))
        return row

    def touch_feedback(self, item_id: str | None = None) -> Row:
        """Give an item of feedback (default: the first one) another status and one more vote. Returns the item."""
        feedback = self._subscription.feedback
        self._made += 1
        return feedback.touch(item_id, self._made)

    def odd_shapes(self) -> list[str]:
        """Give objects and visitors values of the other documented types, see `odd_shapes.py`. Returns their ids."""
        subscription, changed_ids = self._subscription, []
        for kind, position, changed in odd_definitions(subscription.definitions):
            row = self._change(kind, position, changed | {"lastUpdatedAt": subscription.now})
            changed_ids.append(str(row["id"]))
        for position, row in odd_metadata(subscription.visitors, subscription.now):
            subscription.visitors[position] = row
            changed_ids.append(str(row["visitorId"]))
        return changed_ids
