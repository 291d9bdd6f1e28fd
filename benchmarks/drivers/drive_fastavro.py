"""The program that source-heap is compared with: fastavro decodes every file of the bucket, orjson encodes the rows.

    python benchmarks/drivers/drive_fastavro.py SERVER.json

SERVER.json has `endpoint`, `bucket`, `access_key` and `secret_key`.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import boto3
import fastavro
import orjson


def main() -> None:
    """Reads every Avro file, in the order of their names."""
    server = json.loads(Path(sys.argv[1]).read_text())
    s3 = boto3.client(
        "s3",
        endpoint_url=server["endpoint"],
        aws_access_key_id=server["access_key"],
        aws_secret_access_key=server["secret_key"],
        region_name="us-east-1",
    )
    listed = s3.list_objects_v2(Bucket=server["bucket"])["Contents"]
    with open(1, "wb", buffering=1 << 20, closefd=False) as out:
        for key in sorted(entry["Key"] for entry in listed if entry["Key"].endswith(".avro")):
            body = s3.get_object(Bucket=server["bucket"], Key=key)["Body"].read()
            for row in fastavro.reader(io.BytesIO(body)):
                message = {"type": "RECORD", "record": {"stream": "table", "data": row, "emitted_at": 1772341200000}}
                out.write(orjson.dumps(message) + b"\n")


if __name__ == "__main__":
    main()
