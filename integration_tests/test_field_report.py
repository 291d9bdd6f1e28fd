"""`tools/field_report`, run by the owner of an account: it only reads, and shows nothing of the account."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from harness.suite import ROOT
from simulators.customerio import CustomerioSimulator, Options
from simulators.heap.demo import Size, demo_dumps
from simulators.heap.s3_server import BucketServer
from simulators.pendo import PendoSimulator
from simulators.server import Fault, Simulator

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tools" / "field_report"
KEYS = {"auth_type": "keys", "aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
_WORD = re.compile(r"[^\W\d]\w*")
_READS = re.compile(r"GET |POST /v1/(customers|customers/attributes|objects)$|POST /api/v1/aggregation$")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Runs the questions to a vendor in this process, without pauses, and gives what they print."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(vendor: str, config: dict[str, Any], **options: Any) -> str:
        questions = import_module(f"ask_{vendor}")
        monkeypatch.setattr(questions, "PER_SECOND", 10_000, raising=False)
        questions.run(config, **options)
        return capsys.readouterr().out

    yield run
    for name in ("report", "ask_pendo", "ask_customerio", "ask_heap"):
        sys.modules.pop(name, None)


def foreign_words(printed: str) -> set[str]:
    """Words that are neither in the texts of the scripts nor columns of the connectors' schemas."""
    ours = " ".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    for path in ROOT.glob("source-*/source_*/schemas/*.json"):
        ours += " ".join(json.loads(path.read_text(encoding="utf-8")).get("properties", ()))
    return set(_WORD.findall(printed)) - set(_WORD.findall(ours))


def shown(printed: str, *documents: Any) -> list[str]:
    """What was printed of the texts, large numbers and names in some documents, if it may be an account's own."""
    found = {text for text in _leaves(documents) if not text.isalpha() and not re.fullmatch("[a-z_]+", text)}
    return sorted(text for text in found if len(text) > 4 and text in printed)


def _leaves(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from document
        document = list(document.values())
    if isinstance(document, list | tuple):
        for item in document:
            yield from _leaves(item)
    elif isinstance(document, int | float | str):
        yield str(document)


def only_reads(simulator: Simulator) -> bool:
    """Whether no request may have changed anything."""
    return all(_READS.match(f"{request.method} {request.path}") for request in simulator.requests)


def customerio_config(simulator: CustomerioSimulator) -> dict[str, Any]:
    return {"app_api_key": simulator.api_key, "api_url": simulator.url}


def test_a_value_in_the_report_would_be_found() -> None:
    printed = "  answer: campaigns: 200, 6 rows for person.1@example.com of Wonderland, id 1772928000"

    assert {"example", "Wonderland"} <= foreign_words(printed)
    assert shown(printed, {"a": ["person.1@example.com", 1772928000, "Other 1"]}) == [
        "1772928000",
        "person.1@example.com",
    ]


def test_customerio_is_only_read_and_nothing_of_it_is_shown(ask: Any) -> None:
    with CustomerioSimulator(options=Options(rate_limit=None)) as simulator:
        printed = ask("customerio", customerio_config(simulator))
        streams = (
            "campaigns",
            "broadcasts",
            "newsletters",
            "customers",
            "segments",
            "messages",
            "activities",
            "workspaces",
        )
        data = [simulator.truth(stream) for stream in streams]

    assert only_reads(simulator)
    assert 40 < len(simulator.requests) < 60
    assert foreign_words(printed) == set()
    assert shown(printed, data, simulator.api_key) == []
    assert "unforeseen" not in printed


def test_customerios_answers_are_told_by_their_shape(ask: Any) -> None:
    options = Options(rate_limit=None, wrap_customers=True, forbidden=["^/segments$"])
    with CustomerioSimulator(options=options) as simulator:
        simulator.faults.add(Fault("status", path="/v1/snippets", status=429))
        printed = ask("customerio", customerio_config(simulator))

    assert re.search(r"means:  (\d+) of \1 people are wrapped in `customer`", printed)
    assert "segments: 403, body: {errors: [{detail: string, status: string} ...]}" in printed
    assert re.search(r"newsletters: 200, \d+ rows, next given", printed)
    assert "unknown parents get 404" in printed
    assert re.search(r"human_\* and prefetch_\* look like (times|counts)", printed)
    assert re.search(r"series compared, first days that fit all of them: (Sunday|Monday)$", printed, re.MULTILINE)
    assert re.search(r"1 of \d+ requests were answered with 429, 0 of them with Retry-After", printed)


def test_an_answer_of_another_shape_ends_its_question_only(ask: Any) -> None:
    body = '{"customers": [{"cio_id": "of Wonderland", "attributes": ["cio_subscription_preferences"]}]}'
    with CustomerioSimulator(options=Options(rate_limit=None)) as simulator:
        simulator.faults.add(Fault("status", path="customers/attributes", status=200, answer=body))
        printed = ask("customerio", customerio_config(simulator))

    assert "Wonderland" not in printed
    assert "of an unforeseen shape: " in printed
    assert "Does a 429 say how long to wait?" in printed


def test_the_key_is_sent_to_the_other_region_only_if_the_flag_says_so(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = Options(rate_limit=None)
    with CustomerioSimulator(options=free) as us, CustomerioSimulator(region="EU", options=free) as eu:
        monkeypatch.setattr("source_customerio.config.HOSTS", {"US": us.url, "EU": eu.url})
        without = ask("customerio", {"app_api_key": us.api_key})
        before = len(eu.requests)
        with_flag = ask("customerio", {"app_api_key": us.api_key}, other_region=True)

    assert (before, len(eu.requests)) == (0, 1)
    assert "not asked" in without
    assert "answer: 401, body: {errors: " in with_flag


@pytest.mark.parametrize(("method", "path"), [("POST", "campaigns"), ("PUT", "customers"), ("DELETE", "segments/1")])
def test_what_may_write_is_not_sent(ask: Any, method: str, path: str) -> None:
    with CustomerioSimulator() as simulator:
        api = import_module("report").Api(f"{simulator.url}/v1/", {}, 1, 1)
        with pytest.raises(ValueError, match="does not only read"):
            api.ask(method, path)

        assert list(simulator.requests) == []


def test_pendo_is_only_read_and_nothing_of_it_is_shown(ask: Any) -> None:
    with PendoSimulator(now=datetime.now(UTC)) as simulator:
        printed = ask("pendo", {"api_key": simulator.api_key, "api_url": simulator.url})
        streams = ("visitors", "accounts", "guides", "pages", "features", "apps", "segments", "reports")
        data = [simulator.truth(stream) for stream in streams]

    assert simulator.errors == []
    assert only_reads(simulator)
    assert 40 < len(simulator.requests) < 60
    assert foreign_words(printed) == set()
    assert shown(printed, data, simulator.api_key) == []
    assert "unforeseen" not in printed


def test_pendos_answers_are_told_by_their_shape(ask: Any) -> None:
    with PendoSimulator(now=datetime.now(UTC), rules="documented") as simulator:
        simulator.mutate("switch", base64_ids="padded", details="texts")
        simulator.mutate("forbid", kinds=["votes"], status=403)
        printed = ask("pendo", {"api_key": simulator.api_key, "api_url": simulator.url})

    assert "hours of all pages: 400" in printed
    assert "hours of one page: 200" in printed
    assert "a day of one page, with appId: 400" in printed
    assert "votes: 403" in printed
    assert "base64 padded: 200, history 200" in printed
    assert "base64 without padding: 404" in printed
    assert "sort and >= agree" in printed


def test_a_bucket_of_heap_is_only_read_and_nothing_of_it_is_shown(tmp_path: Path) -> None:
    with BucketServer() as server:
        # the second dump is complete after the third
        dumps = demo_dumps(Size.DEMO)
        for dump in (dumps[0], dumps[2], dumps[1], *dumps[3:]):
            server.put(dump.objects())
        config = {"bucket": server.bucket, "endpoint_url": server.url, "credentials": KEYS}
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        done = command("heap", str(tmp_path / "config.json"))
        tables = [table for dump in dumps for table in dump.manifest()["tables"]]

    printed = done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert only_reads(server)
    assert foreign_words(printed) == set()
    assert shown(printed, [table["files"] for table in tables], config) == []
    assert "late manifests exist" in printed
    assert "the latest came 1 dumps late" in printed
    assert "formats by first bytes: 17 Avro" in printed
    assert "column session_time: 1 double or null" in printed
    assert "unforeseen" not in printed


def test_a_file_of_another_format_and_a_refused_one_are_told(ask: Any) -> None:
    with BucketServer() as server:
        for dump in demo_dumps(Size.TINY):
            server.put(dump.objects())
        server.faults.add(Fault("status", path="/users/", status=403))
        printed = ask("heap", {"bucket": server.bucket, "endpoint_url": server.url, "credentials": KEYS})

    assert "1 not readable" in printed
    assert foreign_words(printed) == set()


def test_the_command_says_what_is_wrong_with_the_configuration(tmp_path: Path) -> None:
    missing = command("pendo", str(tmp_path / "config.json"))
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    empty = command("pendo", str(tmp_path / "config.json"))

    assert (missing.returncode, empty.returncode) == (1, 1)
    assert "cannot be read as JSON" in missing.stderr
    assert "Option api_key is missing" in empty.stderr


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(FOLDER), *arguments], capture_output=True, text=True, check=False)
