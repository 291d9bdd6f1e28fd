"""`spec` prints the message that the CDK would, without importing it; where it cannot, the CDK is asked."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, ConnectorSpecificationSerializer, Type
from source_kit.specification import read_specification, specification_line
from test_kit.messages import errors

PLAIN = "documentationUrl: https://docs.example.com\nconnectionSpecification: {type: object, title: Gerät}\n"
#: What needs the CDK: its message, or its error
OTHER = {
    "another part": f"{PLAIN}supportsIncremental: true\n",
    "a part that is missing": "connectionSpecification: {type: object}\n",
    "a part of another type": PLAIN.replace("https://docs.example.com", "[1]"),
    "a value that JSON does not have": PLAIN.replace("Gerät", "2026-01-01"),
    "no object": "[1, 2]\n",
    "no YAML": f"{PLAIN}}}",
    "nothing": "",
}


class Package:
    """A package of a connector, with the specification that a test gives it, and its command."""

    def __init__(self, folder: Path) -> None:
        self.name = "spec_toy"
        self.folder = folder / self.name
        self.folder.mkdir()
        (self.folder / "__init__.py").touch()
        (self.folder / "source.py").write_text(
            f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from kit_toys import ToySource\nfrom source_kit.source import Source\n\n"
            "class Toy(ToySource):\n    spec = Source.spec\n"
        )

    def write(self, specification: str) -> None:
        (self.folder / "spec.yaml").write_text(specification, encoding="utf-8")

    def run(self, *args: str, before: str = "", **settings: Any) -> subprocess.CompletedProcess[bytes]:
        """The command in a process, which prints to stderr at its end whether the CDK was imported."""
        code = (
            "import atexit, sys\natexit.register(lambda: print('airbyte_cdk' in sys.modules, file=sys.stderr))\n"
            f"sys.path.insert(0, {str(self.folder.parent)!r})\n{before}\n"
            f"from source_kit.cli import command\ncommand('{self.name}.source', 'Toy')"
        )
        return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, timeout=60, **settings)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spec_toy", raising=False)
    return Package(tmp_path)


def by_the_cdk(specification: Any) -> bytes:
    """The line that the CDK prints."""
    spec = ConnectorSpecificationSerializer.load(specification)
    message = AirbyteMessageSerializer.dump(AirbyteMessage(type=Type.SPEC, spec=spec))
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def without_logs(output: bytes) -> list[bytes]:
    return [line for line in output.splitlines(keepends=True) if b'"LOG"' not in line]


@pytest.mark.parametrize("connector", ["source_pendo", "source_customerio", "source_heap"])
def test_the_message_of_a_connector_has_the_bytes_of_the_cdks(connector: str) -> None:
    folder = Path(importlib.import_module(connector).__path__[0])
    plain = yaml.load((folder / "spec.yaml").read_bytes(), Loader=yaml.SafeLoader)
    assert read_specification(connector) == plain
    assert specification_line(connector) == by_the_cdk(plain)


@pytest.mark.parametrize("connector", ["source_pendo", "source_customerio", "source_heap"])
def test_no_connector_makes_its_specification_itself(connector: str) -> None:
    """It would not be printed."""
    module = importlib.import_module(connector)
    assert "def spec(" not in inspect.getsource(getattr(module, module.__all__[0]))


@pytest.mark.slow
def test_spec_alone_does_without_the_cdk(package: Package) -> None:
    package.write(PLAIN)
    done = package.run("spec")
    assert (done.returncode, done.stdout, done.stderr) == (0, by_the_cdk(yaml.safe_load(PLAIN)), b"False\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "variables"), [(("spec", "--debug"), {}), (("spec",), {"LOG_LEVEL": "DEBUG"})], ids=["option", "variable"]
)
def test_debug_logs_come_from_the_cdk(package: Package, args: tuple[str], variables: dict[str, str]) -> None:
    package.write(PLAIN)
    done = package.run(*args, env={**os.environ, **variables})
    assert done.stdout.splitlines(keepends=True)[-1] == by_the_cdk(yaml.safe_load(PLAIN))
    assert b"Debug logs enabled" in done.stdout
    assert (done.returncode, done.stderr) == (0, b"True\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("spec", "--help"), 0, "usage: "),
        (("spec", "--config", "c"), 2, "unrecognized arguments: --config c"),
        (("specs",), 2, "invalid choice: 'specs'"),
        (("--debug", "spec"), 2, "unrecognized arguments: --debug"),
    ],
)
def test_other_arguments_are_answered_by_the_cdk(package: Package, args: tuple[str], code: int, words: str) -> None:
    package.write(PLAIN)
    done = package.run(*args)
    assert done.returncode == code
    assert words in (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("specification", OTHER.values(), ids=OTHER)
def test_a_specification_that_needs_the_cdk_is_left_to_it(package: Package, specification: str) -> None:
    package.write(PLAIN)
    assert specification_line(package.name) is not None
    package.write(specification)
    assert specification_line(package.name) is None


@pytest.mark.slow
def test_other_parts_of_a_specification_are_printed_by_the_cdk(package: Package) -> None:
    specification = f"{PLAIN}supportsIncremental: true\nprotocol_version: '0.2.0'\n"
    package.write(specification)
    done = package.run("spec")
    assert without_logs(done.stdout) == [by_the_cdk(yaml.safe_load(specification))]
    assert (done.returncode, done.stderr) == (0, b"True\n")


@pytest.mark.slow
def test_a_missing_specification_is_an_error(package: Package) -> None:
    done = package.run("spec")
    (error,) = errors([json.loads(line) for line in done.stdout.splitlines()])
    assert done.returncode == 1
    assert "spec.yaml" in error["internal_message"]


@pytest.mark.slow
def test_a_full_disk_behind_stdout_ends_with_a_sentence(package: Package) -> None:
    package.write(PLAIN)
    done = package.run("spec", before="import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)")
    assert (done.returncode, done.stdout) == (1, b"")
    sentence, end = done.stderr.decode().splitlines()
    assert sentence.startswith("The messages cannot be written to stdout (No space left on device), so the connector")
    assert end == "False"


@pytest.mark.slow
def test_nobody_behind_stdout_ends_without_a_word(package: Package) -> None:
    package.write(PLAIN)
    done = package.run("spec", before="import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1)")
    assert (done.returncode, done.stderr) == (1, b"False\n")
