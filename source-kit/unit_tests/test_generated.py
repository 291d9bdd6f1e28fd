"""A traceback shows the lines of generated code, which are freed with the function."""

from __future__ import annotations

import gc
import linecache
import traceback
from collections.abc import Iterator
from textwrap import dedent

import pytest
from source_kit import convert
from source_kit.convert import RecordMapper
from source_kit.generated import compiled

SOURCE = "def half(x):\n    return x / divisor\n"


def generated() -> list[str]:
    return [name for name in linecache.cache if name.startswith("<generated ")]


@pytest.fixture
def _without_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_a_traceback_shows_the_line_that_failed() -> None:
    half = compiled(SOURCE, "half", {"divisor": 0})
    with pytest.raises(ZeroDivisionError) as failed:
        half(1)
    assert "return x / divisor" in "".join(traceback.format_exception(failed.value))


@pytest.mark.usefixtures("_without_garbage_collection")
def test_the_lines_are_freed_with_the_function() -> None:
    before = generated()
    functions = [compiled(SOURCE, "half", {"divisor": 2}) for _ in range(10)]
    assert functions[3](8) == 4
    assert len(generated()) == len(before) + 10
    del functions
    assert generated() == before


def test_a_record_mapper_that_fails_shows_its_line_and_its_docstring_shows_real_source() -> None:
    def convert_date(value: str) -> str:
        raise ValueError(value)

    mapper = RecordMapper(str, {"created_at": convert_date})
    with pytest.raises(ValueError, match="soon") as failed:
        mapper([{"id": 1, "created_at": "soon"}])
    assert "return {'id': v0, 'created_at'" in "".join(traceback.format_exception(failed.value))
    documentation = convert._compiled.__doc__ or ""
    shown = dedent(documentation[documentation.index("        def row") :])
    assert any("".join(linecache.getlines(name)) in shown for name in generated())
