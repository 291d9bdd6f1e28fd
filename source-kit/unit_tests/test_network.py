"""Faults between connector and server: each has a sentence, and is tried again only if it may heal."""

from __future__ import annotations

import base64
import logging
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit import activity
from source_kit.errors import PROXY_WANTS_LOGIN, ErrorTable
from source_kit.http.client import Client, Connection
from source_kit.http.retry import RetryPolicy
from source_kit.network import warn_of_plain_http

CERTIFICATES = Path(__file__).with_name("certificates")
TABLE = ErrorTable("Acme", [])


def client_of(url: str) -> Client:
    """A client for one address."""
    policy = RetryPolicy(tries=3, base_seconds=0.001, cap_seconds=0.002)
    return Client("rows", Connection(url, {}, connections=1), TABLE, policy, 5.0)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait between attempts, which does not happen. Variables of this machine are removed."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)
    asked: list[float] = []
    monkeypatch.setattr(activity.Activities, "wait", lambda _self, seconds, _why: asked.append(seconds))
    return asked


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DNS that knows no name."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


class Handler(BaseHTTPRequestHandler):
    """Answers with an empty list and the server's `status`, also as a proxy."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        self._answer(self.server.status, b"[]")  # type: ignore[attr-defined]

    def do_CONNECT(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        self._answer(self.server.status, b"no")  # type: ignore[attr-defined]

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate closes the connection."""


@contextmanager
def serving(status: int = 200, certificate: str | None = None, seen: list[Any] | None = None) -> Iterator[str]:
    """A server on loopback; its address without the scheme. `seen` gets the target and the headers of each request."""
    server = Quiet(("127.0.0.1", 0), Handler)
    server.status = status  # type: ignore[attr-defined]
    server.seen = [] if seen is None else seen  # type: ignore[attr-defined]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / certificate, CERTIFICATES / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def error_of(url: str) -> AirbyteTracedException:
    client = client_of(url)
    try:
        with pytest.raises(AirbyteTracedException) as caught:
            list(client.call("/rows?person=jane").rows(None))
    finally:
        client.close()
    assert "jane" not in f"{caught.value.message} {caught.value.internal_message}"
    return caught.value


def expect_fixable(error: AirbyteTracedException, beginning: str, waits: list[float]) -> None:
    assert (error.message or "").startswith(beginning)
    assert error.failure_type is FailureType.config_error
    assert waits == [], "it was tried again although it cannot heal"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("certificate", "trusted", "sentence"),
    [
        ("good.pem", False, "The TLS certificate of 127.0.0.1 is not trusted (self-signed certificate)."),
        ("expired.pem", True, "The TLS certificate of 127.0.0.1 is out of date (certificate has expired)."),
        ("of-another-host.pem", True, "The TLS certificate of the server at 127.0.0.1 is for another host."),
    ],
)
def test_a_refused_certificate_is_explained(
    certificate: str, trusted: bool, sentence: str, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / certificate))
    with serving(certificate=certificate) as address:
        expect_fixable(error_of(f"https://{address}"), sentence, waits)


@pytest.mark.slow
def test_a_bundle_without_the_authority_is_named(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", " ")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(CERTIFICATES / "expired.pem"))
    with serving(certificate="good.pem") as address:
        error = error_of(f"https://{address}")
    expect_fixable(error, "The TLS certificate of 127.0.0.1 is not trusted", waits)
    assert f"to {CERTIFICATES / 'expired.pem'}, which CURL_CA_BUNDLE names;" in (error.message or "")


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_makes_a_certificate_trusted(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(CERTIFICATES / "good.pem"))
    with serving(certificate="good.pem") as address:
        client = client_of(f"https://{address}")
        assert client.call("/rows").json() == []
        client.close()


@pytest.mark.parametrize(
    ("bundle", "why"),
    [(CERTIFICATES / "key.pem", "holds no certificates"), (CERTIFICATES / "gone.pem", "does not exist")],
)
def test_a_bundle_without_certificates_is_named(
    bundle: Path, why: str, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("CURL_CA_BUNDLE", str(bundle))
    expect_fixable(error_of("https://127.0.0.1:9"), f"CURL_CA_BUNDLE names {bundle}, which {why}.", waits)


@pytest.mark.slow
def test_a_server_without_tls_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "good.pem"))
    with serving() as plain:
        expect_fixable(error_of(f"https://{plain}"), "No TLS connection to 127.0.0.1 is possible (WRONG_", waits)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks5://127.0.0.1:9", "SOCKS is not supported"),
        ("htp://127.0.0.1:9", "it must begin with http:// or https://"),
        ("http://127.0.0.1:port", "its host or port cannot be read"),
        ("http://user:pass-word@127.0.0.1:99999", "its host or port cannot be read"),
        ("http://127.0.0.1:0", "its port cannot be 0"),
        ("http:/127.0.0.1:9", "it must begin with http:// or https://"),
        ("http://", "it has no host"),
        ("http://a..b:3128", "its host cannot be the name of a host"),
        ("http://proxy.example:3128", "the DNS does not know its host"),
    ],
)
@pytest.mark.usefixtures("no_names")
def test_the_error_for_an_invalid_proxy_names_its_variable(
    value: str, why: str, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    error = error_of("https://acme.example")
    expect_fixable(error, f"The proxy in HTTPS_PROXY cannot be used: {why}", waits)
    assert "pass-word" not in f"{error.message} {error.internal_message}"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_is_an_error(
    scheme: str, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with serving(407) as address:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://{address}")
        expect_fixable(error_of(f"{scheme}://acme.example"), PROXY_WANTS_LOGIN, waits)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_gets_its_password_and_an_http_request_as_a_whole(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, dict[str, str]]] = []
    with serving(403, seen=seen) as address:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://us%40er:p%3Aw@{address}")
        error_of(f"{scheme}://acme.example/v1")
    target, headers = seen[0]
    sent = {name.lower(): value for name, value in headers.items()}
    if scheme == "http":
        assert (target, sent["host"]) == ("http://acme.example/v1/rows?person=jane", "acme.example")
    else:
        assert target == "acme.example:443"
    assert base64.b64decode(sent["proxy-authorization"].removeprefix("Basic ")) == b"us@er:p:w"


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [True, False])
def test_a_proxy_may_have_a_certificate(trusted: bool, monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "good.pem"))
    with serving(certificate="good.pem") as address:
        monkeypatch.setenv("HTTP_PROXY", f"https://{address}")
        if trusted:
            assert client_of("http://acme.example").call("/rows").json() == []
        else:
            expect_fixable(error_of("http://acme.example"), "The TLS certificate of acme.example is not trusted", waits)


@pytest.mark.slow
def test_no_proxy_names_networks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    with serving() as address:
        client = client_of(f"http://{address}")
        assert client.call("/rows").json() == []
        client.close()


@pytest.mark.slow
def test_a_proxy_that_refuses_a_host_is_an_error(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    with serving(403) as address:
        monkeypatch.setenv("ALL_PROXY", f"http://{address}")
        error = error_of("https://acme.example")
    expect_fixable(error, "The proxy in ALL_PROXY refuses to connect to acme.example (status 403).", waits)


@pytest.mark.slow
@pytest.mark.parametrize("status", [None, 502])
def test_a_proxy_that_does_not_answer_is_tried_again(
    status: int | None, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with serving(status or 200) as address:
        monkeypatch.setenv("HTTPS_PROXY", f"//{address}" if status else "http://127.0.0.1:9/path")
        error = error_of("https://acme.example")
    assert (error.message or "").startswith("The proxy in HTTPS_PROXY could not be reached, or could not reach acme")
    assert error.failure_type is FailureType.transient_error
    assert len(waits) == 2


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", ".".join(["abcdefgh"] * 30)])
def test_a_host_that_no_dns_can_hold_is_refused(host: str, waits: list[float]) -> None:
    error = error_of(f"https://{host}")
    expect_fixable(error, f"'{host[:40]}", waits)
    assert "in api_url cannot be the name of a host" in (error.message or "")


@pytest.mark.parametrize("host", ["acme.example", "under_score.example", "999.1.1.1"])
@pytest.mark.usefixtures("no_names")
def test_a_host_that_the_dns_does_not_know_is_named_and_not_tried_again(host: str, waits: list[float]) -> None:
    expect_fixable(error_of(f"https://{host}"), f"The DNS does not know the host {host}. Check api_url", waits)


@pytest.mark.slow
def test_a_host_that_answered_before_is_tried_again(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    with serving() as address:
        client = client_of(f"http://{address}".replace("127.0.0.1", "localhost"))
        client.call("/rows").close()
        client.close()
        failing = iter([socket.gaierror(socket.EAI_NONAME, "Name or service not known")])
        ask = socket.getaddrinfo

        def forgetful(*args: Any, **options: Any) -> Any:
            for error in failing:
                raise error
            return ask(*args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", forgetful)
        assert client.call("/rows").json() == []
        client.close()
    assert len(waits) == 1


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), urllib3.exceptions.HTTPError("?")])
def test_an_unknown_error_is_not_called_a_network_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(urllib3.util.connection, "create_connection", fail)
    caught = error_of("http://127.0.0.1:9")
    assert caught.message == TABLE.unknown
    assert caught.failure_type is FailureType.system_error
    assert waits == []


@pytest.mark.slow
def test_a_missing_temporary_directory_is_named(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setattr("source_kit.http.body.SPOOL_MEMORY_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with serving() as address:
        error = error_of(f"http://{address}")
    expect_fixable(error, "Nothing can be written to the temporary directory /nowhere, where downloads are kept", waits)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://acme.example/v1", True),
        ("http://10.0.0.1:80", True),
        ("https://acme.example", False),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]/v1", False),
        ("http://localhost", False),
    ],
)
def test_a_warning_for_an_address_without_encryption(url: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_plain_http(logging.getLogger("acme"), url)
    assert ("api_url begins with http://" in caplog.text) == warned
