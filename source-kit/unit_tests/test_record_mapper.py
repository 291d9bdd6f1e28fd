"""Rows get our names and types, and no value is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_kit.convert import RecordMapper, snake_case

NAMES = st.text(alphabet="aAbB_", min_size=1, max_size=5)


def test_names_are_changed_and_values_converted() -> None:
    mapper = RecordMapper(snake_case, {"created_at": lambda value: f"<{value}>"})
    assert mapper([{"createdAt": 1, "id": "a"}, {"id": "b", "createdAt": None}, {}]) == [
        {"created_at": "<1>", "id": "a"},
        {"id": "b", "created_at": None},
        {},
    ]


def test_two_names_that_become_the_same_keep_both_values() -> None:
    mapper = RecordMapper(snake_case)
    for row in ({"fooBar": 1, "foo_bar": 2}, {"foo_bar": 2, "fooBar": 1}):
        assert mapper([row]) == [{"foo_bar": 2, "fooBar": 1}]
    assert mapper([{"fooBar": 1, "FooBar": 2}]) == [{"foo_bar": 1, "FooBar": 2}]


@given(st.dictionaries(NAMES, st.integers(), max_size=8))
def test_no_value_is_ever_lost(row: dict[str, int]) -> None:
    (mapped,) = RecordMapper(snake_case)([row])
    assert sorted(mapped.values()) == sorted(row.values())
    assert {name: value for name, value in mapped.items() if name in row} | mapped == mapped


def test_a_renaming_that_swaps_names_loses_nothing() -> None:
    swap = {"id": "account_id", "accountId": "id"}
    (mapped,) = RecordMapper(lambda name: swap.get(name, name))([{"id": 1, "accountId": 2, "account_id": 3}])
    assert sorted(mapped.values()) == [1, 2, 3]


@pytest.mark.slow
def test_rows_with_always_new_keys_are_mapped() -> None:
    mapper = RecordMapper(str.upper)
    rows: list[dict[str, Any]] = [{f"key{n}": n} for n in range(10_050)]
    assert mapper(rows) == [{f"KEY{n}": n} for n in range(10_050)]
