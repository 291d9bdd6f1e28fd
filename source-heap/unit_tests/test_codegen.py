"""The documentation of the generated decoder shows what is generated."""

from __future__ import annotations

import linecache
import traceback
from textwrap import indent

import pytest
from source_heap.avro import codegen
from source_heap.avro.codegen import rows_function
from source_heap.avro.faults import BrokenFile
from source_heap.avro.flat import FlatColumn

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
