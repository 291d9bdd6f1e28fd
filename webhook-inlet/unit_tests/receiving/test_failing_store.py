"""A store that must be given up ends the process, and nothing is answered 200."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from webhook_inlet import config, server
from webhook_inlet.store import Lane, Lines, NoSuchSegment, StoreError, StoreFailed

CONFIG = """
store: {type: volume, path: /nowhere}
read_token: t
drain_seconds: 60
inlets: [{name: open, source: pendo, path: oooooooooooooooooooooo, signature: none}]
"""


class FailingStore:
    """Its disk breaks at the first commit."""

    gather_seconds = 0.0
    closed = False

    def open(self) -> None: ...

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        raise StoreFailed("fdatasync failed (Input/output error).")

    def maintain(self) -> None: ...

    def hurry(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def recent_keys(self, inlet: str) -> Iterator[bytes]:
        return iter(())

    def newest_at(self, inlet: str) -> int | None:
        return None

    def lanes(self, inlet: str) -> list[Lane]:
        return []

    def read(self, inlet: str, lane: str, segment: int, line: int) -> Lines:
        raise NoSuchSegment

    def remove_before(self, at: int) -> int:
        return 0

    def problem(self) -> str | None:
        return None

    def free_bytes(self) -> int | None:
        return None


@pytest.mark.slow
def test_a_failed_sync_is_503_and_ends_the_process_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "inlet.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    store = FailingStore()
    monkeypatch.setattr(server, "make_store", lambda _: store)
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def post() -> None:
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(
                    b"POST /in/oooooooooooooooooooooo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
                )
                answers.append(connection.recv(1000))

        poster = threading.Thread(target=post)
        code = server.run(file, config.load(file), listener, poster.start)
        poster.join()
    assert code == 1
    assert answers[0].startswith(b"HTTP/1.1 503 ")
    assert store.closed
    assert "webhook-inlet ends: fdatasync failed (Input/output error)." in caplog.text


class SlowStore(FailingStore):
    """Its first commit lasts for a moment, the second one breaks it."""

    commits = 0

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        self.commits += 1
        if self.commits > 1:
            raise StoreFailed("fdatasync failed (Input/output error).")
        time.sleep(0.4)
        return {}


@pytest.mark.slow
def test_a_connection_that_breaks_with_several_posts_on_it_is_no_error_of_the_inlet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "inlet.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    store = SlowStore()
    monkeypatch.setattr(server, "make_store", lambda _: store)
    head = b"POST /in/oooooooooooooooooooooo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def post() -> None:
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(head + b"1" + head + b"2")
                time.sleep(0.1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            time.sleep(0.6)
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(head + b"3")
                connection.recv(1000)

        poster = threading.Thread(target=post)
        assert server.run(file, config.load(file), listener, poster.start) == 1
        poster.join()
    assert store.commits == 2
    assert "error of the inlet itself" not in caplog.text


@pytest.mark.slow
def test_who_comes_when_there_are_too_many_connections_gets_503_and_no_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "inlet.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    monkeypatch.setattr(server, "make_store", lambda _: FailingStore())
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    head = b"POST /in/oooooooooooooooooooooo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def post() -> None:
            others = [socket.create_connection(address, timeout=10) for _ in range(2)]
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(head)
                seen.append(connection.recv(1000))
                connection.sendall(b"x" * 100_000)
                seen.append(connection.recv(1000))
            for other in others:
                other.close()
            with socket.create_connection(address, timeout=10) as connection:
                time.sleep(0.1)
                connection.sendall(head + b"x" * 100_000)
                connection.recv(1000)

        poster = threading.Thread(target=post)
        assert server.run(file, config.load(file), listener, poster.start) == 1
        poster.join()
    assert seen[0].startswith(b"HTTP/1.1 503 ")
    assert seen[1] == b"", "an end, no reset, although the body came behind the answer"
