"""Results of reports.

Documented: only Visitor and Account reports have results, as an array; a report that does not exist answers 404.
Inferred: the answer for a report of another kind, which is 404 here unless the switch `other_reports_status` says
otherwise; the columns of a result, which differ by report.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from simulators.server import Row

_KINDS = {"Visitor Report": "visitorId", "Account Report": "accountId"}


def has_results(report: Row) -> bool:
    """Whether the report is a list of visitors or accounts."""
    return report["type"] in _KINDS


def results(report: Row, visitors: Sequence[Row], accounts: Sequence[Row]) -> list[Row]:
    """The rows of a Visitor or Account report. Its name decides which half of them and which columns."""
    key = _KINDS[report["type"]]
    rows = []
    for row in visitors if key == "visitorId" else accounts:
        if not _is_chosen(report["id"], row[key]):
            continue
        auto = ((row["metadata"] or {}).get("auto")) or {}
        result: Row = {
            key: row[key],
            "lastvisit": auto.get("lastvisit"),
            "numEvents": zlib.crc32(row[key].encode("utf-8", "surrogatepass")) % 99,
        }
        if report["id"] < "V":
            result["Days active (30)"] = result["numEvents"] % 30
        rows.append(result)
    return rows


def _is_chosen(owner_id: str, object_id: str) -> bool:
    return zlib.crc32(f"{owner_id}/{object_id}".encode("utf-8", "surrogatepass")) % 2 == 0
