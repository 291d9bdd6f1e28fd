"""What one writes first: reads whole pages with urllib3, decodes them with orjson and prints each row.

    python benchmarks/drivers/plain_script.py REQUESTS.json ROWS_KEY STREAM

The arguments are those of `floor.py`. It uses the same libraries as the connectors, and no care: a page of 47 MB leaves
the processor's cache and takes half a gigabyte of memory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import orjson
import urllib3


def main() -> None:
    """Sends the requests and writes their rows."""
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
