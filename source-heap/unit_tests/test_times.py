"""Heap's instants in every encoding, compared with an independent implementation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators.heap.times import TimeEncoding, instant_text, write_instant
from source_heap.avro.times import CoercionError, normalize

MICROS = st.integers(0, 4_102_444_800_000_000)


def normalized(value: Any) -> str | None:
    try:
        return normalize(value)
    except CoercionError:
        return None


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(micros=MICROS, encoding=st.sampled_from(list(TimeEncoding)))
def test_every_encoding_means_the_same_instant(micros: int, encoding: TimeEncoding) -> None:
    written = write_instant(micros, encoding)
    for _ in range(2):  # the second time from the look-ups
        assert normalized(written) == instant_text(written)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.text(max_size=30),
        st.floats(),
        st.from_regex(
            r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,9})?Z?[Z0-9]?\Z"
        ),
        st.from_regex(r"\A-?[0-9]{1,20}(\.[0-9]{1,9})?\Z"),
    )
)
def test_any_value_is_read_as_the_reference_reads_it(value: Any) -> None:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        assert normalized(value) is None
        return
    expected = instant_text(value)
    for _ in range(2):
        assert normalized(value) == (expected.rjust(27, "0") if expected else None)  # the reference does not pad years


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-05-01 12:34:56.789", "2024-05-01T12:34:56.789000Z"),
        ("2024-05-01 12:34:56.7", "2024-05-01T12:34:56.700000Z"),
        ("2024-05-01 12:34:56.78Z", "2024-05-01T12:34:56.780000Z"),
        ("2024-05-01T12:34:56Z", "2024-05-01T12:34:56.000000Z"),
        ("2024-05-01T12:34:56.123456789Z", "2024-05-01T12:34:56.123456Z"),
        ("2024-05-01T12:34:56+05:30", "2024-05-01T07:04:56.000000Z"),
        ("2024-05-01T00:30:00.5-01", "2024-05-01T01:30:00.500000Z"),
        (1714566896, "2024-05-01T12:34:56.000000Z"),
        (1714566896789, "2024-05-01T12:34:56.789000Z"),
        (1714566896789012, "2024-05-01T12:34:56.789012Z"),
        (1714566896789012345, "2024-05-01T12:34:56.789012Z"),
        ("1714566896789", "2024-05-01T12:34:56.789000Z"),
        (0, None),
        ("0", None),
        (None, None),
    ],
)
def test_an_instant_is_written_in_utc_with_six_digits(value: Any, expected: str | None) -> None:
    assert normalize(value) == expected
    assert normalize(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("", "yesterday", "2024-13-01 00:00:00", "2024-05-01 24:00:00", "2024-05-01 12:34:60", "2024-05-01", True),
        *("2024-05-01 12:34:56.78ZZ", "2024-05-01 12:34:56.78Z456", "2024-05-01 12:34:56.1234567890"),
        *(float("nan"), b"x"),
    ],
)
def test_what_is_no_instant_is_refused_also_after_its_parts_were_met(value: Any) -> None:
    normalize("2024-05-01 12:34:56.785456")
    normalize("2024-05-01 12:34:56.78Z")
    with pytest.raises(CoercionError):
        normalize(value)
