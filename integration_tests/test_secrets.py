"""A secret appears in no output, at no log level, in no encoding: not even when the vendor sends it back."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Iterator

import pytest
from harness.runner import Runner, ScriptRunner
from harness.vendors import SECRET, secrets_of
from simulators.faults import Fault
from test_kit.catalogs import Row, configured
from test_kit.messages import Output


def _shapes(secret: str) -> dict[str, str]:
    """How a secret may be written."""
    raw = secret.encode()
    return {
        "raw": secret,
        "JSON": json.dumps(secret)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "URL": urllib.parse.quote(secret, safe=""),
        "URL, path": urllib.parse.quote(secret),
        "URL, form": urllib.parse.quote_plus(secret),
        "URL, small letters": urllib.parse.quote(secret, safe="").lower(),
        "base64": base64.b64encode(raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(raw).decode(),
        "base64 of user and secret": base64.b64encode(b"user:" + raw).decode().rstrip("=")[7:-1],
        "HTML": html.escape(secret),
        "Python": repr(secret)[1:-1],
        "hex": raw.hex(),
        "hex, capital letters": raw.hex().upper(),
    }


SHAPES = _shapes(SECRET)
_ECHO = "You sent " + " and ".join(SHAPES.values()) + ", which is wrong"
_JSON_ECHO = json.dumps({"errors": [{"detail": _ECHO, "status": "400"}], "message": _ECHO, "key": SECRET})
_XML_ECHO = f"<Error><Code>AccessDenied</Code><Message>{html.escape(_ECHO)}</Message></Error>"

#: What a vendor, or a proxy before it, may answer that hands the secret back
ECHOES = {
    "as JSON": Fault("status", status=400, answer=_JSON_ECHO, times=-1),
    "as a refusal": Fault("status", status=403, answer=_ECHO, times=-1),
    "as XML": Fault("status", status=403, answer=_XML_ECHO, headers={"Content-Type": "application/xml"}, times=-1),
    "as a page": Fault("html", status=401, answer=f"<html><title>{_ECHO}</title>{_ECHO}</html>", times=-1),
    "in a header": Fault(
        "status", status=404, answer="no", headers={"X-Debug": urllib.parse.quote(_ECHO), "X-Key": SECRET}, times=-1
    ),
}


def test_a_debug_run_that_goes_well_holds_no_secret(script_runner: ScriptRunner) -> None:
    config = script_runner.vendor.config
    secrets = secrets_of(script_runner.connector, config)
    assert secrets == [SECRET]
    outputs = [script_runner.run(verb, "--debug", config=config) for verb in ("check", "discover")]
    outputs.append(script_runner.run("read", "--debug", config=config, catalog=_some(script_runner)))

    assert all(output.stderr == "" for output in outputs)
    assert any(output.of_type("DEBUG") for output in outputs), "nothing was logged at debug level"
    for output in outputs:
        output.succeeded()
        assert list(_leaks(output)) == []


@pytest.mark.parametrize("echo", ECHOES)
def test_a_secret_that_comes_back_in_an_answer_goes_no_further(fresh_runner: Runner, echo: str) -> None:
    config, catalog = fresh_runner.vendor.config, _some(fresh_runner)
    fresh_runner.vendor.simulator.faults.add(ECHOES[echo])
    check = fresh_runner.run("check", "--debug", config=config)
    read = fresh_runner.run("read", "--debug", config=config, catalog=catalog)

    assert check.connection_status["status"] == "FAILED"
    assert read.code != 0
    assert list(_leaks(check)) == []
    assert list(_leaks(read)) == []


def test_a_secret_in_an_unreadable_configuration_is_not_shown(fresh_runner: Runner) -> None:
    text = json.dumps(fresh_runner.vendor.config)
    for broken in (text[:-1], text + "}", json.dumps([text]), text.replace("http://", "http//")):
        output = fresh_runner.run("check", "--debug", config=broken)

        assert output.errors or output.connection_status["status"] == "FAILED"
        assert list(_leaks(output)) == [], broken[-30:]


@pytest.mark.parametrize("before", [len("<Error><Code>Odd</Code><Message>"), 0], ids=["the body", "S3's message"])
def test_no_half_of_a_secret_is_left_where_an_answer_is_cut(fresh_runner: Runner, before: int) -> None:
    catalog = _some(fresh_runner)
    text = "-" * (500 - before - len(SECRET) // 2) + html.escape(SECRET)
    answer = f"<Error><Code>Odd</Code><Message>{text}</Message></Error>"
    fault = Fault("status", status=400, answer=answer, headers={"Content-Type": "application/xml"}, times=-1)
    fresh_runner.vendor.simulator.faults.add(fault)
    read = fresh_runner.run("read", "--debug", config=fresh_runner.vendor.config, catalog=catalog)

    assert read.code != 0
    assert b"-" * 400 in read.stdout, "the answer was not quoted"
    assert SECRET[: len(SECRET) // 2 - 1].encode() not in read.stdout


def test_a_leak_would_be_found() -> None:
    for name, shape in SHAPES.items():
        message = json.dumps({"type": "LOG", "log": {"level": "INFO", "message": f"key={shape};"}})
        assert name in {leak.split(" ", 1)[1] for leak in _leaks(Output(0, message.encode() + b"\n"))}, name
        assert list(_leaks(Output(0, b"", f"...{shape}...")))


def _some(runner: Runner) -> Row:
    """A configured catalog of two streams, one of which has a cursor."""
    streams = runner.catalog["streams"]
    with_cursor = next(stream["name"] for stream in streams if "incremental" in stream["supported_sync_modes"])
    return configured(runner.catalog, sorted({streams[0]["name"], with_cursor}))


def _leaks(output: Output) -> Iterator[str]:
    """Where which shape of the secret stands."""
    places = {"stdout": output.stdout.decode("utf-8", "replace"), "stderr": output.stderr}
    if output.stdout:
        places["text"] = "\n".join(_texts(output.messages))
    for place, text in places.items():
        for name, shape in SHAPES.items():
            if shape in text:
                yield f"{place} {name}"


def _texts(value: object) -> Iterator[str]:
    """Every text of the messages, decoded."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
