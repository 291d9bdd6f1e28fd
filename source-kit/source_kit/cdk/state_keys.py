"""Keys in a stream's state that are not the stream's own. All begin with `__ab_`, as those of the CDK do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "__ab_"
#: Marks the state of a full refresh that has not ended. It is this kit's own; the CDK passes it on like any other key.
UNFINISHED = "__ab_full_refresh_unfinished"
#: The whole state of a stream that has none, as the CDK writes it: each stream needs a state to be complete.
NO_STATE: Mapping[str, Any] = {"__ab_no_cursor_state_message": True}


def without_keys_of_the_cdk(state: Mapping[str, Any]) -> dict[str, Any]:
    """What of a state is the stream's own."""
    return {key: value for key, value in state.items() if not key.startswith(_PREFIX)}
