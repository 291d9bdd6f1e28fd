"""Endpoints beside the aggregation and the lists: key, guide histories, report results, bulk deletions, one segment.

Documented: the addresses, and 404 for what does not exist. Invented: all members of the answer of `token/verify` except
that it says whether the key may write, and the statuses that are switches. The list endpoints do not have private
reports and unshared segments (documented); here their own addresses answer 404, too (inferred).
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

from simulators.pendo import reports
from simulators.pendo.errors import PendoError, not_found
from simulators.pendo.subscription import Subscription
from simulators.pendo.switches import Switches
from simulators.server import Request, Response, Row

BASE64_HEADER = "x-pendo-base64-encoded-params"
_BASE64_PREFIX = "b64_"
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def segments_of(path: str) -> list[str]:
    """The parts of a path, each percent-decoded.

    `.` and `..` lead to another address, as clients and proxies resolve them (RFC 3986), also when they are encoded. So
    such an id is reached by base64 only.
    """
    parts: list[str] = []
    for part in map(unquote, path.strip("/").split("/")):
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return parts


def answer_get(segments: list[str], subscription: Subscription, switches: Switches) -> Response | None:
    """The answer to a GET of one of these endpoints, None for any other address. `segments` are those after `v1`."""
    match segments:
        case ["token", "verify"]:
            return _verify(switches)
        case ["guide", guide_id, "history"]:
            return _guide_history(guide_id, subscription, switches)
        case ["report", report_id, "results.json"]:
            return _report_results(report_id, subscription, switches)
        case ["segment", segment_id]:
            switches.check_allowed("segments")
            return Response.json(_find(subscription, "segments", segment_id))
        case ["bulkdelete"]:
            switches.check_allowed("bulkDeletions")
            with subscription.lock:
                return Response.json(subscription.erasures.outstanding())
        case ["bulkdelete", request_id]:
            switches.check_allowed("bulkDeletions")
            found = subscription.erasures.request(request_id)
            if found is None:
                raise not_found()
            return Response.json(found)
    return None


def _verify(switches: Switches) -> Response:
    if switches.verify_status is not None:
        raise PendoError(switches.verify_status, "token/verify is not available")
    return Response.json({"valid": True, "writeAccess": switches.key_may_write})


def _find(subscription: Subscription, kind: str, object_id: str) -> Row:
    row = next((row for row in subscription.definition_rows(kind, None) if row["id"] == object_id), None)
    if row is None:
        raise not_found()
    return row


def _guide_history(guide_id: str, subscription: Subscription, switches: Switches) -> Response:
    switches.check_allowed("guideHistory")
    guide = _find(subscription, "guides", guide_id)
    with subscription.lock:
        return Response.json(subscription.versions.newest_first(guide, switches.own_version_ids))


def _report_results(report_id: str, subscription: Subscription, switches: Switches) -> Response:
    switches.check_allowed("reportResults")
    report = _find(subscription, "reports", report_id)
    if not reports.has_results(report):
        raise PendoError(switches.other_reports_status, "the report has no results")
    return Response.json(subscription.report_results(report))


def decoded_id(object_id: str, request: Request, switches: Switches) -> str:
    """The id of a visitor or account in an address: percent-encoded, or `b64_` with URL-safe base64 and the header.

    Both forms are documented, padding is not. Without the header the text is the id itself (inferred).
    """
    header = request.headers.get(BASE64_HEADER, "").lower() == "true"
    if not header or not object_id.startswith(_BASE64_PREFIX) or switches.base64_ids == "none":
        return object_id
    text = object_id.removeprefix(_BASE64_PREFIX)
    is_padded = len(text) % 4 == 0
    if not _URL_SAFE.fullmatch(text):
        raise not_found()
    if (switches.base64_ids == "padded" and not is_padded) or (switches.base64_ids == "unpadded" and "=" in text):
        raise not_found()
    try:
        return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise not_found() from None
