"""A real `webhook-inlet serve` under hostile and clumsy senders, over sockets."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from webhook_inlet.cli import run; run()"]
CIO, OPEN, SMALL, PENDO = "c" * 22, "o" * 22, "s" * 22, "p" * 22
CONFIG = """
store: {type: volume, path: %s}
read_token: token-of-the-test
drain_seconds: %s
inlets:
  - {name: cio, source: customerio, path: cccccccccccccccccccccc, secrets: [current, previous]}
  - {name: pendo, source: pendo, path: pppppppppppppppppppppp, secrets: [pendo-secret]}
  - {name: open, source: pendo, path: oooooooooooooooooooooo, signature: none}
  - {name: small, source: customerio, path: ssssssssssssssssssssss, secrets: [current], max_body: 1024}
"""


class Inlet:
    """A running process."""

    def __init__(self, folder: Path, drain: float = 0.0, fd: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.config, self.data = folder / "inlet.yaml", folder / "data"
        self.config.write_text(CONFIG % (self.data, drain), encoding="utf-8")
        place = ["--port", "0"] if fd is None else ["--fd", str(fd)]
        self.log = (folder / "log").open("a+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--config", str(self.config), "--host", "127.0.0.1", *place],
            stdout=subprocess.PIPE,
            stderr=self.log,
            pass_fds=[] if fd is None else [fd],
        )
        assert self.process.stdout
        first = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", first)
        assert found, (first, self.words())
        self.port = int(found[1])

    def words(self) -> str:
        """What it logged."""
        self.log.seek(0)
        return self.log.read()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    def send(self, *pieces: bytes) -> bytes:
        """Sends bytes on one connection, and returns everything until it ends or an answer is whole."""
        with self.connect() as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except ConnectionError:
                pass  # refused before the end
            return answer(connection)

    def lines(self, inlet: str) -> list[dict[str, Any]]:
        """What is in the log of an inlet."""
        lanes = json.loads(self.get(f"/log/v1/{inlet}").split(b"\r\n\r\n", 1)[1])["lanes"]
        found = []
        for lane in lanes:
            for segment in range(lane["first"], lane["last"] + 1):
                body = self.get(f"/log/v1/{inlet}/{lane['lane']}/{segment}").split(b"\r\n\r\n", 1)[1]
                found += [json.loads(line) for line in body.split(b"\n") if line]
        return found

    def get(self, path: str) -> bytes:
        request = f"GET {path} HTTP/1.0\r\nAuthorization: Bearer token-of-the-test\r\nAccept: application/json\r\n\r\n"
        with self.connect() as connection:
            connection.sendall(request.encode())
            return to_end(connection)

    def counts(self, inlet: str) -> dict[str, int]:
        status = json.loads(self.get("/status").split(b"\r\n\r\n", 1)[1])
        return next(one["posts"]["total"] for one in status["inlets"] if one["name"] == inlet)

    def end(self) -> int:
        self.process.terminate()
        code = self.process.wait(20)
        self.log.close()
        assert self.process.stdout
        assert self.process.stdout.read() == b""
        self.process.stdout.close()
        return code


@contextmanager
def running(folder: Path, drain: float = 0.0, fd: int | None = None) -> Iterator[Inlet]:
    inlet = Inlet(folder, drain, fd)
    try:
        yield inlet
    finally:
        if inlet.process.poll() is None:
            inlet.process.kill()
            inlet.process.wait()
        if inlet.process.stdout:
            inlet.process.stdout.close()
        inlet.log.close()


@pytest.fixture(scope="module")
def inlet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inlet]:
    with running(tmp_path_factory.mktemp("inlet")) as started:
        yield started
        assert started.end() == 0


def to_end(connection: socket.socket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return found


def answer(connection: socket.socket) -> bytes:
    """One answer with a Content-Length."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
            head, separator, body = found.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if separator and length and len(body) >= int(length[1]):
                break
    except ConnectionError:
        pass
    return found


def status(found: bytes) -> int:
    return int(found[9:12]) if found else 0


def head(path: str, *headers: str, body: bytes = b"", key: str | None = "current", length: bool = True) -> bytes:
    signed = []
    if key is not None:
        digest = hmac.digest(key.encode(), b"v0:1764200000:" + body, "sha256").hex()
        signed = ["X-CIO-Timestamp: 1764200000", f"X-CIO-Signature: {digest}"]
    sized = [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([f"POST /in/{path} HTTP/1.1", "Host: a", *sized, *signed, *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str, key: str | None = "current") -> bytes:
    return head(path, *headers, body=body, key=key) + body


def event(name: str) -> bytes:
    return b'{"event_id":"%b","metric":"sent"}' % name.encode()


def test_a_signed_post_is_in_the_log_when_it_is_answered(inlet: Inlet) -> None:
    body = event("first")
    found = inlet.send(
        post(CIO, body, "Authorization: Basic x", "Cookie: a=b", "User-Agent: Customer.io", key="previous")
    )
    assert status(found) == 200
    (line,) = [line for line in inlet.lines("cio") if line["key"] == "customerio:first"]
    assert line["sig"] == 1
    assert line["body"] == json.loads(body)
    assert line["headers"] == {"x-cio-timestamp": "1764200000", "user-agent": "Customer.io"}
    assert abs(line["at"] / 1e6 - time.time()) < 60
    assert status(inlet.send(post(CIO, body))) == 200
    assert len([line for line in inlet.lines("cio") if line["key"] == "customerio:first"]) == 1


HOSTILE = {
    "empty": b"",
    "null": b"null",
    "array": b'[{"event_id":"1"},{"event_id":"2"}]',
    "NUL": b'{"a":"\x00"}',
    "only NUL": b"\x00" * 100,
    "no UTF-8": b'{"event_id":"\xff\xfe"}',
    "lone surrogate": b'{"event_id":"lone","x":"\\ud800"}',
    "NaN": b'{"a":NaN}',
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 1024 + b"]" * 1024,
    "line feeds": b'{\n "event_id": "lf"\n}',
    "carriage return": b'{\r"event_id": "cr"}',
    "huge number": b'{"a":' + b"9" * 100_000 + b"}",
    "long id": b'{"event_id":"' + b"i" * 100_000 + b'"}',
    "id that is a number": b'{"event_id":7}',
    "twice the same key": b'{"event_id":"x1","event_id":"x2"}',
    "HTML": b"<html>",
    "a quote": b'"',
    "escapes in the id": b'{"event_id":"\\u0000\\n\\"\\u00e9"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_is_signed_is_stored_as_it_was_sent(inlet: Inlet, body: bytes) -> None:
    before = len(inlet.lines("cio"))
    assert status(inlet.send(post(CIO, body))) == 200
    line = inlet.lines("cio")[before:][0]
    assert "body" in line or base64.b64decode(line["body_b64"]) == body
    assert "body" not in line or line["body"] == json.loads(body)
    assert status(inlet.send(post(CIO, body))) == 200  # and known the second time
    assert len(inlet.lines("cio")) == before + 1


def test_a_wrong_or_missing_signature_is_401_and_an_unknown_path_404(inlet: Inlet) -> None:
    before = inlet.counts("cio")["bad_signature"]
    body = event("refused")
    for request in (
        post(CIO, body, key="other"),
        post(CIO, body, key=None),
        post(CIO, body, "X-CIO-Signature: \xff", "X-CIO-Timestamp: 1", key=None),
        post(PENDO, body),
        post(CIO, body, "X-CIO-Signature: " + "a" * 9000, "X-CIO-Timestamp: 1", key=None),
    ):
        assert status(inlet.send(request)) == 401
    assert inlet.counts("cio")["bad_signature"] == before + 4
    for path in ("x" * 22, CIO + "/", "", "..%2f" + CIO, CIO[:-1], "%ff%00"):
        found = inlet.send(post(path, body))
        assert (status(found), b"connection: close" in found) == (404, True), path
    assert not [line for line in inlet.lines("cio") if "refused" in line["key"]]
    words = inlet.words()
    assert CIO not in words
    assert "current" not in words


def test_a_refused_sender_gets_its_answer_without_being_asked_for_the_body(inlet: Inlet) -> None:
    for path, expected in (("x" * 22, 404), (CIO, 401)):
        found = inlet.send(head(path, "Content-Length: 999999999", "Expect: 100-continue", key=None, length=False))
        assert status(found) == expected
    assert status(inlet.send(head(CIO, "Content-Length: 20971520", key=None, length=False), b"x" * 10_485_760)) in (
        0,
        401,
    )


def test_get_and_head_say_that_something_is_there(inlet: Inlet) -> None:
    for method, text in ((b"GET", b"Webhooks are posted here.\n"), (b"HEAD", b"")):
        with inlet.connect() as connection:
            connection.sendall(b"%b /in/%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % (method, CIO.encode()))
            found = to_end(connection)
        assert (status(found), found.partition(b"\r\n\r\n")[2]) == (200, text)
    assert status(inlet.send(b"PUT /in/%b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" % CIO.encode())) == 405
    assert status(inlet.send(b"GET /in/%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 22))) == 404


def test_chunked_bodies_and_expect_are_taken(inlet: Inlet) -> None:
    body = event("chunked")
    start = head(CIO, "Transfer-Encoding: chunked", body=body, length=False)
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in (body[:5], body[5:6], body[6:]))
    forged = b"0\r\nX-CIO-Signature: 00\r\n\r\n"  # a trailer is no header
    assert status(inlet.send(start, chunks[:9], chunks[9:], forged)) == 200
    with inlet.connect() as connection:
        body = event("expected")
        connection.sendall(head(CIO, "Expect: 100-continue", body=body))
        assert status(connection.recv(1000)) == 100
        connection.sendall(body)
        assert status(answer(connection)) == 200
    keys = [line["key"] for line in inlet.lines("cio")]
    assert keys[-2:] == ["customerio:chunked", "customerio:expected"]


@pytest.mark.slow
def test_a_body_in_many_tiny_pieces_is_taken_but_not_a_flood_of_them(inlet: Inlet) -> None:
    def chunked(body: bytes, size: int, end: bytes = b"0\r\n\r\n") -> bytes:
        pieces = [body[place : place + size] for place in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return head(CIO, "Transfer-Encoding: chunked", body=body, length=False) + chunks + end

    small, large = (b'{"event_id":"%d pieces","x":"%b"}' % (size, b"x" * size) for size in (800, 300_000))
    assert status(inlet.send(chunked(small, 1))) == 200
    assert status(inlet.send(chunked(large, 100))) == 200
    before = len(inlet.lines("cio"))
    assert status(inlet.send(chunked(large, 1))) in (400, 0), "0: it was still sending when the connection ended"
    trailers = b"0\r\n" + b"a:b\r\n" * 5000 + b"\r\n"
    assert status(inlet.send(chunked(small, 800, trailers))) in (400, 0)
    assert status(inlet.send(head(CIO, *["a:b"] * 1000, body=b"{}") + b"{}")) in (400, 0), "each header has its cost"
    assert len(inlet.lines("cio")) == before


@pytest.mark.slow
def test_bodies_that_come_at_the_same_time_take_little_more_memory_than_they_have_bytes(tmp_path: Path) -> None:
    with running(tmp_path / "inlet") as inlet:
        for _ in range(3):  # freed blocks of this size change where the allocator puts the next ones
            assert status(inlet.send(post(CIO, b"z" * 7_000_000, key="wrong"))) == 401
        before = resident(inlet)
        start = head(CIO, "Content-Length: 8000000", length=False)
        connections = [inlet.connect() for _ in range(150)]
        try:
            for connection in connections:
                connection.sendall(start)
            for _ in range(6):
                for connection in connections:
                    connection.sendall(b"a" * 65_000)
            time.sleep(1)
            held = resident(inlet) - before
        finally:
            for connection in connections:
                connection.close()
        assert held < 65e6, "58 MB of bodies"
        assert inlet.end() == 0


def resident(inlet: Inlet) -> int:
    """Bytes of memory in use at most so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{inlet.process.pid}/status").read_text(encoding="utf-8"))
    assert found
    return int(found[1]) * 1024


def test_gzip_is_verified_as_sent_and_stored_inflated(inlet: Inlet) -> None:
    body = gzip.compress(event("zipped"))
    assert status(inlet.send(post(CIO, body, "Content-Encoding: gzip"))) == 200
    line = inlet.lines("cio")[-1]
    assert (line["key"], line["body"]) == ("customerio:zipped", json.loads(event("zipped")))
    assert "content-encoding" not in line["headers"]
    bomb = gzip.compress(b"x" * 50_000_000)
    for data, encoding in (
        (bomb, "gzip"),
        (body[:-9], "gzip"),
        (b"no gzip", "gzip"),
        (b"br", "br"),
        (body * 200, "gzip"),
    ):
        assert status(inlet.send(post(CIO, data, f"Content-Encoding: {encoding}"))) == 200
        line = inlet.lines("cio")[-1]
        assert line["headers"]["content-encoding"] == encoding
        assert line["key"].startswith("customerio:sha256:")


@pytest.mark.slow
def test_a_body_above_the_limit_is_stored_with_its_head_and_answered_200(inlet: Inlet) -> None:
    body = b'{"event_id":"big","x":"' + b"x" * 3000 + b'"}'
    assert status(inlet.send(post(SMALL, body))) == 200
    (line,) = inlet.lines("small")
    assert (line["truncated"], base64.b64decode(line["body_b64"])) == (True, body[:1024])
    assert status(inlet.send(post(SMALL, body))) == 200
    assert len(inlet.lines("small")) == 1
    assert status(inlet.send(post(SMALL, body[:-1] + b" ", key="other"))) == 401
    ten = b"y" * 10_485_760
    assert status(inlet.send(post(CIO, ten))) == 200
    line = inlet.lines("cio")[-1]
    assert line["truncated"]
    assert base64.b64decode(line["body_b64"]) == ten[: 8 * 1024 * 1024]
    assert inlet.counts("small")["too_large"] == 1


def test_pipelined_posts_are_answered_in_order_and_what_follows_them_does_not_spoil_them(inlet: Inlet) -> None:
    posts = [post(CIO, event(f"pipe{number}")) for number in range(5)]
    with inlet.connect() as connection:
        connection.sendall(b"".join(posts) + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found = to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200"] * 5 + [b"404"]
    with inlet.connect() as connection:
        connection.sendall(post(CIO, event("before garbage")) + b"\x00\x01garbage\r\n\r\n")
        found = to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200"]
    with inlet.connect() as connection:  # a sender that closes its half and waits
        connection.sendall(post(CIO, event("half closed")))
        connection.shutdown(socket.SHUT_WR)
        assert status(to_end(connection)) == 200
    upgrade = post(CIO, event("upgrade"), "Connection: upgrade", "Upgrade: h2c")
    assert status(inlet.send(upgrade)) == 200


def test_malformed_requests_and_floods_of_headers_end_the_connection(inlet: Inlet) -> None:
    many = [f"X-{number}: {'v' * 50}" for number in range(2000)]
    for request in (
        b"\x16\x03\x01\x00\xa5\x01\x00\x00",
        b"GET\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /in/\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
        post(CIO, b"{}", "Transfer-Encoding: chunked"),
        head(CIO, "Transfer-Encoding: chunked", length=False) + b"zz\r\nnot a size",
        head(CIO, *many),
        head(CIO, "X: " + "v" * 100_000),
        b"POST /in/" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"v" * 300_000,
        head(CIO, "Transfer-Encoding: chunked", length=False) + b"1\r\nx\r\n0\r\nX: " + b"v" * 200_000,
        post(CIO, b"{}", "Content-Length: 3"),
    ):
        with inlet.connect() as connection:
            try:
                connection.sendall(request)
            except ConnectionError:
                continue
            assert status(to_end(connection)) in (0, 400, 401, 431), request[:40]
    assert status(inlet.send(post(CIO, event("still here")))) == 200


@pytest.mark.slow
def test_what_comes_too_slowly_or_not_to_its_end_is_cut_off_and_not_stored(inlet: Inlet) -> None:
    before = len(inlet.lines("cio"))
    body = event("never whole")
    whole = post(CIO, body)
    found: dict[str, int | None] = {}  # the status; None if it was let go on to its end

    def drip(name: str, start: bytes, rest: bytes) -> None:
        with inlet.connect() as connection:
            connection.sendall(start)
            connection.settimeout(0.2)
            code = b""
            for byte in rest:
                try:
                    code = connection.recv(1000)
                    break
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
                try:
                    connection.sendall(bytes([byte]))
                except ConnectionError:
                    break
            else:
                found[name] = None
                return
            found[name] = status(code)

    slow = [
        ("silent", b"", b"\r\n" * 100),
        ("head", b"POST /in/x HTTP/1.1\r\nX: ", b"a" * 100),
        ("body", whole[: -len(body)], body[:-1]),
        ("long body", head(CIO, "Content-Length: 1000", body=b"", length=False), b"a" * 100),
        ("unknown path", head("x" * 22, "Content-Length: 1000", length=False), b"a" * 100),
        ("chunk extension", head(CIO, "Transfer-Encoding: chunked", length=False) + b"1;", b"a" * 100),
    ]
    threads = [threading.Thread(target=drip, args=one) for one in slow]
    for thread in threads:
        thread.start()
    for _ in range(3):  # reset in the middle
        connection = inlet.connect()
        connection.sendall(whole[:-3])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
    assert status(inlet.send(whole[:-3])) in (0, 408)
    for thread in threads:
        thread.join()
    assert len(found) == len(slow)
    assert None not in found.values(), found
    assert found["unknown path"] == 404
    assert found["head"] in (0, 408)
    assert len(inlet.lines("cio")) == before
    assert status(inlet.send(whole)) == 200


@pytest.mark.slow
def test_a_reload_takes_over_secrets_and_a_file_with_mistakes_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "a") as inlet:
        assert status(inlet.send(post(CIO, event("1"), key="next"))) == 401
        good = inlet.config.read_text(encoding="utf-8")
        inlet.config.write_text(good.replace("[current, previous]", "[next, current]"), encoding="utf-8")
        reload(inlet, "taken over: 4 inlets")
        assert status(inlet.send(post(CIO, event("1"), key="next"))) == 200
        assert status(inlet.send(post(CIO, event("2"), key="current"))) == 200
        assert status(inlet.send(post(CIO, event("3"), key="previous"))) == 401
        assert [line["sig"] for line in inlet.lines("cio")] == [0, 1]
        inlet.config.write_text(good.replace("name: cio", "name: CIO").replace("pppp", "q"), encoding="utf-8")
        reload(inlet, "was not taken over: inlets[0].name")
        assert status(inlet.send(post(CIO, event("4"), key="next"))) == 200
        inlet.config.write_text(good.replace("/data", "/other").replace("c" * 22, "d" * 22), encoding="utf-8")
        reload(inlet, "needs a restart")
        assert status(inlet.send(post(CIO, event("5"), key="current"))) == 404
        assert status(inlet.send(post("d" * 22, event("5"), key="current"))) == 200
        assert inlet.counts("cio")["stored"] == 4
        assert inlet.end() == 0


def reload(inlet: Inlet, sign: str) -> None:
    inlet.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 120
    while sign not in inlet.words() and time.monotonic() < until:
        time.sleep(0.02)
    assert sign in inlet.words()


@pytest.mark.slow
def test_a_drain_takes_posts_until_it_is_over_and_answers_what_is_open(tmp_path: Path) -> None:
    with running(tmp_path / "a", drain=1.0) as inlet:
        idle, half = inlet.connect(), inlet.connect()
        body = event("half")
        whole = post(CIO, body)
        inlet.process.terminate()
        time.sleep(0.3)
        assert status(inlet.get("/readyz")) == 503
        found = inlet.send(post(CIO, event("during")))
        assert (status(found), b"connection: close" in found) == (200, True)
        half.sendall(whole[:-5])
        time.sleep(1.1)
        idle.sendall(post(CIO, event("late")))  # accepted before, and silent until now
        half.sendall(whole[-5:])
        assert status(answer(idle)) == 200
        assert status(answer(half)) == 200
        idle.close()
        half.close()
        with pytest.raises(ConnectionRefusedError):
            inlet.connect()
        assert inlet.process.wait(10) == 0
    with running(tmp_path / "a") as inlet:
        assert {line["key"] for line in inlet.lines("cio")} == {
            f"customerio:{name}" for name in ("half", "during", "late")
        }
        assert status(inlet.send(post(CIO, body))) == 200
        assert len(inlet.lines("cio")) == 3  # the window was rebuilt


@pytest.mark.slow
def test_a_socket_that_was_handed_on_outlives_the_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for turn in range(2):
            with running(tmp_path / f"{turn}", fd=listener.fileno()) as inlet:
                assert inlet.port == listener.getsockname()[1]
                assert status(inlet.send(post(CIO, event("a")))) == 200
                assert inlet.end() == 0
            waiting = socket.create_connection(listener.getsockname(), timeout=10)  # not refused
            waiting.sendall(post(CIO, event(f"waiting{turn}")))
            waiting.close()


@pytest.mark.slow
def test_a_second_signal_hurries(tmp_path: Path) -> None:
    with running(tmp_path / "a", drain=60.0) as inlet:
        inlet.process.terminate()
        time.sleep(0.2)
        inlet.process.send_signal(signal.SIGINT)
        assert inlet.process.wait(5) == 0


@pytest.mark.slow
def test_two_processes_do_not_share_a_volume(inlet: Inlet, tmp_path: Path) -> None:
    config = tmp_path / "inlet.yaml"
    config.write_text(CONFIG % (inlet.data, 0), encoding="utf-8")
    other = subprocess.run(
        [*COMMAND, "serve", "--config", str(config), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=20,
        env=os.environ,
        check=False,
    )
    assert (other.returncode, other.stdout) == (1, "")
    assert "Another webhook-inlet uses the volume" in other.stderr


@pytest.mark.slow
def test_a_flood_of_connections_is_bounded_and_passes(inlet: Inlet) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard < 0 else min(hard, 4096), hard))
    opened = [inlet.connect() for _ in range(2100)]
    try:
        found = inlet.send(post(CIO, event("in the flood")))
        assert status(found) in (200, 503)
        files = len(list(Path(f"/proc/{inlet.process.pid}/fd").iterdir()))
        assert files < 2700
    finally:
        for connection in opened:
            connection.close()
    until = time.monotonic() + 120
    while status(inlet.send(post(CIO, event("after the flood")))) != 200:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_a_process_that_stood_still_reads_what_was_sent_in_time(inlet: Inlet) -> None:
    with inlet.connect() as connection:
        time.sleep(0.2)
        inlet.process.send_signal(signal.SIGSTOP)
        connection.sendall(post(CIO, event("stood still")))
        time.sleep(4.5)
        inlet.process.send_signal(signal.SIGCONT)
        assert status(answer(connection)) == 200
