"""A service whose store is in memory, and its pages on a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests share a module, and a test folder is no package

from memory_service import Client, MemoryStore, Server, service_of
from webhook_inlet.pages.routes import pages
from webhook_inlet.service import Service


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def service(store: MemoryStore) -> Service:
    return service_of(store)


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[Server, str]]:
    """One for all tests: to end a server takes longer than a test."""
    server = Server()
    with server.running() as address:
        yield server, address


@pytest.fixture
def client(service: Service, server: tuple[Server, str]) -> Client:
    server[0].app = pages(service)
    return Client(server[1])
