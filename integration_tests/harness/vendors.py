"""The vendors' simulators as the suite configures them, with a configuration that reads each.

Every vendor's key holds characters that URLs, base64 and JSON write differently, so that a leaked one is found in each
of these shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.suite import Connector
from simulators.customerio import CustomerioSimulator, Options
from simulators.heap.demo import Size, demo_dumps
from simulators.heap.layout import noise
from simulators.heap.s3_server import BucketServer
from simulators.pendo import PendoSimulator
from simulators.server import Simulator

#: The present in tests that compare rows with checked-in ones
MOMENT = datetime(2026, 3, 20, 16, 0, tzinfo=UTC)
SECRET = 'k3y/with+signs=and"quote&%\\.us'
#: Days of events that are read: as many as show a look-back of ten days and what lies before it
_DAYS = 14


@dataclass(frozen=True)
class Vendor:
    """A simulator that runs, and what a connector needs to read it."""

    simulator: Simulator
    config: dict[str, Any]
    wrong_config: dict[str, Any]
    """Like `config`, with a key that the vendor refuses."""
    moment: datetime
    change: Callable[[], object]
    """Changes the vendor's data; the next sync must read the change."""


@contextmanager
def running(
    connector: Connector, *, host: str = "127.0.0.1", moment: datetime | None = None, later: int = 0
) -> Iterator[Vendor]:
    """The connector's vendor, so many days after `moment` or else after the real time.

    Fails if the simulator has a bug.
    """
    at = moment or datetime.now(UTC).replace(microsecond=0)
    simulator = _SIMULATORS[connector.vendor](connector, host, at, later)
    with simulator:
        config, wrong, change = _CONFIGS[connector.vendor](simulator, at)
        config[connector.address_option] = wrong[connector.address_option] = simulator.url
        yield Vendor(simulator, config, wrong, at + timedelta(days=later), change)
    assert simulator.errors == []


def secrets_of(connector: Connector, config: Mapping[str, Any]) -> list[str]:
    """The values of a configuration's secret options, as far as it has them."""
    found = []
    for path in connector.secret_options:
        value: Any = config
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value:
            found.append(str(value))
    assert found, f"no secret among {connector.secret_options}"
    return found


def _pendo(connector: Connector, host: str, at: datetime, later: int) -> PendoSimulator:
    return PendoSimulator(seed=connector.seed, size=connector.size, now=at, later=later, api_key=SECRET, host=host)


def _pendo_config(simulator: PendoSimulator, at: datetime) -> tuple[Any, Any, Any]:
    config = {"api_key": SECRET, "start_date": f"{(at - timedelta(days=_DAYS)).date()}T00:00:00Z"}

    def change() -> None:
        day = str((at - timedelta(days=2)).date())
        simulator.mutate("late", source="pageEvents", day=day, rows=3)
        simulator.mutate("touch_definition", kind="pages")

    return config, {**config, "api_key": f"wrong-{SECRET}"}, change


def _customerio(connector: Connector, host: str, at: datetime, later: int) -> CustomerioSimulator:
    simulator = CustomerioSimulator(
        seed=connector.seed,
        size=connector.size,
        now=int(at.timestamp()),
        later=later,
        options=Options(rate_limit=None),
        host=host,
    )
    simulator.api_key = SECRET
    return simulator


def _customerio_config(simulator: CustomerioSimulator, at: datetime) -> tuple[Any, Any, Any]:
    config = {"app_api_key": SECRET, "start_date": simulator.start_date}

    def change() -> None:
        simulator.mutate("add_message", count=3)
        simulator.mutate("edit_action")

    return config, {**config, "app_api_key": f"wrong-{SECRET}"}, change


def _heap(connector: Connector, host: str, at: datetime, later: int) -> BucketServer:
    server = BucketServer(host=host)
    *first, _ = demo_dumps(Size(connector.size), seed=connector.seed, bucket=server.bucket, later=later)
    server.put([*noise(), *(item for dump in first for item in dump.objects())])
    return server


def _heap_config(server: BucketServer, at: datetime) -> tuple[Any, Any, Any]:
    keys = {"auth_type": "keys", "aws_access_key_id": "AKIASIMULATED0000000", "aws_secret_access_key": SECRET}
    config = {"bucket": server.bucket, "region": server.region, "credentials": keys}

    def change() -> None:
        server.put(demo_dumps(Size.TINY, bucket=server.bucket)[-1].objects())

    # the bucket server checks no signature; a bucket that is not there is refused as a wrong key would be
    return config, {**config, "bucket": f"{server.bucket}-of-somebody-else"}, change


_SIMULATORS: Mapping[str, Callable[..., Any]] = {"pendo": _pendo, "customerio": _customerio, "heap": _heap}
_CONFIGS: Mapping[str, Callable[..., tuple[Any, Any, Any]]] = {
    "pendo": _pendo_config,
    "customerio": _customerio_config,
    "heap": _heap_config,
}
