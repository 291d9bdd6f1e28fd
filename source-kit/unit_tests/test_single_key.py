"""`_key` joins the columns of a key into one text, whichever form the rows of a stream have."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from kit_toys import CommandLine, ToySource, ToyStream, catalog, read
from source_kit.options import Options
from source_kit.output import RECORD_TAIL, record_head
from source_kit.raw_rows import RawRows
from source_kit.stream import Checkpoint, RecordLines, SliceItem
from test_kit.messages import errors, statuses

#: Rows as the vendor writes them, and their keys
ROWS = {
    b'{"a":"a|b","b":"c"}': '["a|b","c"]',
    b'{"a":"a","b":"b|c"}': '["a","b|c"]',
    b'{"b":null,"a":"\xc3\xa9"}': '["\xe9",null]',
    b'{"a":7,"n":123456789012345678901234567890}': "[7,null]",
    b'{"a":"7","b":{"data":{}}}': '["7",{"data":{}}]',
    b"{}": "[null,null]",
    b'{"_key":"the vendor\'s","a":true,"b":false}': "[true,false]",
}


class Rows(ToyStream):
    """All rows in one form: decoded, as they came, or as lines, one of them with `meta`."""

    key = ("a", "b")

    def __init__(self, form: str) -> None:
        super().__init__("data", slices=1)
        self.form = form

    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        head = record_head("data")
        lines = [b"%b%b%b" % (head, row, RECORD_TAIL) for row in ROWS]
        lines[0] = b'%b%b,"meta":{"changes":[]}%b' % (head, next(iter(ROWS)), RECORD_TAIL)
        yield {
            "decoded": [json.loads(row) for row in ROWS],
            "raw": RawRows(list(ROWS), {}),
            "lines": RecordLines(b"".join(lines), len(lines)),
        }[self.form]
        yield Checkpoint({"slice": 1})


class Keyed(ToySource):
    def single_column_keys(self, config: Options) -> bool:
        return True


@pytest.mark.parametrize("form", ["decoded", "raw", "lines"])
def test_every_record_has_its_key_and_nothing_else_changes(form: str) -> None:
    plain, keyed = (read(source(Rows(form)), catalog(Rows(form))) for source in (ToySource, Keyed))
    rows = [message["record"]["data"] for message in keyed if message["type"] == "RECORD"]

    assert [row["_key"] for row in rows] == list(ROWS.values())
    before = [message["record"] for message in plain if message["type"] == "RECORD"]
    after = [message["record"] for message in keyed if message["type"] == "RECORD"]
    for one in (*before, *after):
        one["data"].pop("_key", None)
        one.pop("emitted_at")
    assert after == before
    assert [one["type"] for one in keyed] == [one["type"] for one in plain]


def test_a_catalog_with_a_key_that_the_options_do_not_ask_for_fails_the_stream(toy: CommandLine) -> None:
    """Without the column a destination would take all rows for one."""
    configured, other = catalog(Rows("decoded"), ToyStream("other")), ToyStream("other")
    configured["streams"][0]["stream"]["source_defined_primary_key"] = [["_key"]]
    code, messages = toy.read(ToySource(Rows("decoded"), other), configured=configured)

    assert code == 1
    assert [(name, statuses(messages, name)[-1]) for name in ("data", "other")] == [
        ("data", "INCOMPLETE"),
        ("other", "COMPLETE"),
    ]
    assert [error["message"] for error in errors(messages)] == [
        "The catalog has the column _key as the key of data, which the options do not ask for now: without it a "
        "destination could keep a single record. Refresh the schema of the connection, or set single_column_keys as it "
        "was."
    ]
    assert toy.read(Keyed(Rows("decoded"), other), configured=configured)[0] == 0
