"""What a user of Spark reads when a load fails: the connector's sentence, as the last line before Spark's own trailer.

Spark shows an error of Python as the text of its traceback (read in pyspark 4.3.0's source), with all causes. They may
quote rows and answers, so an error leaves this package without causes, and what led to it is named by place only.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
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
            setattr(cls, name, _guarded(vars(cls)[name]))
    return cls


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, raising outside of `except`: what is raised there would bring along what it came from."""
    if isgeneratorfunction(method):

        @wraps(method)
        def read(self: object, *args: Any, **named: Any) -> Iterator[Any]:
            mask_secrets(*vars(self).values())
            try:
                yield from method(self, *args, **named)
                return
            except Exception as error:
                failure = _failure(error)
            raise failure

        return read

    @wraps(method)
    def call(self: object, *args: Any, **named: Any) -> Any:
        mask_secrets(*vars(self).values())
        try:
            return method(self, *args, **named)
        except Exception as error:
            failure = _failure(error)
        if method.__name__ == "streamReader":
            from product_analytics_spark.failed_stream import FailedStreamReader

            return FailedStreamReader(failure)
        raise failure

    return call


def _failure(error: Exception) -> ConnectorError:
    return error if isinstance(error, ConnectorError) else ConnectorError(_text(error))


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
