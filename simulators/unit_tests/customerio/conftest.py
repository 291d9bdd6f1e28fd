"""A client for the simulated App API that holds every answer against the simulator's own OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import simulators.customerio
from jsonschema import Draft202012Validator
from simulators.customerio import CustomerioSimulator, Options, routes

OPENAPI = json.loads((Path(simulators.customerio.__file__).parent / "openapi.json").read_text())


@cache
def validator(method: str, template: str, status: str) -> Draft202012Validator:
    """The schema of one answer; a KeyError is a status that the document does not have for this path."""
    answer = OPENAPI["paths"]["/v1" + template][method.lower()]["responses"][status]
    if "$ref" in answer:
        answer = OPENAPI["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": OPENAPI["components"]})


class Api:
    """Asks as the vendor's documentation says, and fails on an answer that the document does not describe."""

    def __init__(self, sim: CustomerioSimulator, key: str | None = None) -> None:
        self.sim = sim
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {key or sim.api_key}"

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        """One request; `path` is already encoded and without `/v1`."""
        answer = self.session.request(method, f"{self.sim.url}/v1{path}", params=params, json=body, timeout=10)
        found = routes.match(method, path.partition("?")[0])
        if found is not None:
            validator(method, found[0].template, str(answer.status_code)).validate(answer.json())
        return answer

    def get(self, path: str, **params: Any) -> Any:
        """The document of a GET that must succeed."""
        answer = self.ask("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, **params: Any) -> Any:
        """The document of a POST that must succeed."""
        answer = self.ask("POST", path, body, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, path: str, **params: Any) -> int:
        """The status of a GET."""
        return self.ask("GET", path, **params).status_code

    def pages(self, path: str, envelope: str, body: Any = None, **params: Any) -> list[list[Any]]:
        """Every page until `next` is empty, the empty ones too."""
        pages: list[list[Any]] = []
        token = ""
        while True:
            answer = self.ask(
                "GET" if body is None else "POST", path, body, **params, **({"start": token} if token else {})
            )
            document = answer.json()
            pages.append(document[envelope] or [])
            token = document["next"]
            if not token:
                return pages


@pytest.fixture
def sim() -> Iterator[CustomerioSimulator]:
    """A small workspace without the rate limit."""
    with CustomerioSimulator(options=Options(rate_limit=None)) as simulator:
        yield simulator
        assert simulator.errors == []


@pytest.fixture
def api(sim: CustomerioSimulator) -> Iterator[Api]:
    """A client with the key of the region."""
    client = Api(sim)
    with client.session:
        yield client
