"""No secret is in anything that Spark writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from simulators.customerio import CustomerioSimulator
from simulators.heap.s3_server import error_fault
from simulators.heap.scenarios import scenario
from source_kit.secrets import secret_shapes

JOB = Path(__file__).with_name("job_with_secrets.py")
ACCESS_KEY = {
    "aws_access_key_id": "AKIAMADEUP000000HUSH",
    "aws_secret_access_key": "made+up/hush=access",
    "aws_session_token": "made-up-hush-token",
}


def test_no_secret_is_in_a_plan_a_log_an_event_a_checkpoint_or_an_error(bucket: Any, tmp_path: Path) -> None:
    """Given as options, within `config` and in SQL; and where the server's answer to a refused key repeats it."""
    [*_, last] = story = scenario("resync_in_the_middle", bucket=bucket.server.bucket)
    for step in story:
        bucket.server.apply(step)
    echo = "".join(f"{value} " for value in ACCESS_KEY.values())
    bucket.server.faults.add(error_fault(403, echo, r"/users/[^?]*\.avro", times=-1, skip=1))
    with CustomerioSimulator() as customerio:
        address = {"bucket": bucket.server.bucket, "endpoint_url": bucket.server.url}
        options = {
            "heap": {**address, **ACCESS_KEY},
            "config": {**address, "credentials": {"auth_type": "keys", **ACCESS_KEY}},
            "customerio": {"app_api_key": customerio.api_key, "api_url": customerio.url},
        }
        command = [sys.executable, str(JOB), str(tmp_path), json.dumps(options)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
        segments = len(customerio.truth("segments"))
    assert ran.returncode == 0, ran.stderr[-5000:]
    live = len(list(last.live["sessions"].emitted()))
    rows = {"options": live, "config": live, "view": live, "segments": segments, "stream": live}
    assert [line for line in ran.stdout.splitlines() if line.startswith("rows of")] == [
        f"rows of {name}: {count}" for name, count in rows.items()
    ]
    assert "failure of users: " in ran.stdout
    assert "status 403, **** **** ****" in ran.stdout
    written = {str(path): path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()}
    assert any("/events/" in path and "(redacted)" in text for path, text in written.items())
    assert any("/checkpoint/" in path for path in written)
    shapes = [shape for secret in (*ACCESS_KEY.values(), customerio.api_key) for shape in secret_shapes(secret)]
    for where, text in {"output": ran.stdout, "log": ran.stderr, **written}.items():
        assert [shape for shape in shapes if shape in text] == [], where
