"""Defines the primary key of each table."""

from __future__ import annotations

from collections.abc import Container

from source_heap.config import KeyMode

USERS, MIGRATIONS, SESSIONS = "users", "user_migrations", "sessions"

#: Tables whose rows are not events, so that they have no `time` for `start_date`
NOT_EVENTS = frozenset({USERS, MIGRATIONS})


def key_columns(table: str, mode: KeyMode) -> tuple[str, ...]:
    """The columns of the key.

    `STITCH` are the keys of Stitch, Qlik and tap-heap. `HEAP` follows Heap's advice: an event id is random, so it is
    unique per user only, and a session is identified by its own id and the user's.
    """
    if table == USERS:
        return ("user_id",)
    if table == MIGRATIONS:
        return ("from_user_id",)
    if mode is KeyMode.STITCH:
        return ("event_id",)
    return ("session_id", "user_id") if table == SESSIONS else ("user_id", "event_id")


def key_of(table: str, mode: KeyMode, columns: Container[str]) -> tuple[str, ...]:
    """The columns of the key; none if the table lacks one of them."""
    key = key_columns(table, mode)
    return key if all(name in columns for name in key) else ()
