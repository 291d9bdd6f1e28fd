"""Names of columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_kit.convert import snake_case


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("trackTypeId", "track_type_id"),
        ("rulesJSON", "rules_json"),
        ("HTMLBody", "html_body"),
        ("appId", "app_id"),
        ("lastupdated", "lastupdated"),
        ("already_snake", "already_snake"),
        ("ID", "id"),
        ("numMinutes2Go", "num_minutes2_go"),
        ("_private", "_private"),
        ("", ""),
    ],
)
def test_the_vendors_camel_case_becomes_snake_case(theirs: str, ours: str) -> None:
    assert snake_case(theirs) == ours


@given(st.text(alphabet="abcXYZ019_", max_size=12))
def test_snake_case_does_not_change_its_own_result(name: str) -> None:
    assert snake_case(snake_case(name)) == snake_case(name)
