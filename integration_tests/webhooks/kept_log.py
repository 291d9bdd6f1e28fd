"""The log of an inlet, read by HTTP or from the files of a volume, and its comparison with the senders' ledger.

Written from the format's description; no code of the inlet is used.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from backports import zstd
from simulators.webhooks.ledger import Entry
from webhooks.inlet_process import Reader

_SEGMENT = re.compile(r"([0-9]{12})\.ndjson(\.zst)?")


@dataclass(frozen=True)
class Line:
    """One event. `body` are the bytes as they were posted."""

    key: str
    at: int
    inlet: str
    sig: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def sha256(self) -> str:
        """Of the body."""
        return hashlib.sha256(self.body).hexdigest()


#: Segments by number, by lane
Lanes = Mapping[str, Mapping[int, list[Line]]]


def parse(raw: bytes) -> Line:
    """A line, whose body is cut out as it stands, not written anew."""
    if b',"body_b64":"' in raw:
        head, _, rest = raw.partition(b',"body_b64":"')
        body = base64.b64decode(rest.removesuffix(b'"}'), validate=True)
    else:
        head, found, rest = raw.partition(b',"body":')
        assert found, raw[:200]
        body = rest.removesuffix(b"}")
        orjson.loads(raw)  # a reader takes the line as a whole
    row: dict[str, Any] = orjson.loads(head + b"}")
    assert row["v"] == 1
    return Line(row["key"], row["at"], row["inlet"], row["sig"], row["headers"], body)


def parse_all(data: bytes) -> list[Line]:
    """Whole lines only."""
    assert data == b"" or data.endswith(b"\n"), f"a torn line: {data[-80:]!r}"
    return [parse(raw) for raw in data.split(b"\n")[:-1]]


def by_http(inlet: Reader, name: str) -> Lanes:
    """The log as a reader gets it. The ends of the listing are held against what comes."""
    lanes: dict[str, dict[int, list[Line]]] = {}
    for lane in inlet.json(f"/log/v1/{name}")["lanes"]:
        segments = lanes[lane["lane"]] = {}
        for number in range(lane["first"], lane["last"] + 1):
            status, data = inlet.get(f"/log/v1/{name}/{lane['lane']}/{number}?line=0")
            assert status == 200, (lane, number, status, data)
            segments[number] = parse_all(data)
        if lane["last"] >= lane["first"]:
            assert len(segments[lane["last"]]) >= lane["lines"], lane
    return lanes


def by_files(root: Path, name: str) -> Lanes:
    """The log as it stands on the volume of a process that has ended."""
    lanes: dict[str, dict[int, list[Line]]] = {}
    for folder in sorted((root / name / "lanes").glob("*")):
        segments = lanes[folder.name] = {}
        for file in sorted(folder.iterdir()):
            if found := _SEGMENT.fullmatch(file.name):
                data = file.read_bytes()
                segments[int(found[1])] = parse_all(zstd.decompress(data) if found[2] else data)
        assert list(segments) == list(range(min(segments, default=1), min(segments, default=1) + len(segments)))
    return lanes


def lines(lanes: Lanes) -> list[Line]:
    """All of them."""
    return [line for segments in lanes.values() for part in segments.values() for line in part]


def assert_kept(entries: Iterable[Entry], lanes: Lanes, *, twice: int | None = 0) -> int:
    """Holds a log against what was posted to it. Returns how many bodies were acknowledged.

    Nothing that was acknowledged is missing, nothing is stored that was not posted, no key comes twice in a lane, and
    at most `twice` keys (None: any number) in two lanes.
    """
    entries = list(entries)
    kept = lines(lanes)
    stored = {line.sha256 for line in kept}
    acknowledged = {digest for entry in entries for digest in entry.acknowledged}
    posted = {post.sha256 for entry in entries for post in entry.posts}
    lost = acknowledged - stored
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged events are not in the log"
    assert stored <= posted, f"{len(stored - posted)} lines have bytes that nobody posted"
    for lane, segments in lanes.items():
        keys = Counter(line.key for part in segments.values() for line in part)
        repeated = [key for key, count in keys.items() if count > 1]
        assert not repeated, f"{len(repeated)} keys stand twice in lane {lane}, e.g. {repeated[0]}"
    everywhere = Counter(line.key for line in kept)
    if twice is not None:
        assert sum(count > 1 for count in everywhere.values()) <= twice
    return len(acknowledged)


def expected_key(source: str, body: bytes) -> str:
    """The key of a single, well-formed event."""
    row = orjson.loads(body)
    return f"customerio:{row['event_id']}" if source == "customerio" else f"pendo:{row['event']}:{row['uniqueId']}"
