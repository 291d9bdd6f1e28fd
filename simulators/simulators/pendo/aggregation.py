"""`POST /api/v1/aggregation`: reads the request, runs its pipeline and encodes the answer."""

from __future__ import annotations

from typing import Any

import orjson

from simulators.pendo.errors import memory_limit, timed_out, unparsable_filter, unprocessable
from simulators.pendo.events import GROUPED
from simulators.pendo.expressions import ExpressionError
from simulators.pendo.progress import details
from simulators.pendo.sources import read_source, source_name
from simulators.pendo.stages import apply_stage
from simulators.pendo.subscription import Subscription
from simulators.pendo.switches import Switches
from simulators.pendo.tables import View


def aggregate(body: bytes, subscription: Subscription, switches: Switches, *, with_details: bool = False) -> bytes:
    """Run a pipeline and encode its rows. Raises PendoError for a request that Pendo refuses.

    `with_details` adds `details` to the answers of grouped sources.
    """
    source, *stages = _pipeline(body)
    stage = source.get("source")
    if not isinstance(stage, dict) or len(source) != 1:
        message = "pipeline must start with a source"
        raise unprocessable(message)
    switches.check_allowed(source_name(stage))
    source_rows = read_source(stage, subscription, switches)
    if switches.timeout_rows is not None and source_rows.scanned > switches.timeout_rows:
        raise timed_out()
    if switches.memory_rows is not None and source_rows.scanned > switches.memory_rows:
        raise memory_limit()
    view = View(source_rows.table)
    try:
        for item in stages:
            if not isinstance(item, dict) or len(item) != 1:
                message = "a stage is an object with one key"
                raise unprocessable(message)
            ((name, argument),) = item.items()
            if name == "segment":
                switches.check_allowed("segmentMembers")
            if name == "sort" and switches.sort_rows is not None and len(view.table()) > switches.sort_rows:
                raise memory_limit()
            view = apply_stage(name, argument, view, subscription)
        table = view.table()
    except ExpressionError:
        # wrong arguments of a function are found only when a row is evaluated
        raise unparsable_filter() from None
    head = b"{" if source_rows.start_time is None else b'{"startTime":%d,' % source_rows.start_time
    if with_details and source_name(stage) in GROUPED:
        member = details(switches.details, subscription.progress, source_rows.apps, subscription.now)
        head += b"" if member is None else b'"details":%b,' % orjson.dumps(member)
    if len(table) == 0 and switches.null_when_empty:
        return head + b'"results":null}'
    return b"".join((head, b'"results":[', table.join(), b"]}"))


def _pipeline(body: bytes) -> list[dict[str, Any]]:
    try:
        document = orjson.loads(body)
        pipeline = document["request"]["pipeline"]
    except (ValueError, KeyError, TypeError):
        message = "missing pipeline"
        raise unprocessable(message) from None
    if not isinstance(pipeline, list) or not pipeline or not all(isinstance(item, dict) for item in pipeline):
        message = "missing pipeline"
        raise unprocessable(message)
    return pipeline
