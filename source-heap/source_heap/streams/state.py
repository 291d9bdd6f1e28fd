"""Reads a stream's state and checks it against the bucket."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import config_error

from source_heap.dumps import Dumps
from source_heap.plan import CURSOR, TableState, UnreadableState

logger = logging.getLogger("airbyte")


def read_state(stream: str, document: Mapping[str, Any], dumps: Dumps, cursor: str = CURSOR) -> TableState | None:
    """The state, or None if there is none yet.

    Raises a config_error if the state is unreadable, belongs to another bucket, or is ahead of this bucket: continuing
    from it could skip rows. In a state with nothing but the cursor, written by hand or by a test kit, all dumps up to
    the cursor count as read.
    """
    if not document:
        return None
    try:
        state = TableState.from_json(document, cursor)
    except UnreadableState as error:
        raise unreadable(stream, str(error)) from None
    if state.bucket and state.bucket != dumps.bucket.name:
        raise config_error(
            f"The state of stream {stream} belongs to the bucket {state.bucket}, not to {dumps.bucket.name}. Enter the "
            "old bucket again, or reset the stream, which reads it from the start."
        )
    newest = dumps.listed()[-1].dump_id
    if newest < state.reached and not state.bucket:
        logger.warning(
            f"The state of stream {stream} says that all dumps up to {state.reached} are read; the newest one in the "
            f"bucket is {newest}. Nothing is read before a later one arrives."
        )
    elif newest < state.reached:
        raise config_error(
            f"The state of stream {stream} is at dump {state.reached}, but the newest dump in the bucket "
            f"{dumps.bucket.name} is {newest}: the bucket was emptied or replaced. Reset the stream, which reads it "
            "from the start."
        )
    return state if state.bucket or newest < state.reached else replace(state, bucket=dumps.bucket.name)


def unreadable(stream: str, why: str) -> AirbyteTracedException:
    """The error for a state that cannot be read; `why` is a clause."""
    return config_error(
        f"The state of stream {stream} cannot be read: {why}. Reset the stream, which reads it from the start."
    )
