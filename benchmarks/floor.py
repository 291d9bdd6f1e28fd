"""The floor: read the same pages, decode them, encode the same messages, and do nothing else.

    python benchmarks/floor.py REQUESTS.json ROWS_KEY STREAM

REQUESTS.json is a list of `{"method", "url", "headers", "body"}`, the requests that the connector made. Every answer is
read with urllib3, decoded with `orjson.loads`, and its rows are written as RECORD lines with `orjson.dumps`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import orjson
import urllib3


def main() -> None:
    """Replays the requests."""
    requests, key, stream = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], sys.argv[3]
    pool = urllib3.PoolManager()
    out = open(1, "wb", buffering=1 << 20, closefd=False)  # noqa: SIM115
    for request in requests:
        body = request["body"].encode() if request["body"] else None
        answer = pool.request(request["method"], request["url"], headers=request["headers"], body=body)
        rows = orjson.loads(answer.data)[key]
        for row in rows:
            message = {"type": "RECORD", "record": {"stream": stream, "data": row, "emitted_at": 1772341200000}}
            out.write(orjson.dumps(message) + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
