"""Every top-level column of every discovered schema has a description, which the data dictionaries are made from.

It says more than the name, and is short enough for a list of columns. A property that a customer of Heap defined has
none: its meaning is the customer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.runner import Runner
from test_kit.catalogs import Row

#: By vendor: the properties that the customer behind the simulator defined
CUSTOMERS_OWN = {"heap": {"plan_tier", "shopifypdp_id"}}
LONGEST = 160
_WORD = re.compile(r"[a-z0-9]+")


def _faults(schema: Row) -> Iterator[tuple[str, str]]:
    """The top-level columns of a schema that are not described well, each with the reason."""
    for name, column in schema["properties"].items():
        text = column.get("description", "")
        words = _WORD.findall(text.lower())
        if not words:
            yield name, "empty"
        elif "".join(words) == "".join(_WORD.findall(name.lower())):
            yield name, "the name again"
        elif len(text) > LONGEST:
            yield name, f"{len(text)} characters"
        elif text != text.strip() or text.endswith("."):
            yield name, "blanks or a full stop at its end"


def test_every_column_of_every_discovered_schema_says_what_it_means(runner: Runner) -> None:
    own = {(name, "empty") for name in CUSTOMERS_OWN.get(runner.connector.vendor, ())}
    found = [
        (stream["name"], *fault)
        for stream in runner.catalog["streams"]
        for fault in _faults(stream["json_schema"])
        if fault not in own
    ]

    assert found == []


def test_a_column_without_a_proper_description_is_found() -> None:
    texts = {"none": None, "blank": " ", "page_id": "Page ID", "stop": "It ends.", "long": "a" * 161, "good": "Its id"}
    schema = {"properties": {name: {"description": text} if text else {} for name, text in texts.items()}}

    assert dict(_faults(schema)) == {
        "none": "empty",
        "blank": "empty",
        "page_id": "the name again",
        "stop": "blanks or a full stop at its end",
        "long": "161 characters",
    }
