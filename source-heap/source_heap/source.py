"""Which streams exist for a configuration, and whether it works."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import chain
from typing import Any

from airbyte_cdk.models import AirbyteStream, ConfiguredAirbyteCatalog
from airbyte_cdk.sources.streams import Stream
from source_kit import single_key
from source_kit.compiled import warn_of_slow_reading
from source_kit.errors import config_error
from source_kit.s3.retrying import CHECK_ATTEMPTS
from source_kit.s3.rules import Missing
from source_kit.source import Source

from source_heap.avro import native_decoder
from source_heap.avro.faults import BeyondLimit, BrokenFile, OtherFormat
from source_heap.avro.schema import JsonSchema
from source_heap.bucket import HeapBucket
from source_heap.config import HeapConfig
from source_heap.discovery import find_tables, read_header_of, sample_file, table_schemas
from source_heap.dumps import Dumps
from source_heap.manifest import Manifest, broken_manifest
from source_heap.meanings import described
from source_heap.streams.dumps import NAME as DUMPS_NAME
from source_heap.streams.dumps import HeapDumps
from source_heap.streams.keys import key_columns, key_of
from source_heap.streams.table import TableStream, added_columns

logger = logging.getLogger("airbyte")

#: Dumps in which `check` looks for a data file, from the newest one on: some have none
_CHECKED_DUMPS = 10


class SourceHeap(Source[HeapConfig]):
    """Heap's dumps in one S3 bucket: a stream for each table, and `_heap_dumps`."""

    options = HeapConfig

    def probe(self, logger: logging.Logger, config: HeapConfig) -> None:
        """Lists the manifests, reads the newest, and the header of one data file: what a sync needs, once."""
        dumps = Dumps(HeapBucket(config, CHECK_ATTEMPTS))
        newest = dumps.listed()[-1]
        manifest = dumps.fetch(newest)
        if manifest is not None:
            _check_tables(manifest)
        older = map(dumps.fetch_unbroken, dumps.listed()[-2 : -_CHECKED_DUMPS - 1 : -1])
        found = sample_file(filter(None, chain([manifest], older)))
        if found is not None:  # a file of an older dump may be gone: it may have been read long ago
            _check_file(dumps.bucket, found[0], config.skip_missing_files or found[1] != newest.dump_id)

    def workers(self, config: HeapConfig) -> int:
        return config.num_workers

    def single_column_keys(self, config: HeapConfig) -> bool:
        return config.single_column_keys

    def all_streams(self, config: HeapConfig) -> list[Stream]:
        dumps = Dumps(HeapBucket(config))
        tables = find_tables(dumps)
        schemas = table_schemas(dumps.bucket, tables.values(), config.normalize_times)
        found: list[Stream] = [HeapDumps(dumps)]
        for name, columns in zip(tables, schemas, strict=True):
            if name != DUMPS_NAME:
                key = key_of(name, config.key_mode, columns)
                found.append(TableStream(name, config, dumps, table_schema(name, columns, config), key))
        return found

    def catalog_streams(self, config: HeapConfig, catalog: ConfiguredAirbyteCatalog) -> list[Stream]:
        """The streams that the catalog names, with its schemas: a read looks into no file for them."""
        warn_of_slow_reading("Files", "fastavro", "source-heap", native_decoder.MISSING, part="decoder")
        names = frozenset(configured.stream.name for configured in catalog.streams)
        dumps = Dumps(HeapBucket(config), None if DUMPS_NAME in names else names)
        return [
            HeapDumps(dumps)
            if stream.name == DUMPS_NAME
            else TableStream(stream.name, config, dumps, stream.json_schema, _key_in(stream, config))
            for stream in (configured.stream for configured in catalog.streams)
        ]


def _key_in(stream: AirbyteStream, config: HeapConfig) -> tuple[str, ...]:
    """The key of a table in a catalog, which may name it by the column that joins its columns, or have that alone."""
    known = stream.source_defined_primary_key or single_key.COLUMN in (stream.json_schema.get("properties") or {})
    return key_columns(stream.name, config.key_mode) if known else ()


def _check_tables(manifest: Manifest) -> None:
    """Raises BrokenManifest where no table of the dump can be read; a single one stops no other, and is warned of."""
    faults = [table.fault for table in manifest.tables.values() if table.fault is not None]
    if faults and len(faults) == len(manifest.tables):
        raise broken_manifest(manifest.object, faults[0])
    for fault in faults:
        logger.warning(broken_manifest(manifest.object, fault).message)


def _check_file(bucket: HeapBucket, key: str, skip_missing: bool) -> None:
    try:
        read_header_of(bucket, key)
    except Missing as error:
        if not skip_missing:
            raise
        logger.warning(f"{key} does not exist, which stops no sync that need not read it ({error.internal_message}).")
    except BeyondLimit as error:
        raise config_error(
            f"The file {key} is more than this connector reads: {error}. Ask Heap to send its table anew."
        ) from error
    except OtherFormat as error:
        raise config_error(
            f"The file {key} is {error.name}, which this release does not read. Look for a newer release of this "
            "connector."
        ) from error
    except BrokenFile as error:
        raise config_error(f"The file {key} is not an Avro file: {error}. Ask Heap to send its dump again.") from error


def table_schema(table: str, columns: Mapping[str, JsonSchema], config: HeapConfig) -> dict[str, Any]:
    """The JSON schema of a table's records: Heap's columns and ours."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": True,
        "properties": {**described(table, columns), **added_columns(config)},
    }
