"""Keys of event rows: unique, and the same whenever and however a row is read."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_pendo import record_ids

Row = dict[str, Any]

COLUMNS = ("day", "visitorId", "accountId", "server")
identity_ids = partial(record_ids.identity_ids, columns=COLUMNS)
content_ids = partial(record_ids.content_ids, ignored={"day", "hour"})

blanks = st.sampled_from([None, ""])
texts = st.one_of(blanks, st.sampled_from(["a", "b", 'a"b', "a\\", "é", "😀", '["a"]']))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    row: Row = {name: draw(texts) for name in COLUMNS if draw(st.booleans())}
    first = draw(st.integers(0, 5))
    return row | {"numEvents": draw(st.integers(1, 3)), "firstTime": first, "lastTime": first + draw(st.integers(0, 3))}


@settings(max_examples=80, deadline=None)
@given(st.lists(rows(), max_size=12), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_every_row_has_a_key_of_its_own_whatever_the_order_in_which_they_come(rows: list[Row], chance: Any) -> None:
    """Also rows that differ in no column."""
    for ids in (identity_ids, content_ids):
        found = ids(rows)
        assert len(set(found)) == len(rows)
        shuffled = chance.sample(range(len(rows)), len(rows))
        again = ids([rows[index] for index in shuffled])
        by_key = {key: rows[index] for key, index in zip(again, shuffled, strict=True)}
        assert set(by_key) == set(found)
        if ids is identity_ids:
            assert by_key == dict(zip(found, rows, strict=True))


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(rows(), max_size=12), st.data())
def test_rows_keep_their_keys_while_their_counters_grow(rows: list[Row], data: st.DataObject) -> None:
    grown = [
        row
        | {
            "numEvents": row["numEvents"] + data.draw(st.integers(0, 5)),
            "lastTime": row["lastTime"] + data.draw(st.integers(0, 5)),
            "rageClickCount": data.draw(st.integers(0, 2)),
        }
        for row in rows
    ]
    assert set(identity_ids(grown)) == set(identity_ids(rows))


@settings(max_examples=100, deadline=None)
@given(rows(), st.dictionaries(st.sampled_from(COLUMNS), blanks))
def test_missing_null_and_empty_are_the_same(row: Row, others: Row) -> None:
    blank = {name for name in COLUMNS if not row.get(name)}
    rewritten = {name: value for name, value in row.items() if name not in blank}
    rewritten |= {name: value for name, value in others.items() if name in blank}
    assert identity_ids([row]) == identity_ids([rewritten])
    assert content_ids([row]) == content_ids([rewritten | {"day": 5}])


def test_a_column_that_pendo_adds_tomorrow_changes_no_key_of_a_grouped_row() -> None:
    row = {"day": 1, "visitorId": "ann", "numEvents": 3}
    assert identity_ids([row]) == identity_ids([row | {"somethingNew": "x"}])


def test_values_that_moved_to_another_column_are_another_row() -> None:
    one, other = identity_ids([{"accountId": "x", "server": ""}, {"accountId": "", "server": "x"}])
    assert one != other
    assert len(one) == 32


def test_free_form_columns_count_whatever_the_order_of_their_names() -> None:
    ids = partial(record_ids.identity_ids, columns=("properties",))
    one, same, other = (ids([{"properties": value}]) for value in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}))
    assert one == same
    assert one != other


def test_single_events_differ_by_any_column_but_not_by_how_they_were_asked_for() -> None:
    event = {"visitorId": "ann", "browserTime": 1, "loadTime": 0}
    assert content_ids([event]) == content_ids([event | {"hour": 5, "day": 5, "title": ""}])
    assert content_ids([event]) != content_ids([event | {"loadTime": 1}])
    assert content_ids([event]) != content_ids([{"visitorId": "ann", "browserTime": 1}])  # zero is a value
