"""What a failure says, and what it does not say."""

from __future__ import annotations

import inspect
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from product_analytics_spark.errors import ConnectorError, in_sentences
from source_kit.errors import config_error

SENTENCE = "The vendor refused the key. Make a new one."


@in_sentences
class Reader:
    """As a reader of Spark, with the options of its load."""

    def __init__(self, failure: BaseException) -> None:
        self.options = {"api_key": "hush-hush"}
        self.failure = failure

    def schema(self) -> str:
        try:
            raise ValueError("row: Ada Lovelace")
        except ValueError:
            raise self.failure from None

    def streamReader(self, schema: object) -> object:
        raise self.failure

    def latestOffset(self, start: dict[str, str] | None = None, limit: object = None) -> dict[str, str]:
        raise self.failure

    def read(self, partition: object) -> Iterator[int]:
        yield 1
        raise self.failure


def shown(call: object) -> str:
    """The text of a failure, as Spark makes it."""
    with pytest.raises(ConnectorError) as caught:
        call()  # type: ignore[operator]
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("method", ["schema", "latestOffset", "read"])
def test_the_last_line_is_the_connectors_sentence_and_the_line_before_says_what_was_answered(method: str) -> None:
    reader = Reader(config_error(SENTENCE, "status 401, key hush-hush"))
    call = {"schema": reader.schema, "latestOffset": reader.latestOffset, "read": lambda: [*reader.read(None)]}[method]
    *_, answered, sentence = shown(call).rstrip("\n").split("\n")
    assert sentence == SENTENCE
    assert answered == "product_analytics_spark.errors.ConnectorError: config_error: status 401, key ****"


def test_a_stream_reader_that_cannot_be_made_fails_at_its_first_call() -> None:
    """Where `streamReader` raises, Spark shows an error of its own in place of the sentence."""
    reader: Any = pickle.loads(pickle.dumps(Reader(config_error(SENTENCE)).streamReader(None)))
    for call in (reader.initialOffset, reader.latestOffset, lambda: reader.partitions({}, {})):
        assert shown(call).rstrip("\n").endswith(f"\n{SENTENCE}")


def test_a_secret_in_a_sentence_is_masked() -> None:
    assert "hush" not in shown(Reader(config_error("The key hush-hush is wrong.")).schema)


def test_an_unexpected_error_is_named_by_its_place_and_quotes_nothing() -> None:
    """Its text may be a row, or the cause's text."""
    error = KeyError("Ada Lovelace")
    error.__cause__ = ValueError("Charles Babbage")
    text = shown(lambda: [*Reader(error).read(None)])
    assert "Lovelace" not in text
    assert "Babbage" not in text
    assert "ConnectorError: KeyError in read (" in text
    assert text.rstrip("\n").split("\n")[-1].startswith("The connector met an error that it does not know.")


def test_a_reader_keeps_the_signature_that_spark_looks_at() -> None:
    """Spark 4.2 and later pass a limit to a reader whose `latestOffset` has a parameter for it."""
    assert [*inspect.signature(Reader(KeyError()).latestOffset).parameters] == ["start", "limit"]


def test_a_read_that_spark_ends_early_is_no_failure() -> None:
    """As below `limit`: Spark closes the iterator."""
    rows = Reader(config_error(SENTENCE)).read(None)
    assert next(rows) == 1
    rows.close()  # type: ignore[attr-defined]
