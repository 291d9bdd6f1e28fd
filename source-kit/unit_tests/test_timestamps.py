"""Instants keep their value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_kit import convert
from source_kit.convert import epoch_millis, iso_millis, parse_instant, utc_now

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = -62_135_596_800_000
LAST = 253_402_300_799_999


@given(st.integers(FIRST, LAST))
def test_milliseconds_become_the_instant_that_datetime_computes(epoch_ms: int) -> None:
    at = EPOCH + timedelta(milliseconds=epoch_ms)
    assert iso_millis(epoch_ms) == f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    assert epoch_millis(parse_instant(iso_millis(epoch_ms))) == epoch_ms


@pytest.mark.parametrize(
    ("epoch_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1772341200123, "2026-03-01T05:00:00.123Z"),
        (1772341200123.9, "2026-03-01T05:00:00.123Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_known_instants(epoch_ms: float, text: str) -> None:
    assert iso_millis(epoch_ms) == text


@pytest.mark.parametrize("epoch_ms", [FIRST - 1, LAST + 1, 10**30, float("inf")])
def test_an_instant_outside_of_the_calendar_is_an_error(epoch_ms: float) -> None:
    with pytest.raises(OverflowError):
        iso_millis(epoch_ms)


def test_the_number_of_remembered_minutes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "_MINUTES_KEPT", 10)
    texts = [iso_millis(minute * 60_000) for minute in range(100)]
    assert len(convert._MINUTES) <= 10
    assert texts[99] == "1970-01-01T01:39:00.000Z"


@pytest.mark.slow
@given(st.datetimes(timezones=st.just(UTC) | st.builds(lambda h: timezone(timedelta(hours=h)), st.integers(-12, 12))))
def test_parsing_the_text_of_an_aware_datetime_gives_it_back(at: datetime) -> None:
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        with pytest.raises(ValueError, match="range"):
            parse_instant(at.isoformat())
        return
    assert parse_instant(at.isoformat()) == expected
    assert parse_instant(at.isoformat()).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T04:00:00", datetime(2026, 3, 1, 4, tzinfo=UTC)),
        (" 2026-03-01T04:00:00Z ", datetime(2026, 3, 1, 4, tzinfo=UTC)),
        ("2026-03-01T04:00:00.5+02:00", datetime(2026, 3, 1, 2, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_dates_and_times_without_a_zone_are_utc(text: str, at: datetime) -> None:
    assert parse_instant(text) == at


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30"])
def test_what_is_not_an_instant_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


def test_now_is_aware() -> None:
    assert utc_now().tzinfo is UTC
