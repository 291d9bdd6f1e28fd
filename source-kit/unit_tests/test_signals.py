"""A signal ends a command at once, without a stack trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_kit.catalogs import configured_stream
from test_kit.command import arguments

_CODE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from source_kit.cli import command
command("test_signals_toy", "make")
"""
_TOY = """
import time
from kit_toys import ToySource, ToyStream

class Hangs(ToyStream):
    def read_slice(self, slice_):
        yield [{"id": "1"}]
        time.sleep(60)

def make():
    return ToySource(Hangs("s"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_ends_a_read_at_once_without_output(tmp_path: Path, number: signal.Signals, code: int) -> None:
    (tmp_path / "test_signals_toy.py").write_text(_TOY, encoding="utf-8")
    files = {"config": {}, "catalog": {"streams": [configured_stream("s", incremental=False)]}}
    command = [sys.executable, "-c", _CODE, *arguments(tmp_path, "read", (), files)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert any(b'"RECORD"' in line for line in child.stdout)
        child.send_signal(number)
        _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (code, b"")
