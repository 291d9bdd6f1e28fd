"""What a warehouse should hold of a whole subscription: the truth as records, and the rows of some syncs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import event_rows
from test_kit import destination
from test_kit.messages import Output

Row = dict[str, Any]
Schema = Mapping[str, Any]

#: Streams of activity; the truth needs their first day
ACTIVITY: Final = (*event_rows.GROUPED, *event_rows.SINGLE)
#: Columns that Pendo does not send: keys that are hashes, the reading, copies
_OURS: Final = {"record_id", "read_day", "read_at", "modified_ts", "version_id", "raw", "lastupdated"}

#: Formats of metadata times that Pendo documents, as the simulator writes them: in UTC
_WRITTEN: Final = ("%a %b %d %Y", "%a %b %d %Y %H:%M:%S %z (UTC)", "%m/%d/%Y %I:%M%p", "%Y-%m-%d %H:%M:%S %z")
#: A smaller number is one of seconds
_SMALLEST_MILLIS: Final = 10**11


def held(stream: str, key: list[str], incremental: bool, syncs: Iterable[Output]) -> list[Row]:
    """The rows that a destination holds: upserted by key, or those of the last sync where it overwrites.

    A deletion takes its row away.
    """
    loads = [sync.records[stream] for sync in syncs]
    rows = destination.upserted(key, *(loads if incremental else loads[-1:]))
    return [row for row in rows if row.get("_ab_cdc_deleted_at") is None]


def difference_of(wanted: Iterable[Row], found: Iterable[Row]) -> tuple[list[str], list[str]]:
    """What is missing and what is too much, without nulls and without the columns that Pendo does not send."""
    missing, added = _multiset(wanted), _multiset(found)
    return list(missing - added), list(added - missing)


def _multiset(rows: Iterable[Row]) -> Counter[str]:
    kept = ({k: v for k, v in row.items() if k not in _OURS and v is not None} for row in rows)
    return Counter(json.dumps(row, sort_keys=True) for row in kept)


def expected(stream: str, row: Row, schema: Schema) -> Row:
    """Pendo's row as a record of the discovered schema, by other code than the connector's."""
    if stream in ACTIVITY:
        return event_rows.expected(row)
    convert = _SPECIAL.get(stream, _document)
    return convert(row, schema)


def _snake(name: str) -> str:
    return re.sub("(?<=[a-z0-9])[A-Z]", lambda letter: "_" + letter[0], name).lower()


def _document(row: Row, schema: Schema) -> Row:
    """An object: its own names, and those of documented objects in it."""
    properties = schema["properties"]
    return {(ours := _snake(name)): _value(value, properties.get(ours, {})) for name, value in row.items()}


def _value(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict) and "properties" in schema:
        return _document(value, schema)
    if isinstance(value, list) and "items" in schema:
        return [_value(item, schema["items"]) for item in value]
    if schema.get("format") == "date-time":
        return _instant(value) if value else None
    return value


def _instant(value: Any) -> Any:
    """Milliseconds, seconds and times in words as an instant; another text is one."""
    if isinstance(value, str):
        return next((_iso(at) for form in _WRITTEN if (at := _written(value, form))), value)
    ms = value * 1000 if value < _SMALLEST_MILLIS else value
    return _iso(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _written(text: str, form: str) -> datetime | None:
    try:
        at = datetime.strptime(text.replace("GMT", ""), form)  # noqa: DTZ007  without a zone it is UTC
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _entity(row: Row, schema: Schema) -> Row:
    """An account or visitor: a column for each group of metadata, whose fields keep their names."""
    record = {_snake(name): value for name, value in row.items() if name != "metadata"}
    for group, values in (row["metadata"] or {}).items():
        column = f"metadata_{group}"
        fields = schema["properties"].get(column, {}).get("properties", {})
        record[column] = {name: _value(value, fields.get(name, {})) for name, value in values.items()}
    return record


def _unprocessed(row: Row, schema: Schema) -> Row:
    """One that must not be processed: its metadata stay as they are."""
    return {_snake(name): value for name, value in row.items()}


def _answer(row: Row, schema: Schema) -> Row:
    """An answer to a poll, always a text."""
    record = _document(row, schema)
    record["response"] = record.pop("poll_response")
    return {
        name: str(value) if name in ("response", "nps_comment") and value is not None else value
        for name, value in record.items()
    }


def _version(row: Row, schema: Schema) -> Row:
    """A version of a guide; `last_updated_at` is the guide's."""
    own = "lastUpdatedAt"
    return _document({"versionLastUpdatedAt" if name == own else name: row[name] for name in row}, schema)


_SPECIAL: Final[Mapping[str, Callable[[Row, Schema], Row]]] = {
    "accounts": _entity,
    "visitors": _entity,
    "do_not_process_visitors": _unprocessed,
    "do_not_process_accounts": _unprocessed,
    "poll_responses": _answer,
    "guide_versions": _version,
}
