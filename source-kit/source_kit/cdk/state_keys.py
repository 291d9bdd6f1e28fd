"""Keys in a state that the stream does not write itself. All begin with `__ab_`, like those of the CDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "__ab_"
#: Marks the state of a full refresh that has not ended. It is the kit's; the CDK treats it like any other key.
UNFINISHED = "__ab_full_refresh_unfinished"
#: The state of a stream that has none, as the CDK writes it: without a state, no stream is complete.
NO_STATE: Mapping[str, Any] = {"__ab_no_cursor_state_message": True}
