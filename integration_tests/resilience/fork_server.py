"""A connector that is imported once and forked for every run: a start then costs milliseconds instead of a second.

`python fork_server.py source_pendo <fd of a Unix socket>`. An order is a JSON document (`argv`, `settings`) with two
file descriptors, stdout and stderr of the run; the answers are the child's process id and, once it ended, its exit
code. The child runs the connector's own `run()` with this command line, so it exits as the console script does.

`settings` shorten retries and timeouts and move the clock, which no option of a connector can:

    tries, base_seconds, cap_seconds    how often and how soon a request is repeated
    read_timeout, connect_timeout       seconds
    unlimited                           no budget of requests a second
    spool_bytes                         how many bytes of an answer stay in memory
    temporary                           the directory for temporary files
    file_bytes                          no file grows beyond (RLIMIT_FSIZE)
    clock                               seconds by which the connector's clock is ahead; a list: for one reading after
                                        the other, the last one for all that follow
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from test_kit.process import Running

_ORDER_BYTES = 1 << 20


class ForkServer:
    """A process that has imported one connector and forks its runs. One run at a time."""

    def __init__(self, connector: str, **environment: str) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, connector.replace("-", "_"), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
            )
        self._answers = self._orders.makefile("rb")

    def start(self, argv: Sequence[str], **settings: Any) -> Running:
        """Fork a run; the settings are those above."""
        reading, writing = os.pipe()
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `watch`
        order = json.dumps({"argv": list(argv), "settings": settings}).encode()
        socket.send_fds(self._orders, [order], [writing, stderr.fileno()])
        os.close(writing)
        pid = int(self._answers.readline())
        return Running(pid, os.fdopen(reading, "rb"), stderr, lambda: int(self._answers.readline()))

    def close(self) -> None:
        """End the process."""
        self._answers.close()
        self._orders.close()
        self._process.wait(timeout=10)


def serve(package: str, orders: socket.socket) -> None:
    """Fork a run for each order until the other side hangs up. Returns in the children after their order, too."""
    run = importlib.import_module(f"{package}.run").run
    _warm_up(package)
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, _ORDER_BYTES, 2)
        if not message:
            return
        order = json.loads(message)
        child = os.fork()
        if child == 0:
            orders.close()
            for number, descriptor in enumerate(descriptors, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            apply(package, order["settings"])
            sys.argv = [package.replace("_", "-"), *order["argv"]]
            run()
            return
        for descriptor in descriptors:
            os.close(descriptor)
        orders.sendall(b"%d\n" % child)
        orders.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _warm_up(package: str) -> None:
    """Load what a connector loads late, without a thread: forked children have only the thread that forked."""
    for name in ("source_kit.http.client", f"{package}.streams", f"{package}.bucket", f"{package}.session"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise


def apply(package: str, settings: dict[str, Any]) -> None:
    """Apply the settings to this process."""
    if "clock" in settings:
        _move_clock(settings["clock"])
    if "spool_bytes" in settings:
        importlib.import_module("source_kit.http.body").SPOOL_MEMORY_BYTES = settings["spool_bytes"]
    if "temporary" in settings:
        tempfile.tempdir = settings["temporary"]
    if "file_bytes" in settings:
        resource.setrlimit(resource.RLIMIT_FSIZE, (settings["file_bytes"], settings["file_bytes"]))
    _set_retries(package, settings)
    if settings.get("unlimited") and package == "source_customerio":
        importlib.import_module("source_customerio.budget").RequestBudget.acquire = lambda budget: None


def _set_retries(package: str, settings: dict[str, Any]) -> None:
    http = importlib.import_module("source_kit.http.client")
    if "connect_timeout" in settings:
        http.CONNECT_TIMEOUT_SECONDS = settings["connect_timeout"]
    policy = {name: settings[name] for name in ("tries", "base_seconds", "cap_seconds") if name in settings}
    if package == "source_heap":
        _set_s3_retries(settings)
        return
    client = importlib.import_module(f"{package}.client")
    if policy:
        client.RETRY_POLICY = replace(client.RETRY_POLICY, **policy)
    if "read_timeout" in settings and package == "source_customerio":  # Pendo's is an option
        client.READ_TIMEOUT = settings["read_timeout"]


def _set_s3_retries(settings: dict[str, Any]) -> None:
    session = importlib.import_module("source_kit.s3.session")
    bucket = importlib.import_module("source_heap.bucket")
    retrying = importlib.import_module("source_kit.s3.retrying")
    transfer = importlib.import_module("source_kit.s3.transfer")
    session.READ_SECONDS = transfer.READ_SECONDS = settings.get("read_timeout", session.READ_SECONDS)
    session._CONNECT_SECONDS = settings.get("connect_timeout", session._CONNECT_SECONDS)
    waits = {name: settings[name] for name in ("base_seconds", "cap_seconds") if name in settings}
    retrying.POLICY = replace(retrying.POLICY, **waits)
    bucket.HeapBucket.__init__.__defaults__ = (settings.get("tries", retrying.ATTEMPTS),)


def _move_clock(offsets: float | list[float]) -> None:
    """Every `utc_now()` is off by the next of the offsets, and by the last one from then on."""
    left = list(offsets) if isinstance(offsets, list) else [offsets]

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            offset = left.pop(0) if len(left) > 1 else left[0]
            return datetime.now(tz or UTC) + timedelta(seconds=offset)

    importlib.import_module("source_kit.convert").datetime = Moved


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
