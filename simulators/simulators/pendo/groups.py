"""Product areas (groups of pages, features and track types) and guide categories (groups of guides).

Documented: the source `groups`, its parameters `items` and `groupType`, the columns `id, name, color, description,
length`, users and dates, and items with `itemId` and `itemType`. Invented: `items` is null without `items: true`, and
which objects belong to which group.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simulators.pendo.definitions import Definition, new_id
from simulators.pendo.periods import DAY_MS
from simulators.server import Row

GROUP_TYPES = ("group", "guideCategory")
_ITEM_TYPES = {"pages": "Page", "features": "Feature", "trackTypes": "TrackType", "guides": "Guide"}


@dataclass(frozen=True)
class Group:
    """A product area or a guide category: its row without items, and its items."""

    row: Row
    items: tuple[Row, ...] = ()


class Groups:
    """All groups of a subscription, by type."""

    def __init__(self, rng: random.Random, definitions: Mapping[str, Sequence[Definition]], now: int) -> None:
        tagged = [item for kind in ("pages", "features", "trackTypes") for item in _items(kind, definitions)]
        guides = _items("guides", definitions)
        # Pages, features and track types name this one group in their own column `group`.
        finance = Group(_row(rng, "Finance", "group", now, "grp0-exampleexampleexample0"), tuple(tagged))
        names = ("Onboarding", "News", "Empty")
        self._groups: dict[str, list[Group]] = {
            "group": [finance, Group(_row(rng, "Admin", "group", now)), Group(_row(rng, "Legacy", "group", now))],
            "guideCategory": [
                Group(_row(rng, name, "guideCategory", now), tuple(guides[number:-1:2]) if number < 2 else ())
                for number, name in enumerate(names)
            ],
        }

    def rows(self, group_type: str, *, with_items: bool, exists: Callable[[str], bool]) -> list[Row]:
        """The groups of one type. Items that do not exist any more are not listed."""
        rows = []
        for group in self._groups[group_type]:
            items = [item for item in group.items if exists(item["itemId"])]
            rows.append({**group.row, "length": len(items), "items": items if with_items else None})
        return rows

    def move(self, item_id: str, group_id: str, now: int) -> None:
        """Put an object into another group of the same type. Both groups change. KeyError if one is unknown."""
        for groups in self._groups.values():
            sources = [position for position, group in enumerate(groups) if item_id in _ids(group)]
            targets = [position for position, group in enumerate(groups) if group.row["id"] == group_id]
            if sources and targets:
                source, target = groups[sources[0]], groups[targets[0]]
                moved = tuple(item for item in source.items if item["itemId"] == item_id)
                kept = tuple(item for item in source.items if item["itemId"] != item_id)
                groups[sources[0]] = Group(source.row | {"lastUpdatedAt": now}, kept)
                groups[targets[0]] = Group(target.row | {"lastUpdatedAt": now}, target.items + moved)
                return
        raise KeyError(item_id, group_id)


def _ids(group: Group) -> list[str]:
    return [item["itemId"] for item in group.items]


def _items(kind: str, definitions: Mapping[str, Sequence[Definition]]) -> list[Row]:
    return [{"itemId": item.row["id"], "itemType": _ITEM_TYPES[kind]} for item in definitions[kind]]


def _row(rng: random.Random, name: str, group_type: str, now: int, group_id: str = "") -> Row:
    created = now - rng.randrange(100, 400) * DAY_MS
    user = {"id": "491", "username": "ann@example.com"}
    return {
        "id": group_id or new_id(rng),
        "name": name,
        "type": group_type,
        "color": ".groupColor03",
        "description": "",
        "createdAt": created,
        "createdByUser": user,
        "lastUpdatedAt": created + rng.randrange(100 * DAY_MS),
        "lastUpdatedByUser": user,
    }
