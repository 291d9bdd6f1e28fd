"""Faults of certificates, proxies and host names: each has its sentence, and is retried only if that may help."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from heap_world import Heap, run
from odd_server import OddServer
from simulators.server import Response
from source_kit.errors import PROXY_WANTS_LOGIN
from test_kit.messages import Output

Serve = Callable[..., str]


def certificate(folder: Path, name: str = "127.0.0.1", days: int = 2) -> Path:
    """A certificate that signs itself, with its key, for an address or a host; it ends in some days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}{days}.pem"
    text = serialization.Encoding.PEM
    secret = key.private_bytes(text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(text) + secret)
    return path


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_error(500)

    def do_CONNECT(self) -> None:
        """As a proxy: asks for a password, or refuses the host."""
        self.send_error(407 if "asks" in self.path else 403)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A handshake that fails is what is wanted."""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves with a certificate, or in clear text, and gives the address."""
    servers = []

    def start(path: Path | None = None) -> str:
        server = _Server(("127.0.0.1", 0), _Handler)
        if path is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"https://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def said(url: str, heap: Heap) -> str:
    output: Output = run("check", "--debug", config=heap.config(endpoint_url=url))
    assert not output.logged("attempt 2")
    message: str = output.connection_status["message"]
    return message


@pytest.mark.slow
def test_a_certificate_that_nobody_knows(
    serve: Serve, heap: Heap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    url = serve(path)
    assert said(url, heap).startswith("The TLS certificate of 127.0.0.1 is not trusted (self-signed certificate).")
    assert "into a file and name it in AWS_CA_BUNDLE; otherwise check endpoint_url." in said(url, heap)
    other = certificate(tmp_path, "other.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert f"add the certificate of the signing authority to {other}, which REQUESTS_CA_BUNDLE names" in said(url, heap)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    output = run("check", config=heap.config(endpoint_url=url))
    assert output.connection_status["message"].startswith(
        "S3 failed with 500 while listing the manifests"
    )  # it got through


def test_a_certificate_for_another_name_or_time(
    serve: Serve, heap: Heap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, old = certificate(tmp_path, "other.example"), certificate(tmp_path, days=-1)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(other))
    assert said(serve(other), heap).startswith("The TLS certificate of the server at 127.0.0.1 is for another host.")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(old))
    assert said(serve(old), heap).startswith(
        "The TLS certificate of 127.0.0.1 is out of date (certificate has expired)."
    )


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize(("path", "why"), [("/nonexistent/ca.pem", "does not exist"), ("/tmp", "is a folder")])
def test_a_file_of_authorities_that_cannot_be_read(
    path: str, why: str, variable: str, serve: Serve, heap: Heap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, path)
    assert said(serve(certificate(tmp_path)), heap).startswith(f"{variable} names {path}, which {why}.")


def test_a_blank_variable_names_no_file_and_keeps_certificates_checked(
    serve: Serve, heap: Heap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", " ")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    assert "is not trusted (self-signed certificate)" in said(serve(certificate(tmp_path)), heap)


def test_a_server_that_speaks_no_tls(serve: Serve, heap: Heap) -> None:
    assert said(serve(), heap).startswith("No TLS connection to 127.0.0.1 is possible (WRONG_VERSION_NUMBER).")


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("socks5://127.0.0.1:9", "SOCKS is not supported"),
        ("http://127.0.0.1:port", "its host or port cannot be read"),
        ("http://user:hidden-word@a..b:3128", "its host cannot be the name of a host"),
        ("htp:/proxy", "it must begin with http:// or https://"),
    ],
)
def test_a_proxy_that_cannot_be_used(proxy: str, why: str, heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    message = said("https://s3.example.invalid", heap)
    assert message.startswith(f"The proxy in https_proxy cannot be used: {why}")
    assert "hidden-word" not in message


def test_a_proxy_that_refuses(serve: Serve, heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", serve().replace("https:", "http:"))
    assert said("https://s3.asks.invalid", heap) == PROXY_WANTS_LOGIN
    assert said("https://s3.other.invalid", heap).startswith(
        "The proxy in https_proxy refuses to connect to the server (status 403)."
    )
    with OddServer() as proxy:
        proxy.odd = lambda request, usual: Response(407, b"<html>no</html>", "text/html")
        monkeypatch.setenv("http_proxy", proxy.url)
        assert said("http://s3.other.invalid", heap) == PROXY_WANTS_LOGIN


def test_a_proxy_that_is_not_there_is_asked_again(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:11")
    monkeypatch.setenv("http_proxy", "http://user:word@127.0.0.1:9")
    output = run("check", "--debug", config=heap.config(endpoint_url="http://s3.example.invalid"))
    assert output.connection_status["message"].startswith(
        "The proxy in http_proxy could not be reached, or could not reach the"
    )
    assert output.logged("attempt 2")


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example.com", f"{'a.' * 130}com", ".example.com"])
def test_a_host_that_cannot_exist(host: str, heap: Heap) -> None:
    assert said(f"https://{host}", heap).startswith(f"{host[:80]!r}"[:-1])
    assert "in endpoint_url cannot be the name of a host" in said(f"https://{host}", heap)


def test_an_address_in_clear_text_is_warned_of_unless_it_is_this_machine(heap: Heap) -> None:
    warned = run("check", config=heap.config(endpoint_url="http://s3.example.invalid")).logged("unencrypted")
    assert len(warned) == 1
    assert warned[0].startswith("WARN: endpoint_url begins with http://, so signatures and rows travel unencrypted")
    assert not run("check", config=heap.config()).logged("unencrypted")
