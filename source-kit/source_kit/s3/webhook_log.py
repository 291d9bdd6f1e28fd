"""The log of an inlet that webhook-inlet keeps in a bucket. Needs the rights to list and get what is below the inlet.

<prefix><inlet>/lanes/<lane>/000000000001.ndjson.zst    a segment: lines of NDJSON in zstd; never written again
<prefix><inlet>/lanes/<lane>/closed                     the process ended in order; content: the last number
<prefix><inlet>/lanes/<lane>/removed                    retention took every segment; content: the last number
"""

from __future__ import annotations

import io
import logging
import re
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from backports.zstd import ZstdError, ZstdFile

from source_kit.errors import config_error, shorten, system_error
from source_kit.limits import SEGMENT_BYTES, megabytes
from source_kit.s3.bucket import Bucket
from source_kit.s3.options import BucketStore
from source_kit.s3.retrying import ATTEMPTS
from source_kit.s3.rules import Missing, Wording
from source_kit.s3.transfer import TooLong
from source_kit.webhook_log import Lane, Lines, end_of_lines

logger = logging.getLogger("airbyte")

#: A lane, and its segment or marker. Numbers begin with 1.
_NAME = re.compile(
    r"(?P<lane>[0-9]{8}T[0-9]{6}Z-[0-9a-z]{6})/"
    r"((?!0{12})(?P<number>[0-9]{12})\.ndjson\.zst|(?P<marker>closed|removed))"
).fullmatch
#: Entries of a full page of a list
_PAGE = 1_000
#: A marker holds a number. It may end with a line feed.
_MARKER_BYTES = 64
_LAST_NUMBER = 10**12 - 1
_CHUNK_BYTES = 1024 * 1024


class _Foreign(Exception):
    """Among the segments of a lane is an object that webhook-inlet did not write."""


@dataclass(slots=True)
class _Listed:
    """What of a lane is listed: the numbers of its segments, 0 if there are none, and its marker."""

    first: int = 0
    last: int = 0
    marker: str = ""


@dataclass(slots=True)
class _Listing:
    """What is listed of the lanes, but for the middle of long ones. `foreign` objects are ignored."""

    lanes: dict[str, _Listed] = field(default_factory=dict)
    newest: datetime | None = None
    foreign: int = 0
    example: str = ""

    def add(self, name: str, written: datetime | None) -> None:
        """Adds an object, in the order of the names."""
        found = _NAME(name)
        if found is None:
            self.foreign += 1
            self.example = name
            return
        lane = self.lanes.setdefault(found["lane"], _Listed())
        if found["marker"]:
            lane.marker = found["marker"]
            return
        lane.last = int(found["number"])
        lane.first = lane.first or lane.last
        if written is not None:
            self.newest = max(written, self.newest or written)


class BucketLog:
    """A `WebhookLog` over a bucket. Threads share it. `reader` names the connector to AWS: `airbyte-source-pendo`."""

    def __init__(self, store: BucketStore, reader: str, attempts: int = ATTEMPTS) -> None:
        self.inlet = store.inlet
        self.root = f"{store.prefix or ''}{store.inlet}/lanes/"
        wording = Wording(objects="webhook lanes", prefix=self.root, writer="the webhook-inlet")
        self.bucket = Bucket(store, reader, wording, attempts)
        self._listing: _Listing | None = None

    def lanes(self) -> list[Lane]:
        """All lanes of the inlet, the oldest first. An inlet that is not there has none."""
        listing = self._listing = self._list()
        if listing.foreign:
            logger.warning(
                f"{listing.foreign} objects below {self.root} in the bucket {self.bucket.name} are not of a "
                f"webhook-inlet and are ignored, such as {shorten(listing.example, 200)}."
            )
        found = (self._lane(name, listed) for name, listed in sorted(listing.lanes.items()))
        return [lane for lane in found if lane is not None]

    def read(self, lane: str, segment: int, line: int) -> Lines | None:
        """The lines behind the `line`-th of a segment; None if the bucket does not have the segment."""
        key = self._key(lane, segment)
        try:
            packed = self.bucket.read(key, SEGMENT_BYTES)
        except Missing:
            return None
        except TooLong:
            raise self._too_large(key, segment) from None
        try:
            data = _unpacked(packed)
        except TooLong:
            raise self._too_large(key, segment) from None
        except (ZstdError, EOFError) as error:
            raise self._damaged(key, segment, f"its compression is broken ({error})") from error
        if data and not data.endswith(b"\n"):
            raise self._damaged(key, segment, "its last line has no end")
        return Lines(data[end_of_lines(data, line) :], sealed=True)

    def newest(self) -> datetime | None:
        """When the newest segment was written, as of the last `lanes`; None if there is none, or no time is listed."""
        if self._listing is None:
            self._listing = self._list()
        return self._listing.newest

    def close(self) -> None:
        """Closes the connections."""
        self.bucket.close()

    def _list(self) -> _Listing:
        listing = _Listing()
        behind: str | None = ""
        while behind is not None:
            behind = self._list_behind(behind, listing)
        return listing

    def _list_behind(self, behind: str, listing: _Listing) -> str | None:
        """Adds what is listed behind a key. Returns the key to go on behind, or None at the end."""
        for entries in self.bucket.pages(self.root, behind):
            for entry in entries:
                if entry["Key"] <= behind:
                    raise self.bucket.bad_list("is not in the order of its keys")
                behind = entry["Key"]
                listing.add(behind.removeprefix(self.root), entry.get("LastModified"))
            if len(entries) >= _PAGE and (far := self._leap(entries[0]["Key"], behind)):
                return far
        return None

    def _leap(self, first: str, last: str) -> str | None:
        """The key of a segment about a page before the end of its lane; None where the next page should be listed.

        `first` and `last` are the first and the last key of a full page. A lane may have millions of segments, and only
        its ends matter. Whether there is one behind a number is asked with a list of one key, so gaps do no harm.
        """
        begin, end = _NAME(first.removeprefix(self.root)), _NAME(last.removeprefix(self.root))
        if not (begin and end and end["number"] and begin["lane"] == end["lane"]):
            return None
        lane, number = end["lane"], int(end["number"])
        low, step = number, _PAGE
        try:
            while found := self._next(lane, low + step):
                low, step = found, step * 2
            high = low + step
            while high - low > _PAGE:
                middle = (low + high) // 2
                if found := self._next(lane, middle):
                    low = found
                else:
                    high = middle
        except _Foreign:
            return None
        return self._key(lane, low - 1) if low > number else None

    def _next(self, lane: str, number: int) -> int:
        """The next segment behind a number; 0 if there is none. Raises _Foreign where something else comes next."""
        if number >= _LAST_NUMBER:
            return 0
        key = self.bucket.next_key(f"{self.root}{lane}/", self._key(lane, number))
        if key is None:
            return 0
        name = _NAME(key.removeprefix(self.root))
        if name is None:
            raise _Foreign
        return int(name["number"] or 0)

    def _lane(self, name: str, listed: _Listed) -> Lane | None:
        """A lane as the log has it; None for one that vanished meanwhile."""
        if listed.last:
            return Lane(name, listed.first, listed.last, None)
        key = f"{self.root}{name}/{listed.marker}"
        try:
            content = self.bucket.read(key, _MARKER_BYTES).decode("ascii").strip()
        except Missing:
            return None
        except (TooLong, UnicodeDecodeError):
            content = ""
        if not re.fullmatch(r"[0-9]{1,12}", content, re.ASCII):
            raise system_error(
                f"The object {key} in the bucket {self.bucket.name} should hold the number of the last segment of its "
                "lane of the webhook log, and does not. Restore it from a copy, or delete it with its lane if what the "
                "lane held is read."
            )
        return Lane(name, int(content) + 1, int(content), 0)

    def _key(self, lane: str, segment: int) -> str:
        return f"{self.root}{lane}/{segment:012d}.ndjson.zst"

    def _damaged(self, key: str, segment: int, problem: str) -> AirbyteTracedException:
        return system_error(
            f"The object {key} in the bucket {self.bucket.name} is not a whole segment of the webhook log: {problem}. "
            "The lane was read up to it. Restore it from a copy; if there is none, set the position of the lane in the "
            f"state of the stream to [{segment + 1}, 0] to read on behind it."
        )

    def _too_large(self, key: str, segment: int) -> AirbyteTracedException:
        return config_error(
            f"The object {key} in the bucket {self.bucket.name} holds more than {megabytes(SEGMENT_BYTES)} of lines, "
            "which this connector does not read. The lane was read up to it. To read on behind it, set the position of "
            f"the lane in the state of the stream to [{segment + 1}, 0]; so that it does not happen again, lower "
            "max_body of the inlet."
        )


def _unpacked(packed: bytes) -> bytes:
    """The content of all frames. Raises ZstdError or EOFError if it is damaged, TooLong beyond the limit."""
    data = io.BytesIO()
    with closing(ZstdFile(io.BytesIO(packed))) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if data.tell() + len(chunk) > SEGMENT_BYTES:
                raise TooLong
            data.write(chunk)
    return data.getvalue()
