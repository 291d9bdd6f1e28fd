"""S3 servers on loopback: Ceph's RADOS Gateway, which is a real one, and moto, which answers as AWS does.

Ceph checks signatures, user, role and bucket policies for real. It differs from AWS in this (version 16.2, observed):

* errors of STS and IAM come in another XML shape, and boto3 then raises a ClientError without `response["Error"]`;
* a trust policy that asks for an external id always refuses; one that does not ask accepts any;
* expired or tampered role credentials are `InvalidAccessKeyId`, where AWS says `ExpiredToken` or `InvalidToken`;
* `GetCallerIdentity` does not exist, sessions are not shorter than 900 s, trust policies must be compact JSON.

moto gives AWS's shapes for those. It checks nothing until `MotoServer.enforce()`; then it accepts a role that does not
exist, and a missing external id where only a wrong one is refused.

    python integration_tests/s3/s3_servers.py [ceph|moto]     serves until SIGTERM, prints one JSON line when ready
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

HERE = Path(__file__).resolve().parent
CEPH_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")
REGION = "us-east-1"


@dataclass(frozen=True)
class Keys:
    """An access key. `session_token` belongs to the credentials of a role."""

    access_key: str
    secret_key: str
    session_token: str | None = None


@dataclass(frozen=True)
class S3Server:
    """A server that runs: S3, IAM and STS answer at one endpoint. `admin` may do everything."""

    endpoint: str
    admin: Keys

    def client(self, service: str = "s3", keys: Keys | None = None) -> Any:
        """A boto3 client for `s3`, `iam` or `sts`, with the admin's keys or these."""
        keys = keys or self.admin
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.session_token,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def new_bucket(self) -> str:
        """An empty bucket with a name of its own."""
        name = f"heap-rs3-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def assume(self, role_arn: str, keys: Keys, **more: Any) -> Keys:
        """Credentials of the role, for the holder of these keys. `more`: ExternalId, DurationSeconds, Policy."""
        answer = self.client("sts", keys).assume_role(RoleArn=role_arn, RoleSessionName="test", **more)["Credentials"]
        return Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])

    def new_role(self, trusts: str | Sequence[str], policy: Mapping[str, Any], condition: Any = None) -> str:
        """The ARN of a new role that these principals (ARNs) may assume and that may do what the policy says."""
        name = f"reader-{uuid.uuid4().hex[:8]}"
        statement = {"Effect": "Allow", "Principal": {"AWS": trusts}, "Action": "sts:AssumeRole"}
        if condition:
            statement["Condition"] = condition
        trust = _compact({"Version": "2012-10-17", "Statement": [statement]})
        iam = self.client("iam")
        arn: str = iam.create_role(RoleName=name, Path="/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="reads", PolicyDocument=_compact(policy))
        return arn


@dataclass(frozen=True)
class CephServer(S3Server):
    """Ceph's RADOS Gateway. `folder` holds its configuration, logs and process ids (`rgw.pid`, `osd.pid`)."""

    folder: Path

    def radosgw_admin(self, *arguments: str) -> Any:
        """The answer of `radosgw-admin`."""
        command = ["radosgw-admin", "-c", str(self.folder / "ceph.conf"), *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout or "null")

    def new_user(self, policy: Mapping[str, Any] | None = None) -> tuple[str, Keys]:
        """A user who may do what the policy says and nothing else: the ARN and the keys."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        made = self.radosgw_admin("user", "create", f"--uid={name}", f"--display-name={name}")["keys"][0]
        if policy:
            iam = self.client("iam")
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=_compact(policy))
        return f"arn:aws:iam:::user/{name}", Keys(made["access_key"], made["secret_key"])


@dataclass(frozen=True)
class MotoServer(S3Server):
    """moto's server as a process of its own."""

    def new_user(self, policy: Mapping[str, Any] | None = None) -> tuple[str, Keys]:
        """A user who may do what the policy says and nothing else: the ARN and the keys."""
        iam = self.client("iam")
        name = f"user-{uuid.uuid4().hex[:8]}"
        arn: str = iam.create_user(UserName=name)["User"]["Arn"]
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=_compact(policy))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return arn, Keys(made["AccessKeyId"], made["SecretAccessKey"])

    @contextlib.contextmanager
    def enforce(self) -> Iterator[None]:
        """Inside, every call is checked: key, signature, token, policies. Make users, roles and objects before."""
        self._free_calls("0")
        try:
            yield
        finally:
            self._free_calls("inf")

    def reset(self) -> None:
        """Forget everything but the admin's keys, which work while nothing is checked."""
        self._post("/moto-api/reset", b"")

    def _free_calls(self, number: str) -> None:
        self._post("/moto-api/reset-auth", number.encode())

    def _post(self, path: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=10)
        # moto reads the body raw: with a form's content type it would find none
        connection.request("POST", path, body, {"Content-Type": "text/plain"})
        status = connection.getresponse().status
        connection.close()
        assert status == 200, f"moto answered {path} with {status}"


def missing_ceph_programs() -> list[str]:
    """The programs without which Ceph cannot run here."""
    return [program for program in CEPH_PROGRAMS if shutil.which(program) is None]


@contextlib.contextmanager
def ceph_server() -> Iterator[CephServer]:
    """Ceph, from its start to its end. A second or two; nothing is kept."""
    parent = Path(tempfile.mkdtemp(prefix="ceph-", dir="/tmp"))  # short: the daemons' socket paths have a limit
    folder, port = parent / "c", _free_port()
    admin = Keys("CEPHADMIN00000000000", "admin-secret-of-a-throw-away-server")
    server = CephServer(f"http://127.0.0.1:{port}", admin, folder)
    try:
        subprocess.run([HERE / "ceph_start.sh", folder, str(port), str(_free_port())], check=True, timeout=120)
        server.radosgw_admin(
            *("user", "create", "--uid=admin", "--display-name=admin"),
            *(f"--access-key={admin.access_key}", f"--secret={admin.secret_key}"),
            "--caps=roles=*;user-policy=*",
        )
        yield server
    finally:
        subprocess.run([HERE / "ceph_stop.sh", folder], check=False, timeout=240)
        shutil.rmtree(parent, ignore_errors=True)


@contextlib.contextmanager
def moto_server() -> Iterator[MotoServer]:
    """moto, from its start to its end."""
    port = _free_port()
    program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield MotoServer(f"http://127.0.0.1:{port}", Keys("AKIAMOTOADMIN0000000", "moto-admin-secret"))
    finally:
        process.kill()
        process.wait(timeout=10)


def read_policy(bucket: str) -> dict[str, Any]:
    """The least that a reader of Heap's bucket needs: list `manifests/` and get objects."""
    arn = f"arn:aws:s3:::{bucket}"
    listing = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": arn,
        "Condition": {"StringLike": {"s3:prefix": ["manifests/*"]}},
    }
    reading = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/*"}
    return {"Version": "2012-10-17", "Statement": [listing, reading]}


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"moto's server did not answer on port {port}"
    raise RuntimeError(message)


def main(arguments: Sequence[str]) -> int:
    """Serve one of them, by default Ceph where it is installed, and say how to reach it."""
    kind = arguments[0] if arguments else "moto" if missing_ceph_programs() else "ceph"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ceph_server() if kind == "ceph" else moto_server() as server:
        keys = {"access_key": server.admin.access_key, "secret_key": server.admin.secret_key}
        print(json.dumps({"kind": kind, "endpoint": server.endpoint, **keys, "pid": os.getpid()}), flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
