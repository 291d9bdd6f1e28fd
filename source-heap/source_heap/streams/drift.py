"""Says where a table has drifted from the schema that the connection knows: other types, new columns.

A read takes the schema from the catalog and looks into no file for it. The vendor infers the type of a property from
its values, adds new properties by itself, and never fills a column backwards (Contentsquare's and Heap's documentation,
certain). So what a read leaves out stays out, unless the user refreshes the schema, and then the stream.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from source_heap.added_columns import OWN_COLUMNS
from source_heap.avro.times import TIME_COLUMNS
from source_heap.avro.values import INSTANTS, Projection

logger = logging.getLogger("airbyte")

#: Names that one line of the log lists
_NAMED = 20


def warn_of_misfits(table: str, misfits: Counter[str], projection: Projection) -> None:
    """Warns of values that were left empty because they do not fit the catalog's types, and forgets them.

    Discovery always declares Heap's own time columns as timestamps, so a new schema would not help these.
    """
    instants = [name for name in misfits if name in TIME_COLUMNS and projection.target(name) in INSTANTS]
    for name in instants:
        count = misfits.pop(name)
        logger.warning(
            f"Table {table}: {count:,} values of column {name} are no instants and were left empty. Their records list "
            "the change."
        )
    if misfits:
        what = _listed(
            f"{count:,} values of column {name} do not fit its type {_type(projection.target(name))}"
            for name, count in misfits.most_common()
        )
        logger.warning(
            f"Table {table}: {what} and were left empty. Refresh the schema of the connection, then the stream."
        )
    misfits.clear()


def _type(target: str | None) -> str:
    return "timestamp" if target in INSTANTS else str(target)


def log_new_columns(table: str, now: Iterable[str], before: Iterable[str], known: Iterable[str]) -> None:
    """Logs columns `now` in the dumps to read that the last dump read `before` lacks and the catalog does not know.

    The catalog does not say which columns the user deselected: these were logged by an earlier sync.
    """
    old = {*before, *known, *OWN_COLUMNS}
    new = [name for name in dict.fromkeys(now) if name not in old]
    if new:
        logger.info(
            f"Table {table} has new columns {_listed(new)} that the connection does not know: refresh the schema, then "
            "the stream, to have their values from the start."
        )


def _listed(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more
