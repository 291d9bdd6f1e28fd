"""A client of the simulated Pendo that is as plain as can be, so that the tests show what goes over the wire."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from simulators.pendo import PendoSimulator

ALL_APPS = {"appId": 'expandAppIds("*")'}


class PendoClient:
    """Talks to one simulator with its valid key."""

    def __init__(self, sim: PendoSimulator) -> None:
        self.sim = sim

    def call(
        self,
        method: str,
        path: str,
        document: object = None,
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Status, body (decoded where it is JSON, text otherwise) and headers; `key` None sends none."""
        headers = dict(headers or {})
        if key is not None:
            headers["X-Pendo-Integration-Key"] = key or self.sim.api_key
        body = None if document is None else orjson.dumps(document)
        connection = http.client.HTTPConnection(self.sim.url.removeprefix("http://"), timeout=10)
        try:
            connection.request(method, "/api/v1/" + path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, orjson.loads(content), answer.headers
        except orjson.JSONDecodeError:
            return answer.status, content.decode(), answer.headers

    def get(self, path: str) -> Any:
        """Body of a GET that succeeds."""
        status, body, _ = self.call("GET", path)
        assert status == 200, body
        return body

    def post(self, *pipeline: dict[str, Any]) -> tuple[int, Any]:
        """Status and body of an aggregation."""
        document = {"response": {"mimeType": "application/json"}, "request": {"pipeline": pipeline}}
        return self.call("POST", "aggregation", document)[:2]

    def rows(self, *pipeline: dict[str, Any]) -> list[dict[str, Any]]:
        """Results of an aggregation that succeeds."""
        status, body = self.post(*pipeline)
        assert status == 200, body
        return list(body["results"])

    def events(
        self, source: str, first: object, *stages: dict[str, Any], period: str = "dayRange", **series: object
    ) -> list[dict[str, Any]]:
        """Results of an event source for all apps; one bucket unless told."""
        window = {"period": period, "first": first, **(series or {"count": 1})}
        return self.rows({"source": {source: ALL_APPS, "timeSeries": window}}, *stages)


@pytest.fixture(scope="session")
def unchanged_pendo() -> Iterator[PendoClient]:
    """A tiny subscription for tests that only read."""
    with PendoSimulator() as sim:
        yield PendoClient(sim)
        assert sim.errors == []


@pytest.fixture
def make_pendo() -> Iterator[Callable[..., PendoClient]]:
    """Start simulators that end with the test; none of them may have met a bug of its own."""
    started: list[PendoSimulator] = []

    def make(**options: Any) -> PendoClient:
        sim = PendoSimulator(**options)
        sim.start()
        started.append(sim)
        return PendoClient(sim)

    yield make
    for sim in started:
        sim.stop()
        assert sim.errors == []


@pytest.fixture
def pendo(make_pendo: Callable[..., PendoClient]) -> PendoClient:
    """A tiny subscription."""
    return make_pendo()
