"""What options change in a whole answer: fields left out, lists cut in two, older or doubtful forms of fields.

Everything here is allowed by the vendor's specification, in which nearly every field is optional and no list says that
it ends.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import orjson

from simulators.customerio.options import Options
from simulators.customerio.wire import VendorError, opaque_token, read_opaque_token
from simulators.server import Request, Row

COUNTED = ("human_opened", "prefetch_opened", "human_clicked", "prefetch_clicked")
"""The names in `metrics` of a delivery that the vendor's specification describes as counts."""

REQUIRED = {
    "identifiers": frozenset({"cio_id", "id", "email"}),
    "reporting_webhooks": frozenset({"name", "endpoint", "events"}),
    "snippets": frozenset({"name", "value"}),
}
"""The fields that the vendor's specification requires, by envelope. Rows elsewhere have none."""

_IDS = frozenset({"id", "cio_id"})
_TIMES = frozenset({"created", "updated", "created_at", "updated_at", "timestamp"})


def adjusted(document: object, request: Request, options: Options) -> object:
    """The answer as the options want it; the same object where they say nothing of it."""
    wanted = options.left_out or options.two_pages or options.bare_template_ids or options.human_counts
    if not wanted:
        return document
    answer = orjson.loads(document) if isinstance(document, bytes) else document
    if not isinstance(answer, dict):
        return answer
    changed: dict[str, Any] = dict(answer)
    is_one_list = "next" not in answer and sum(isinstance(value, list) for value in answer.values()) == 1
    for envelope, rows in answer.items():
        if not isinstance(rows, list):
            continue
        if envelope in options.two_pages and is_one_list:
            rows, changed["next"] = _half(rows, request)
        changed[envelope] = [_row(envelope, row, options) for row in rows]
    if options.bare_template_ids and isinstance(answer.get("broadcast"), dict):
        changed["broadcast"] = _row("broadcasts", answer["broadcast"], options)
    return changed


def unknown_id(error: VendorError, path: str, options: Options) -> VendorError:
    """The error for an id that does not exist: 404, or 400 on the paths of `Options.vanished_as_400`."""
    if error.status == 404 and any(re.search(pattern, path) for pattern in options.vanished_as_400):
        return VendorError(400, "invalid id")
    return error


def poorer(row: Row, envelope: str = "") -> Row:
    """The row with fields left out. Which ones depends on its id only, so every answer leaves out the same.

    A fifth of all rows each: nothing, the id, the times, both, or about half of the fields but not the id. What the
    specification requires in this envelope stays.
    """
    number = zlib.crc32(orjson.dumps(next((row[name] for name in _IDS if name in row), row)))
    dropped: set[str] | frozenset[str]
    match number % 5:
        case 0:
            return row
        case 1:
            dropped = _IDS & row.keys()
        case 2:
            dropped = _TIMES & row.keys()
        case 3:
            dropped = (_IDS | _TIMES) & row.keys()
        case _:
            dropped = {name for name in row.keys() - _IDS if zlib.crc32(f"{number}/{name}".encode()) % 2}
    dropped = dropped - REQUIRED.get(envelope, frozenset())
    return {name: value for name, value in row.items() if name not in dropped}


def as_counts(delivery: Row) -> Row:
    """A delivery in whose `metrics` the names of `COUNTED` are small numbers."""
    metrics = {name: 1 + moment % 3 if name in COUNTED else moment for name, moment in delivery["metrics"].items()}
    return delivery | {"metrics": metrics}


def _half(rows: list[Any], request: Request) -> tuple[list[Any], str]:
    """The first half of a list that has no pages, with a token; for this token the second half, which may be empty."""
    middle = (len(rows) + 1) // 2
    if read_opaque_token(request.path, request.param("start") or "") == "second":
        return rows[middle:], ""
    return rows[:middle], opaque_token(request.path, "second")


def _row(envelope: str, row: Any, options: Options) -> Any:
    if not isinstance(row, dict):
        return row
    if options.human_counts and envelope == "messages" and "metrics" in row:
        row = as_counts(row)
    if options.bare_template_ids and envelope == "broadcasts":
        row = row | {"msg_template_ids": [item["id"] for item in row["msg_template_ids"] or []]}
    return poorer(row, envelope) if envelope in options.left_out else row
