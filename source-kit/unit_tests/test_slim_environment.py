"""A connector works without the large packages that the CDK requires and a source never imports."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from kit_toys import CommandLine, ToySource, ToyStream, catalog, messages_of

LEFT_OUT = ["pandas", "numpy", "grpc", "google.cloud", "nltk", "rapidfuzz"]


@pytest.mark.parametrize("package", LEFT_OUT)
def test_the_package_is_not_there(package: str) -> None:
    parent = package.partition(".")[0]
    assert importlib.util.find_spec(parent) is None or importlib.util.find_spec(package) is None


@pytest.mark.parametrize("verb", ["spec", "check", "discover", "read"])
def test_every_verb_works(toy: CommandLine, verb: str) -> None:
    stream = ToyStream("toy")
    config = ["--config", toy.file("config.json", {})]
    args = {"spec": [], "read": [*config, "--catalog", toy.file("catalog.json", catalog(stream))]}
    code, messages = toy.start(ToySource(stream), verb, *args.get(verb, config)).finish()
    assert code == 0
    answer = {"spec": "SPEC", "check": "CONNECTION_STATUS", "discover": "CATALOG", "read": "RECORD"}[verb]
    assert any(message["type"] == answer for message in messages)


def test_a_process_of_its_own_reads(toy: CommandLine) -> None:
    """The other tests fork a process in which everything was imported; this one starts from nothing."""
    files = {"--config": {}, "--catalog": catalog("toy")}
    args = [arg for name, document in files.items() for arg in (name, toy.file(name[2:], document))]
    script = Path(__file__).with_name("kit_toys.py")
    done = subprocess.run([sys.executable, script, "read", *args], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sum(message["type"] == "RECORD" for message in messages_of(done.stdout)) == 80
