"""Writes a simulated Heap bucket to S3 or to a folder, and ends. With --serve it is itself the S3 server.

The bucket has dumps as Heap's data export writes them: manifests, Avro files for users, sessions, page views and
events. source-heap reads it with the option `bucket`, and with `endpoint_url` for a server that is not AWS. Access keys
are taken from the environment, as by the AWS tools.
"""

import argparse
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulators.heap.bench_table import BenchTable
from simulators.heap.demo import DEFAULT_NOW, Size, demo_dumps
from simulators.heap.layout import DEFAULT_BUCKET, noise
from simulators.heap.replay import LiveTable, replay
from simulators.heap.s3_server import BucketServer
from simulators.heap.scenarios import SCENARIOS, scenario
from simulators.heap.stores import FolderStore, S3Store, Store
from simulators.later import instant, later_option
from simulators.server import run_until_signal

_REGION = "us-east-1"  # Heap's own systems run in this region
_FILES = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m simulators heap`."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", help="s3://BUCKET, which is created if it does not exist, or a folder")
    where.add_argument("--serve", action="store_true", help="serve the bucket over HTTP, for reading, from memory")
    parser.add_argument("--host", default="127.0.0.1", help="for --serve: address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8103, help="for --serve: port to listen on (%(default)s); 0 takes a free one"
    )
    parser.add_argument("--endpoint-url", help="an S3-compatible server instead of AWS")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same data (%(default)s)")
    parser.add_argument(
        "--size", choices=[size.value for size in Size], default=Size.DEMO.value, help="amount of data (%(default)s)"
    )
    parser.add_argument(
        "--now", type=instant, default=DEFAULT_NOW, help="the simulated present: RFC 3339, or `real` (%(default)s)"
    )
    later_option(parser)
    parser.add_argument("--dumps", type=int, help="write only this many dumps; a later call adds the rest")
    parser.add_argument("--rows", type=int, help="for benchmarks: one table with this many rows")
    parser.add_argument("--files", type=int, default=_FILES, help="number of files for --rows (%(default)s)")
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache"), help="folder that keeps the files of --rows (%(default)s)"
    )
    parser.add_argument(
        "--scenario",
        choices=sorted(SCENARIOS),
        metavar="NAME",
        help="the last state of a scenario: " + ", ".join(sorted(SCENARIOS)),
    )
    parser.add_argument(
        "--truth", type=Path, help="write the rows that a complete warehouse holds into this folder, a TABLE.json each"
    )


def run(args: argparse.Namespace) -> int:
    """Write the bucket and print how much was written, or serve it. Returns the exit code."""
    if args.serve:
        server = BucketServer(host=args.host, port=args.port)
        _fill(server, server.bucket, args)
        return run_until_signal(server)
    store, bucket = _target(args.out, args.endpoint_url)
    print(f"{_fill(store, bucket, args)}: {args.out}", flush=True)
    if args.out.startswith("s3://"):  # a folder can be read by no connector
        print(json.dumps(_config(bucket, args.endpoint_url)), flush=True)
    return 0


def _config(bucket: str, endpoint_url: str | None) -> dict[str, Any]:
    """The connector's configuration. It takes the access keys from the environment, too."""
    return {"bucket": bucket, **({"endpoint_url": endpoint_url} if endpoint_url else {})}


def _fill(store: Store, bucket: str, args: argparse.Namespace) -> str:
    """Writes what the options ask for. Returns how much that is."""
    if args.rows:
        count = store.put(BenchTable(args.rows, args.files, args.seed).cached_objects(args.cache, bucket))
        return f"{count} objects, {args.rows} rows in {args.files} files"
    if args.scenario:
        steps = scenario(args.scenario, bucket=bucket, seed=args.seed)
        for step in steps:
            step.apply(store)
        live, count = dict(steps[-1].live), sum(len(step.put) for step in steps)
    else:
        dumps = demo_dumps(Size(args.size), seed=args.seed, bucket=bucket, now=args.now, later=args.later)
        dumps = dumps[: args.dumps]
        live = replay(dumps)
        count = store.put([*noise(), *(item for dump in dumps for item in dump.objects())])
    if args.truth:
        _write_truth(args.truth, live)
    rows = sum(len(table.rows) for table in live.values())
    return f"{count} objects, {len(live)} tables, {rows} live rows"


def truth(table: LiveTable) -> list[dict[str, Any]]:
    """The live rows as a warehouse holds them: normalized times, and the columns for dump and generation."""
    return [
        {**row, "_heap_dump_id": source.dump_id, "_heap_generation": table.generation}
        for row, source in zip(table.emitted(), table.rows, strict=True)
    ]


def _write_truth(folder: Path, live: Mapping[str, LiveTable]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in live.items():
        (folder / f"{name}.json").write_text(json.dumps(truth(table), default=str, ensure_ascii=False))


def _target(out: str, endpoint_url: str | None) -> tuple[Store, str]:
    if not out.startswith("s3://"):
        return FolderStore(_own_folder(Path(out))), DEFAULT_BUCKET
    address = urlsplit(out)
    if address.path.strip("/"):
        message = f"--out {out}: Heap writes to the root of a bucket. Use s3://{address.netloc}"
        raise SystemExit(message)
    return _s3(address.netloc, endpoint_url), address.netloc


def _own_folder(folder: Path) -> Path:
    """The folder. Ends the program if the folder holds files that are not of a bucket."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "manifests").is_dir():
        message = f"--out {folder}: the folder holds other files. Use an empty folder or a new name"
        raise SystemExit(message)
    return folder


def _s3(bucket: str, endpoint_url: str | None) -> S3Store:
    import boto3
    from botocore.config import Config

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _REGION
    # Some S3-compatible servers do not know signed checksum trailers.
    config = Config(
        request_checksum_calculation="when_required", s3={"addressing_style": "path" if endpoint_url else "auto"}
    )
    client = boto3.client("s3", endpoint_url=endpoint_url, region_name=region, config=config)
    if bucket not in _names(client.list_buckets()["Buckets"]):
        where = {} if region == _REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=bucket, **where)  # type: ignore[arg-type]
    return S3Store(client, bucket)


def _names(buckets: Iterable[Mapping[str, Any]]) -> set[str]:
    return {bucket["Name"] for bucket in buckets}
