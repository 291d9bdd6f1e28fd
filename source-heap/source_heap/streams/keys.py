"""Which columns identify a row of a table."""

from __future__ import annotations

from collections.abc import Container

from source_heap.config import KeyMode

USERS, MIGRATIONS, SESSIONS = "users", "user_migrations", "sessions"

#: Tables whose rows are not events: they have no instant that `start_date` could be compared with.
NOT_EVENTS = frozenset({USERS, MIGRATIONS})


def key_columns(table: str, mode: KeyMode) -> tuple[str, ...]:
    """The columns of the key.

    `STITCH` are the keys of Stitch, Qlik and tap-heap. `HEAP` follows Heap's advice that an event id, being random, is
    unique for a user only, and that a session is known by its own id and the user's.
    """
    if table == USERS:
        return ("user_id",)
    if table == MIGRATIONS:
        return ("from_user_id",)
    if mode is KeyMode.STITCH:
        return ("event_id",)
    return ("session_id", "user_id") if table == SESSIONS else ("user_id", "event_id")


def key_of(table: str, mode: KeyMode, columns: Container[str]) -> list[list[str]] | None:
    """The key as Airbyte writes it; None where the table lacks a column of it."""
    key = key_columns(table, mode)
    return [[name] for name in key] if all(name in columns for name in key) else None
