"""The states that a sync is given: the one of each stream, and what a sync starts with."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from airbyte_cdk.models import AirbyteStateMessage, ConfiguredAirbyteStream, SyncMode
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager

from source_kit.cdk.state_keys import PREFIX, UNFINISHED
from source_kit.convert import parse_instant

#: A state that is ahead by less gets no warning: clocks differ.
_AHEAD_ALLOWED = timedelta(hours=1)
#: The end of the year 9999
_LAST_SECOND = 253_402_300_799


class SavedStates:
    """The per-stream states that a sync was given. Those of streams that are not in the catalog are ignored.

    A file may hold all states that a sync wrote. The last one of a stream counts.
    """

    def __init__(self, states: Sequence[AirbyteStateMessage] | None, logger: logging.Logger) -> None:
        self._states = ConnectorStateManager(state=list(states or []))
        found = Counter(state.stream.stream_descriptor.name for state in states or [] if state.stream)
        for name, times in found.items():
            if times > 1:
                logger.info(f"Stream {name}: {times} states were given; the last one counts")

    def start_of(self, configured: ConfiguredAirbyteStream) -> dict[str, Any]:
        """The state with which the sync of a stream starts, without the keys of the CDK; empty if there is none.

        A full refresh starts without a state, since the state of an incremental sync would make it partial, unless the
        state belongs to a full refresh that was interrupted. A state with another namespace is taken as well: streams
        have none here, so it was changed by hand.
        """
        name, namespace = configured.stream.name, configured.stream.namespace
        known = [found.namespace for found in self._states.per_stream_states if found.name == name]
        state = self._states.get_stream_state(name, namespace if namespace in known or not known else known[-1])
        if configured.sync_mode is SyncMode.full_refresh and state.get(UNFINISHED) is not True:
            return {}
        return {key: value for key, value in state.items() if not key.startswith(PREFIX)}


def warn_of_future(logger: logging.Logger, stream: str, instants: Iterator[datetime], now: datetime) -> None:
    """Warns of a state in the future: an incremental sync emits nothing before that time."""
    newest = max(instants, default=now)
    if newest - now > _AHEAD_ALLOWED:
        logger.warning(
            f"Stream {stream}: the saved state lies in the future ({newest:%Y-%m-%dT%H:%M:%SZ}), so what changes until "
            "then may not be emitted. If it was edited or a clock ran ahead, restore the last good state or reset the "
            "stream."
        )


def instants_of(state: Mapping[str, Any], cursor: str, seconds: bool) -> Iterator[datetime]:
    """The instants in a state: all texts, if the cursor is one; with `seconds` the cursor and those of parents."""
    reached = state.get(cursor)
    if seconds:
        below = (part.values() for part in state.values() if isinstance(part, Mapping))
        values = [reached, *(value for part in below for value in part)]
    else:
        values = list(state.values()) if isinstance(reached, str) else []
    for value in values:
        with suppress(ValueError, OverflowError, OSError):
            if seconds and isinstance(value, int | float | str):
                yield datetime.fromtimestamp(min(float(value), _LAST_SECOND), UTC)
            elif isinstance(value, str):
                yield parse_instant(value)
