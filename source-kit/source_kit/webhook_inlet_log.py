"""The webhook log as the inlet itself serves it over HTTP, from a volume or a bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.errors import Action, ErrorRule, ErrorTable, config_error
from source_kit.http.body import NDJSON
from source_kit.http.client import Answer, BadAnswer, Client, Connection
from source_kit.http.retry import CHECK_RETRY_POLICY, RETRY_POLICY
from source_kit.limits import SEGMENT_BYTES
from source_kit.options import Options, text, url
from source_kit.webhook_lines import received_at
from source_kit.webhook_log import SEGMENTS_AHEAD, Lane, Lines

#: Seconds until an answer begins, and again until it ends; a segment has a few megabytes.
_READ_TIMEOUT = 60.0
#: A check does not wait longer for one answer, because a person waits for the check. Seconds.
_CHECK_TIMEOUT = 20.0
_LANES_LOOKED_AT = 8
_OPTION: Final = "webhook_store.url"
_SEALED: Final = "Webhook-Log-Sealed"
_NO_INLET: Final = (
    "The server at webhook_store.url is not a webhook-inlet. Enter the address of the inlet alone, such as "
    "https://inlet.example.com, without /in and without the path of an inlet, and check whether a proxy answers in its "
    "place."
)
_REFUSED: Final = (
    "The webhook-inlet refuses the token (status 401). Enter the read_token of its configuration into "
    "webhook_store.token."
)

#: The inlet itself never answers 403.
_FORBIDDEN: Final = (
    "A server in front of the webhook-inlet refuses this connector (status 403). Let it pass there, or enter an "
    "address that leads to the webhook-inlet itself into webhook_store.url."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InletStore(Options):
    """An inlet that is asked itself."""

    url: str = url("https://inlet.example.com", required=True)
    token: str = text("the read_token of the webhook-inlet's configuration", required=True, secret=True)
    inlet: str = text(
        "the name that the inlet has in the webhook-inlet's configuration: small letters, digits and hyphens",
        required=True,
        check=re.compile(r"[a-z0-9-]+").fullmatch,
    )


_ERRORS: Final = ErrorTable(
    "webhook-inlet",
    (
        ErrorRule(401, _REFUSED, Action.FAIL, FailureType.config_error),
        ErrorRule(403, _FORBIDDEN, Action.FAIL, FailureType.config_error),
        ErrorRule(404, _NO_INLET, Action.FAIL, FailureType.config_error),
    ),
    ("the webhook-inlet", _OPTION),
)


class InletLog:
    """A `WebhookLog` over HTTP. `reader` is the name by which the inlet counts what was read, its `User-Agent`."""

    def __init__(self, store: InletStore, stream: str, reader: str, *, checking: bool = False) -> None:
        self.inlet = store.inlet
        self._lanes: list[Lane] = []
        headers = {
            "Authorization": f"Bearer {store.token}",
            "User-Agent": reader,
            "Accept": f"application/json, {NDJSON}",
        }
        connection = Connection(store.url, headers, connections=SEGMENTS_AHEAD, option=_OPTION, clock_matters=False)
        policy, seconds = (CHECK_RETRY_POLICY, _CHECK_TIMEOUT) if checking else (RETRY_POLICY, _READ_TIMEOUT)
        self.client = Client(stream, connection, _ERRORS, policy, seconds)

    def lanes(self) -> list[Lane]:
        """All lanes of the inlet."""
        answer = self.client.call(f"/log/v1/{self.inlet}", accept=(404,))
        document = self._document(answer)
        if answer.status == 404:
            raise self._not_found(document)
        try:
            self._lanes = [_lane(lane) for lane in document["lanes"]]
        except (KeyError, TypeError) as error:
            raise config_error(_NO_INLET, f"the answer has no lanes: {error!r}") from None
        return self._lanes

    def read(self, lane: str, segment: int, line: int) -> Lines | None:
        """The lines behind the `line`-th of a segment; None if the store does not have the segment."""
        return self._lines(lane, segment, {"line": line})

    def _lines(self, lane: str, segment: int, query: dict[str, Any]) -> Lines | None:
        path = f"/log/v1/{self.inlet}/{quote(lane, safe='')}/{segment}"
        answer = self.client.call(path, params=query, accept=(404,))
        if answer.status == 404:
            document = self._document(answer)
            if isinstance(document, dict) and document.get("code") == "no_segment":
                return None
            raise self._not_found(document)
        sealed = answer.headers.get(_SEALED, "").lower()
        if sealed not in ("true", "false"):
            answer.close()
            raise config_error(_NO_INLET, f"the answer has no {_SEALED}")
        return Lines(answer.content(SEGMENT_BYTES), sealed == "true")

    def newest(self) -> datetime | None:
        """When the newest event was received, as of the last `lanes`. Looks into the youngest few only.

        `peek` tells the inlet that nothing was read, so that its count of unread events stays right.
        """
        youngest = sorted((lane for lane in self._lanes if lane.lines), key=lambda lane: lane.name)
        found = []
        for lane in youngest[-_LANES_LOOKED_AT:]:
            lines = self._lines(lane.name, lane.last, {"line": (lane.lines or 1) - 1, "peek": "true"})
            at = received_at(lines.data.partition(b"\n")[0]) if lines else None
            found += [] if at is None else [at]
        return datetime.fromtimestamp(max(found) / 1e6, UTC) if found else None

    def refused(self, source: str) -> int:
        """The posts of the last 24 hours with a wrong signature, by `/status`; 0 where that cannot be read.

        Raises a config error if the inlet takes the posts of another sender than `source`.
        """
        try:
            document = self.client.call("/status").json()
        except AirbyteTracedException as error:
            self.client.logger.info(f"The status of the webhook-inlet cannot be read: {error.internal_message}")
            return 0
        try:
            [found] = [inlet for inlet in document["inlets"] if inlet["name"] == self.inlet]
            other, count = found.get("source", source), int(found["posts"]["24h"]["bad_signature"])
        except (KeyError, TypeError, ValueError):
            return 0
        if other != source:
            raise config_error(
                f"The inlet {self.inlet} takes the posts of {other}, not of {source}. Correct webhook_store.inlet, or "
                "the source of this inlet in the webhook-inlet's configuration."
            )
        return count

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _document(self, answer: Answer) -> Any:
        try:
            return answer.json()
        except BadAnswer:
            if answer.status == 404:
                return None
            raise

    def _not_found(self, document: Any) -> AirbyteTracedException:
        """The error for a 404 that does not mean a missing segment."""
        if isinstance(document, dict) and document.get("code") == "unknown_inlet":
            return config_error(
                f"The webhook-inlet has no inlet named {self.inlet}. Correct webhook_store.inlet: it is a name in the "
                "inlets of its configuration. If it is there, let the webhook-inlet load its configuration again."
            )
        return config_error(_NO_INLET, "status 404")


def _lane(listed: Any) -> Lane:
    """A lane of the listing. Raises KeyError or TypeError for one of another shape."""
    name, *numbers = [listed[member] for member in ("lane", "first", "last", "lines")]
    if not isinstance(name, str) or set(map(type, numbers)) != {int}:
        raise TypeError("a lane is not of the expected shape")
    return Lane(name, *numbers)
