"""The generated decoder: its documentation, its tracebacks, and the imports of the processes that run it."""

from __future__ import annotations

import linecache
import subprocess
import sys
import traceback
from textwrap import indent

import pytest
from source_heap.avro import codegen
from source_heap.avro.codegen import rows_function
from source_heap.avro.declared import FlatColumn
from source_heap.avro.faults import BrokenFile

FUNCTION = rows_function(
    (FlatColumn("id", "string"), FlatColumn("active", "boolean", null=0)), ("string", "boolean"), None, ()
)


def test_the_sample_in_the_documentation_is_real() -> None:
    source = "".join(linecache.getlines(FUNCTION.__code__.co_filename))
    assert source.startswith("def decode(")
    assert indent(source, "    ") in (codegen.__doc__ or "")


def test_a_traceback_shows_the_generated_line() -> None:
    with pytest.raises(BrokenFile) as failed:
        FUNCTION(b"\x02a\x01", "\x02a\x01", 0, 1, {}, [], [], repr)  # type: ignore[arg-type]
    assert "raise broken()" in "".join(traceback.format_exception(failed.value))


def test_a_decoding_process_imports_neither_the_cdk_nor_boto3() -> None:
    code = (
        "import sys, source_heap.avro.worker\n"
        "print([name for name in sys.modules if name.startswith(('airbyte_cdk.', 'boto', 'fastavro'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
