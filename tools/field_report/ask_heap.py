"""The questions to the bucket that Heap writes to."""

from __future__ import annotations

import io
import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import fastavro
from botocore.exceptions import BotoCoreError, ClientError
from report import Report, Row, counted, kind, kinds, likenesses, shape, words
from source_heap.bucket import READER
from source_heap.config import HeapConfig
from source_heap.manifest import PREFIX, dump_id_of
from source_kit.s3.session import s3_client

MOST_LISTS = 30
MOST_MANIFESTS = 30
MOST_FILES = 60
#: Enough for the header of a table with hundreds of columns, and for a block of rows
FIRST_BYTES = 512 * 1024
#: Manifests that are larger are counted, not read
LARGEST_MANIFEST = 64 * 1024 * 1024
#: Tables and columns that every Heap bucket has. Those of a customer are counted, not named.
TABLES = frozenset({"users", "sessions", "pageviews", "page_views", "user_migrations", "all_events", "_event_metadata"})
COLUMNS = words(
    "user_id event_id session_id event_table_name time session_time joindate last_modified identity email "
    "from_user_id to_user_id library platform device_type country region city referrer landing_page "
    "landing_page_query landing_page_hash browser search_keyword utm_source utm_campaign utm_medium "
    "utm_term utm_content domain query path hash title href target_text device carrier app_name app_version"
)
MEMBERS = frozenset({"dump_id", "tables", "property_definitions", "name", "columns", "files", "incremental"})
_CODES = frozenset({"AccessDenied", "NoSuchKey", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "404"})
_FORMATS = ((b"Obj\x01", "Avro"), (b"PAR1", "Parquet"), (b"\x1f\x8b", "gzip"), (b"{", "JSON"), (b"[", "JSON"))
_CODECS = frozenset({"null", "deflate", "snappy", "zstandard", "bzip2", "xz", "lz4"})


@dataclass(frozen=True)
class Manifest:
    """The entry of a manifest in the list of the bucket."""

    dump_id: int
    key: str
    modified: datetime
    size: int


def run(raw: Mapping[str, Any]) -> None:
    """Asks everything. Raises a config_error for a configuration that cannot be used."""
    config, report = HeapConfig.parse(raw), Report()
    bucket = _Bucket(config)
    most = MOST_LISTS + MOST_MANIFESTS + MOST_FILES
    report.note(f"Heap: at most {most} requests (ListObjectsV2 and GetObject), which only read.")
    listed: list[Manifest] = []
    read: list[Row] = []
    report.attempt(_listing, bucket, report, listed)
    report.attempt(_manifests, bucket, report, listed, read)
    report.attempt(_files, bucket, report, read)
    report.note(f"\n{bucket.requests} requests were made.")


class _Bucket:
    """The bucket, read with the connector's own client. Errors are botocore's."""

    def __init__(self, config: HeapConfig) -> None:
        self._client = s3_client(config, READER).client
        self._name = config.bucket
        self.requests = 0

    def entries(self) -> Iterator[Row]:
        """What is below manifests/, at most `MOST_LISTS` pages."""
        token: Row = {}
        for _ in range(MOST_LISTS):
            self.requests += 1
            page = self._client.list_objects_v2(Bucket=self._name, Prefix=PREFIX, **token)
            yield from page.get("Contents", ())
            if not page.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def get(self, key: str, size: int = 0) -> tuple[bytes, str]:
        """An object or its first bytes, and its encryption (AES256, aws:kms or another word of S3's)."""
        self.requests += 1
        part = {"Range": f"bytes=0-{size - 1}"} if size else {}
        answer = self._client.get_object(Bucket=self._name, Key=key, **part)
        encryption = str(answer.get("ServerSideEncryption", "none said"))
        return answer["Body"].read(), encryption if encryption in {"AES256", "aws:kms", "none said"} else "another"


def _problem(error: Exception) -> str:
    """The error without names of the account."""
    code = str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else ""
    return code if code in _CODES else type(error).__name__


def _listing(bucket: _Bucket, report: Report, listed: list[Manifest]) -> None:
    """Puts the manifests into `listed`, ordered by their ids."""
    report.question("How often does a dump come, and do manifests come in the order of their ids?", "LIST manifests/")
    others = 0
    try:
        for entry in bucket.entries():
            dump_id = dump_id_of(entry["Key"])
            others += dump_id is None
            if dump_id is not None:
                listed.append(Manifest(dump_id, entry["Key"], entry["LastModified"], entry["Size"]))
    except (ClientError, BotoCoreError) as error:
        return report.answer(f"the list cannot be read: {_problem(error)}")
    listed.sort(key=lambda one: one.dump_id)
    report.answer(f"{len(listed)} manifests, {others} other objects; digits of ids: {_digits(listed)}")
    days = Counter(one.modified.date() for one in listed[-200:])
    per_day = list(days.values())[1:-1]
    if per_day:
        report.answer(f"dumps a day: {min(per_day)} to {max(per_day)}, median {statistics.median(per_day):.0f}")
    hours = [(b.modified - a.modified).total_seconds() / 3600 for a, b in pairwise(listed)]
    if hours:
        report.answer(f"hours between two dumps: median {statistics.median(hours):.1f}, longest {max(hours):.1f}")
    late = [(behind, one.size) for place, one in enumerate(listed) if (behind := _newer_but_earlier(listed, place))]
    most = max((behind for behind, _ in late), default=0)
    report.answer(f"{len(late)} manifests came after one with a higher id; the latest came {most} dumps late")
    return report.means("late manifests exist" if late else "in this bucket manifests came in the order of their ids")


def _digits(listed: list[Manifest]) -> str:
    return counted(Counter(f"of {len(str(one.dump_id))} digits" for one in listed))


def _newer_but_earlier(listed: list[Manifest], place: int) -> int:
    """How many dumps with a higher id were complete before this one; of the next 2,000 only."""
    here = listed[place].modified
    return sum(1 for other in listed[place + 1 : place + 2_000] if other.modified < here)


def _manifests(bucket: _Bucket, report: Report, listed: list[Manifest], read: list[Row]) -> None:
    """Puts the tables' entries of the newest manifests into `read`, the newest first."""
    report.question("What is in a manifest?", f"GET the newest {MOST_MANIFESTS} manifests at most")
    shapes: Counter[str] = Counter()
    for one in reversed(listed[-MOST_MANIFESTS:]):
        if one.size > LARGEST_MANIFEST:
            shapes["larger than this report reads"] += 1
            continue
        try:
            document = json.loads(bucket.get(one.key)[0])
        except (ClientError, BotoCoreError, ValueError) as error:
            shapes[f"cannot be read: {_problem(error)}"] += 1
            continue
        if not isinstance(document, dict) or not isinstance(document.get("tables"), list):
            shapes[shape(document, MEMBERS)] += 1
            continue
        tables = [entry for entry in document["tables"] if isinstance(entry, dict)]
        top = {name: kind(value) for name, value in document.items()}
        shapes[
            shape({**document, "tables": []}, MEMBERS).replace("tables: [none]", "tables: array") if top else ""
        ] += 1
        read += tables
    report.answer(*(f"{count} manifests: {what}" for what, count in shapes.most_common()))
    for name in ("name", "columns", "files", "incremental"):
        report.answer(f"tables[].{name}: {kinds(entry[name] for entry in read if name in entry)}")
    others = {name for entry in read for name in entry} - MEMBERS
    report.answer(f"tables[]: {len(others)} undocumented names")
    full = Counter(
        "full" if entry.get("incremental") is False else "incremental" for entry in read if entry.get("files")
    )
    names = {str(entry.get("name")) for entry in read}
    report.answer(f"{len(names)} tables, {len(names - TABLES)} of them events; exports with files: {counted(full)}")
    report.answer(f"standard tables: {', '.join(sorted(names & TABLES)) or 'none'}")


def _files(bucket: _Bucket, report: Report, read: list[Row]) -> None:
    report.question(
        "What kind of file is each table, of which types are its columns, and what is session_time?",
        f"GET the first {FIRST_BYTES // 1024} KB of the newest file of each table, at most {MOST_FILES} tables",
    )
    newest: dict[str, str] = {}
    for entry in read:
        files = entry.get("files")
        if isinstance(files, list) and files and isinstance(files[0], str):
            newest.setdefault(str(entry.get("name")), files[0].partition("://")[2].partition("/")[2] or files[0])
    found = _Found()
    # the standard tables first
    for table in sorted(newest, key=lambda name: (name not in TABLES, name))[:MOST_FILES]:
        try:
            data, encryption = bucket.get(newest[table], FIRST_BYTES)
        except (ClientError, BotoCoreError) as error:
            found.formats[f"not readable: {_problem(error)}"] += 1
            continue
        found.encryption[encryption] += 1
        format_ = next((name for start, name in _FORMATS if data.startswith(start)), "another format")
        found.formats[format_ if data else "empty"] += 1
        if format_ == "Avro":
            found.add(table, data)
    found.answer(report)


class _Found:
    """What the headers and first blocks of files have."""

    def __init__(self) -> None:
        self.formats: Counter[str] = Counter()
        self.encryption: Counter[str] = Counter()
        self.codecs: Counter[str] = Counter()
        self.standard: dict[str, Counter[str]] = {}
        self.properties: dict[str, Counter[str]] = {"users": Counter(), "sessions": Counter(), "events": Counter()}
        self.values: dict[str, list[Any]] = {"session_time": [], "time": [], "joindate": [], "last_modified": []}
        self.undecoded = self.events = self.events_with_session_time = 0

    def add(self, table: str, data: bytes) -> None:
        rows: list[Row] = []
        try:
            blocks = fastavro.block_reader(io.BytesIO(data))
        except Exception as error:
            self.formats[f"Avro whose header is not whole: {type(error).__name__}"] += 1
            return
        codec = str(blocks.metadata.get("avro.codec", "null"))
        self.codecs[codec if codec in _CODECS else "another"] += 1
        fields = [field for field in _fields(blocks.writer_schema) if isinstance(field, dict)]
        is_event = table not in TABLES
        self.events += is_event
        self.events_with_session_time += is_event and any(field["name"] == "session_time" for field in fields)
        place = "events" if table not in self.properties else table
        for field in fields:
            if field["name"] in COLUMNS:
                self.standard.setdefault(field["name"], Counter())[avro_type(field["type"])] += 1
            else:
                self.properties[place][avro_type(field["type"])] += 1
        try:
            rows = [row for row in next(iter(blocks)) if isinstance(row, dict)]
        except Exception:  # the block is cut, or has a codec that is not installed
            self.undecoded += 1
        for name, values in self.values.items():
            values += [row[name] for row in rows if row.get(name) is not None]

    def answer(self, report: Report) -> None:
        report.answer(f"formats by first bytes: {counted(self.formats)}; codecs: {counted(self.codecs)}")
        report.answer(f"encryption: {counted(self.encryption)}")
        report.answer(*(f"column {name}: {counted(types)}" for name, types in sorted(self.standard.items())))
        report.answer(*(f"other columns of {place}: {counted(types)}" for place, types in self.properties.items()))
        report.answer(f"values in first blocks ({self.undecoded} files could not be decoded):")
        report.answer(*(f"values of {name}: {likenesses(map(_plain, values))}" for name, values in self.values.items()))
        report.means(f"session_time is in {self.events_with_session_time} of {self.events} event tables")
        others = sum(self.properties.values(), Counter[str]())
        logical = sum(count for what, count in sum(self.standard.values(), others).items() if "(" in what)
        report.means(f"{logical} columns have a logical type")
        texts = sum(count for what, count in others.items() if what in ("string", "string or null"))
        report.means(f"{texts} of {others.total()} columns that are not standard are text")


def _fields(schema: Any) -> list[Any]:
    found = schema.get("fields") if isinstance(schema, dict) else None
    return found if isinstance(found, list) else []


def _plain(value: Any) -> Any:
    """A value for `likeness`; one of a logical type is a date already."""
    return value if isinstance(value, int | float | str) else type(value).__name__


def avro_type(declared: Any) -> str:
    """`string or null`, `long (timestamp-micros)`; a named type is its kind, since its name may be a customer's."""
    if isinstance(declared, list):
        return " or ".join(sorted((avro_type(one) for one in declared), key=lambda name: (name == "null", name)))
    if isinstance(declared, dict):
        logical = declared.get("logicalType")
        known = str(logical) if logical in _LOGICAL else "another logical type"
        return avro_type(declared.get("type")) + (f" ({known})" if logical else "")
    return declared if declared in _AVRO else "a named type"


_AVRO = words("null boolean int long float double bytes string record enum array map fixed")
_LOGICAL = words(
    "decimal uuid date time-millis time-micros timestamp-millis timestamp-micros local-timestamp-millis "
    "local-timestamp-micros duration"
)
