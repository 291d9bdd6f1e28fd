"""The table of the benchmark: 34 columns, half of the values null, a million rows in 16 snappy files.

It is a table of page views as in one customer's bucket: integer ids, all other columns text, `time` last. Rows come in
visits of one to three pages with equal columns, as real ones do, so snappy can compress them. The Avro bytes of 4,000
visits and 4,000 pages are made once. A row joins two of them, so a million rows take a few seconds.
"""

import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro

from simulators.heap.avro_files import (
    BLOCK_BYTES,
    Codec,
    Column,
    UnionOrder,
    avro_schema,
    container_block,
    container_header,
    long_bytes,
)
from simulators.heap.layout import DEFAULT_BUCKET, StoredObject

TABLE = "pageviews"
DUMP_ID = 1_008_461_850

_IDS = tuple(Column(name, "long") for name in ("event_id", "user_id", "session_id"))
_VISIT = tuple(
    Column(name)
    for name in (
        *("type", "library", "platform", "device_type", "country", "region", "city", "ip", "referrer", "landing_page"),
        *("landing_page_query", "browser", "utm_source", "utm_campaign", "utm_medium", "utm_term", "utm_content"),
        *("device", "carrier", "app_name", "app_version", "user_agent"),
    )
)
_PAGE = tuple(
    Column(name)
    for name in ("path", "query", "title", "shopifypdp_id", "cart_value", "logged_in", "plan_tier", "productid")
)
COLUMNS = (*_IDS, *_VISIT, *_PAGE, Column("time"))

_SHARE_OF_VALUES = {"type": 1.0, "library": 1.0, "user_agent": 0.4, "landing_page": 0.7, "referrer": 0.6, "path": 1.0}
_OTHERS_SHARE = 0.34
_POOL = 4_000
_FIRST_DAY = "2024-05-"
_MARKER = b"heap-bench-table"


@dataclass(frozen=True)
class BenchTable:
    """A bucket with one full dump of one table. The same arguments give the same bytes."""

    rows: int = 1_000_000
    files: int = 16
    seed: int = 1

    @property
    def keys(self) -> list[str]:
        """The keys of the data files, in order."""
        return [
            f"sync_{DUMP_ID}/{TABLE}/part-{index:05d}-0e1d2c3b-4a59-4687-9706-1f2e3d4c5b6a-c000.avro"
            for index in range(self.files)
        ]

    def ensure(self, cache: Path) -> Path:
        """The bucket as a folder in `cache`; made if it is not there yet. Its manifest names `DEFAULT_BUCKET`."""
        folder = cache / f"heap-{self.rows}-rows-{self.files}-files-seed-{self.seed}"
        manifest = self.manifest(DEFAULT_BUCKET)
        if (folder / manifest.key).exists():
            return folder
        for item in (*self.data_objects(), manifest):
            path = folder / item.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(item.data)
        return folder

    def cached_objects(self, cache: Path, bucket: str) -> Iterator[StoredObject]:
        """All objects for a bucket with this name. The data come from the cache."""
        folder = self.ensure(cache)
        for key in self.keys:
            yield StoredObject(key, (folder / key).read_bytes())
        yield self.manifest(bucket)

    def manifest(self, bucket: str) -> StoredObject:
        """The manifest of the only dump."""
        table = {
            "name": TABLE,
            "incremental": False,
            "files": [f"s3://{bucket}/{key}" for key in self.keys],
            "columns": [column.name for column in COLUMNS],
        }
        document = {"dump_id": DUMP_ID, "tables": [table]}
        return StoredObject(f"manifests/sync_{DUMP_ID}.json", json.dumps(document).encode())

    def data_objects(self) -> Iterator[StoredObject]:
        """Make the data files, one at a time."""
        pools = _Pools(random.Random(self.seed))
        for index, key in enumerate(self.keys):
            count = (index + 1) * self.rows // self.files - index * self.rows // self.files
            yield StoredObject(key, _file(pools, count, day=index % 28 + 1, seed=f"{self.seed}/{index}"))


class _Pools:
    """Encoded parts of rows: visits (ids and all columns that are equal within a visit) and pages."""

    def __init__(self, rng: random.Random) -> None:
        self.visits = [self._visit(rng) for _ in range(_POOL)]
        self.pages = [_encoded(_PAGE, rng) for _ in range(_POOL)]
        # times such as `04:05:06.789`, without zeros at the end of the fraction
        self.seconds = [f"{t // 3600:02d}:{t // 60 % 60:02d}:{t % 60:02d}".encode() for t in range(86_400)]
        self.fractions = [f".{ms:03d}".rstrip("0").rstrip(".").encode() for ms in range(1_000)]

    @staticmethod
    def _visit(rng: random.Random) -> bytes:
        ids = b"".join(b"\x00" + long_bytes(rng.getrandbits(53)) for _ in range(2))
        return ids + _encoded(_VISIT, rng)


def _encoded(columns: Sequence[Column], rng: random.Random) -> bytes:
    """The Avro bytes of these columns of one row."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, avro_schema(columns, UnionOrder.TYPE_FIRST), _values(columns, rng))
    return buffer.getvalue()


def _values(columns: Sequence[Column], rng: random.Random) -> dict[str, Any]:
    return {
        column.name: _text(column.name, rng)
        if rng.random() < _SHARE_OF_VALUES.get(column.name, _OTHERS_SHARE)
        else None
        for column in columns
    }


def _text(name: str, rng: random.Random) -> str:
    number = rng.randrange(500)
    match name:
        case "user_agent":
            system = rng.choice(("Macintosh; Intel Mac OS X 10_15_7", "Windows NT 10.0; Win64; x64"))
            version = rng.randint(100, 130)
            return f"Mozilla/5.0 ({system}) AppleWebKit/537.36 Chrome/{version}.0.0.0 Safari/537.36"
        case "referrer" | "landing_page":
            return f"https://shop.example.com/collections/summer/linen-shirt-{number}"
        case "path":
            return f"/collections/summer/linen-shirt-{number}"
        case "query" | "landing_page_query":
            return f"?variant={number * 1_000_003}&utm_source=newsletter"
        case "type":
            return "view page"
        case "library":
            return "web"
        case _:
            return f"{name[:5]}-{number}"


def _file(pools: _Pools, count: int, day: int, seed: str) -> bytes:
    """One file: visits of one to three pages, sorted by time, spread over one day."""
    rng = random.Random(seed)
    schema = avro_schema(COLUMNS, UnionOrder.TYPE_FIRST)
    out = [container_header(schema, Codec.SNAPPY, _MARKER)]
    block: list[bytes] = []
    size, left, visit = 0, 0, b""
    date = f"{_FIRST_DAY}{day:02d} ".encode()
    for index in range(count):
        if left == 0:
            left, visit = rng.randint(1, 3), rng.choice(pools.visits)
        left -= 1
        millis = index * 86_400_000 // count
        moment = date + pools.seconds[millis // 1_000] + pools.fractions[millis % 1_000]
        page = pools.pages[rng.randrange(_POOL)]
        event_id = long_bytes(rng.getrandbits(53))
        row = b"".join((b"\x00", event_id, visit, page, b"\x00", long_bytes(len(moment)), moment))
        block.append(row)
        size += len(row)
        if size >= BLOCK_BYTES:
            out.append(container_block(len(block), b"".join(block), Codec.SNAPPY, _MARKER))
            block, size = [], 0
    if block:
        out.append(container_block(len(block), b"".join(block), Codec.SNAPPY, _MARKER))
    return b"".join(out)
