"""What a user of Spark reads when a load fails: the connector's sentence, as the last line before Spark's own trailer.

Spark shows an error of Python as the text of its traceback (read in pyspark 4.3.0's source), with all causes. They may
quote rows and answers, so an error leaves this package without causes, and what led to it is named by place only.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import shorten
from source_kit.secrets import mask

from product_analytics_spark.secrets import mask_secrets

T = TypeVar("T")
#: The methods of a data source and of its readers that Spark calls
_CALLED_BY_SPARK = (
    "schema",
    "reader",
    "streamReader",
    "partitions",
    "read",
    "initialOffset",
    "latestOffset",
    "reportLatestOffset",
    "getDefaultReadLimit",
    "prepareForTriggerAvailableNow",
    "commit",
)
#: Characters of an internal message that are shown
_DETAIL_SHOWN = 2000
#: Places of an unexpected error that are named, the innermost ones
_PLACES_SHOWN = 8


class ConnectorError(Exception):
    """A load failed. The last line of the text is the sentence for the user, those before it are for a report."""


def in_sentences(cls: type[T]) -> type[T]:
    """Decorates a data source or a reader: its secrets are masked, and what it raises is a ConnectorError.

    Secrets are found in the instance's attributes, so this holds in the process that plans and on executors alike.
    """
    for name in _CALLED_BY_SPARK:
        if name in vars(cls):
            setattr(cls, name, _told(vars(cls)[name]))
    return cls


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    if isgeneratorfunction(method):

        @wraps(method)
        def read(self: object, *args: Any, **named: Any) -> Iterator[Any]:
            with _sentences(self):
                yield from method(self, *args, **named)

        return read

    @wraps(method)
    def call(self: object, *args: Any, **named: Any) -> Any:
        with _sentences(self):
            return method(self, *args, **named)

    return call


@contextmanager
def _sentences(holder: object) -> Iterator[None]:
    mask_secrets(*vars(holder).values())
    try:
        yield
    except ConnectorError:
        raise
    except Exception as error:
        raise ConnectorError(_text(error)) from None


def _text(error: Exception) -> str:
    if isinstance(error, AirbyteTracedException) and error.message:
        detail = shorten(error.internal_message or "", _DETAIL_SHOWN) if error.internal_message != error.message else ""
        kind = error.failure_type.value if error.failure_type else ""
        return f"{kind}: {detail}".rstrip(": ") + f"\n{mask(' '.join(error.message.split()))}"
    return (
        f"{type(error).__name__} in {_places(error)}\n"
        "The connector met an error that it does not know. Run the query again, and report the error with the lines "
        "above if it comes back."
    )


def _places(error: BaseException) -> str:
    """Where an error was raised, innermost first. Its text is left out, because it may quote a row."""
    frames = traceback.extract_tb(error.__traceback__)[::-1][:_PLACES_SHOWN]
    return ", ".join(f"{frame.name} ({frame.filename}, line {frame.lineno})" for frame in frames)
